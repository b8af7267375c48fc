package report

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Table is printed as Markdown whose columns are aligned, so that a terminal shows it as well.
type Table struct {
	Header []string
	Rows   [][]string
}

// Add appends a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// String returns the table, its first column to the left and the others to the right.
func (t *Table) String() string {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], 3, utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	writeRow(&text, t.Header, widths)
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width-1) + ":"
	}
	rule[0] = strings.Repeat("-", widths[0])
	writeRow(&text, rule, widths)
	for _, row := range t.Rows {
		writeRow(&text, row, widths)
	}
	return text.String()
}

func writeRow(text *strings.Builder, row []string, widths []int) {
	for i, cell := range row {
		padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i == 0 {
			text.WriteString("| " + cell + padding)
			continue
		}
		text.WriteString(" | " + padding + cell)
	}
	text.WriteString(" |\n")
}

// Number returns value with three digits or more, thousands separated; an en dash for what was not measured.
func Number(value float64) string {
	switch {
	case math.IsNaN(value):
		return "–"
	case math.Abs(value) >= 99.95:
		return thousands(strconv.FormatFloat(value, 'f', 0, 64))
	case math.Abs(value) >= 9.995:
		return strconv.FormatFloat(value, 'f', 1, 64)
	}
	return strconv.FormatFloat(value, 'f', 2, 64)
}

func thousands(digits string) string {
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// String returns the median with two digits behind the point, an en dash for none.
func (r Ratio) String() string {
	if r.Rounds == 0 {
		return "–"
	}
	return strconv.FormatFloat(r.Median, 'f', 2, 64)
}
