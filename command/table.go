package command

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"

	"wxgate/command/progress"
	"wxgate/process"
)

// output is the flag of every command that prints a table.
type output struct {
	JSON bool `name:"json" help:"Print JSON for a program instead of a table."`
}

// print writes data as JSON, or as the rows of a table.
func (o output) print(w io.Writer, data any, rows func(*table)) error {
	if o.JSON {
		return o.printJSON(w, data)
	}
	var t table
	rows(&t)
	return t.write(w)
}

// printColored is print with the first words of lines in the colors that they mean.
func (o output) printColored(w *env, data any, rows func(*table)) error {
	if o.JSON {
		return o.printJSON(w.stdout, data)
	}
	var text strings.Builder
	if err := o.print(&text, data, rows); err != nil {
		return err
	}
	_, err := io.WriteString(w.stdout, w.paint(w.stdout, text.String()))
	return err
}

// printJSON writes data as a line of JSON.
func (output) printJSON(w io.Writer, data any) error {
	enc := json.NewEncoder(process.EscapeJSON(w))
	enc.SetEscapeHTML(false)
	return enc.Encode(data)
}

// quiet is the flag of every command that tells how far it is.
type quiet struct {
	Quiet bool `short:"q" help:"Do not tell how far it is."`
}

// table is rows of cells.
type table [][]string

// row adds a row. Cells are made printable, since a terminal must not obey what users wrote.
func (t *table) row(cells ...any) {
	var texts []string
	for _, cell := range cells {
		texts = append(texts, printable(fmt.Sprint(cell)))
	}
	*t = append(*t, texts)
}

// gap is the space between two columns, in cells of a terminal.
const gap = 2

// write aligns the columns by their width on a terminal, where a Chinese character takes two cells. The last cell of a
// row does not widen its column.
func (t table) write(w io.Writer) error {
	terminal := runewidth.Condition{} // regardless of what the locale says about ambiguous characters
	var widths []int
	for _, cells := range t {
		for i, cell := range cells[:max(0, len(cells)-1)] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], terminal.StringWidth(cell)+gap)
		}
	}
	var text strings.Builder
	for _, cells := range t {
		for i, cell := range cells {
			text.WriteString(cell)
			if i < len(cells)-1 {
				text.WriteString(strings.Repeat(" ", widths[i]-terminal.StringWidth(cell)))
			}
		}
		text.WriteByte('\n')
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// counted returns a number with the word for what it counts.
func counted(n int, one, more string) string {
	return fmt.Sprintf("%d %s", n, plural(n, one, more))
}

// plural returns the word for so many.
func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// printable replaces what a terminal would not show as a character, except the joiner within emoji.
func printable(s string) string {
	const joiner = '\u200d'
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == joiner {
			return r
		}
		return '\ufffd'
	}, s)
}

// readableTime formats a time for an operator, in the time zone of this machine.
func readableTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// paint gives the first word of each line the color of what it means, if out is a terminal or --color says so.
func (w *env) paint(out io.Writer, text string) string {
	if !w.colored(out) {
		return text
	}
	const red, green, yellow, blue = "31", "32", "33", "36"
	meaning := map[string]string{
		"ok": green, "FAIL": red, "look": yellow,
		"note:": blue, "warning:": yellow, "critical:": red, "wxgate:": red,
	}
	return regexp.MustCompile(`(?m)^[\w:]+`).ReplaceAllStringFunc(text, func(word string) string {
		if color := meaning[word]; color != "" {
			return "\x1b[" + color + "m" + word + "\x1b[0m"
		}
		return word
	})
}

// colored reports whether what is written to out has colors: https://no-color.org.
func (w *env) colored(out io.Writer) bool {
	switch w.color {
	case "always":
		return true
	case "never":
		return false
	}
	refused, _ := w.lookup("NO_COLOR")
	terminal, _ := w.lookup("TERM")
	return refused == "" && terminal != "dumb" && progress.Columns(out) != nil
}
