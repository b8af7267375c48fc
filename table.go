package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// output is the flag of every command that answers with a table.
type output struct {
	JSON bool `name:"json" help:"Print JSON for a program instead of a table."`
}

// print writes data as JSON, or as what table writes.
func (o output) print(w io.Writer, data any, table func(io.Writer)) error {
	if o.JSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(data)
	}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	table(columns)
	return columns.Flush()
}

// row writes one line of a table; a terminal must not obey what users wrote.
func row(w io.Writer, cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			_, _ = fmt.Fprint(w, "\t") // a closed stdout leaves nobody to tell
		}
		_, _ = fmt.Fprint(w, printable(fmt.Sprint(cell)))
	}
	_, _ = fmt.Fprintln(w)
}

// printable replaces what a terminal would not show as a character. The joiner of emoji stays.
func printable(s string) string {
	const joiner = '\u200d'
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == joiner {
			return r
		}
		return '\ufffd'
	}, s)
}

// readableTime is a time as an operator reads it: in the zone of this machine.
func readableTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }
