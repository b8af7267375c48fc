package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"wxgate/input"
)

// Fault is one thing that is wrong with the configuration, and where it is written. Without a path, the file as a whole is at
// fault.
type Fault struct {
	input.Fault
	File string
	Line int // from 1; 0 when the value came from a default or the environment, so that no line holds it
	Col  int // from 1, in characters

	elsewhere string // a section that is written after all, in a wrong place, or everywhere
}

// everywhere stands for all sections.
const everywhere = "*"

// Error is one line: file:line:col: path: message, without the parts that are not known.
func (f Fault) Error() string {
	where := f.File
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Col)
	}
	return where + ": " + f.Fault.Error()
}

// Faults are all faults of one configuration; as an error they print one per line, in the order of the file.
type Faults []Fault

// Error prints one fault per line, those without a line first.
func (fs Faults) Error() string {
	lines := make([]string, 0, len(fs))
	for _, f := range fs.sorted() {
		lines = append(lines, f.Error())
	}
	return strings.Join(lines, "\n")
}

func (fs Faults) sorted() Faults {
	byPosition := func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Path, b.Path))
	}
	return slices.SortedStableFunc(slices.Values(fs), byPosition)
}

// asError is nil without faults; a plain conversion would make an error out of an empty list.
func (fs Faults) asError() error {
	if len(fs) == 0 {
		return nil
	}
	return fs.sorted()
}

// explain reports whether a validator's fault at path follows from one of these: it is about the same value, about the
// section that holds it, or about a key that is missing there. A misspelled routes[0].upstraem explains
// "routes[0]: names no upstream".
func (fs Faults) explain(path string, written positions) bool {
	_, present := written.at[path]
	return slices.ContainsFunc(fs, func(f Fault) bool {
		if f.elsewhere == everywhere || f.elsewhere != "" && within(path, f.elsewhere) {
			return true
		}
		section := parentPath(f.Path)
		return within(path, f.Path) || path == section || !present && within(path, section)
	})
}
