package strictyaml

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"wxgate/input"
)

// Fault is one thing that is wrong with the configuration, and where it is written. Without a path, the file as a whole
// is at fault.
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

// position is a place in the file, both numbers from 1, the column in characters.
type position struct{ line, col int }

// inside moves a position into the lines of a file: after some line breaks within quotes the parser counts wrongly.
func (at position) inside(lines []string) position {
	line := min(max(at.line, 1), len(lines))
	return position{line, min(max(at.col, 1), utf8.RuneCountInString(lines[line-1])+1)}
}

// positions remembers where each YAML path of a file is written: a key at its name, a list element at its first
// character. Of a value that a reference stands for it remembers what is written, such as ${JWT_SECRET}, and so it does
// of one with characters of a Chinese keyboard where there should be those of ASCII.
type positions struct {
	file       string
	at         map[string]position
	references map[string]string
	misspelled map[string]string
}

// newPositions has room for so many paths.
func newPositions(file string, paths int) positions {
	return positions{file, make(map[string]position, paths), map[string]string{}, map[string]string{}}
}

// find gives the position of path or, when the file does not hold it, that of the nearest section around it that the
// file holds. The zero position means that the file says nothing about it.
func (p positions) find(path string) position { return p.at[p.nearest(path)] }

// nearest is path or, when the file does not hold it, the nearest section around it that the file holds; empty: nothing.
func (p positions) nearest(path string) string {
	for ; path != ""; path = parentPath(path) {
		if _, ok := p.at[path]; ok {
			return path
		}
	}
	return ""
}

// place finds the places of what a validator found.
func (p positions) place(found input.Faults) (faults Faults) {
	for _, f := range found {
		at := p.find(f.Path)
		if reference, ok := p.references[f.Path]; ok && !strings.Contains(f.Message, reference) {
			f.Message += " (this is what " + input.Quote(withoutDefault(reference)) + " stands for)"
		}
		f.Message = withAdviceOnValue(f.Message, p.misspelled[p.nearest(f.Path)])
		faults = append(faults, Fault{Fault: f, File: p.file, Line: at.line, Col: at.col})
	}
	return faults
}

// withoutDefault hides the default of a reference, which may be a secret: ${NAME:-…}.
func withoutDefault(reference string) string {
	return regexp.MustCompile(`:-[^}]*`).ReplaceAllString(reference, ":-…")
}

// parentPath is the section that holds path: routes[0] for routes[0].path, routes for routes[0], nothing for routes.
func parentPath(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// within reports whether path is section or lies below it; everything lies below the empty path.
func within(path, section string) bool {
	rest, below := strings.CutPrefix(path, section)
	return below && (section == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}
