package strictyaml

import (
	"strings"
	"unicode/utf8"

	"wxgate/input"
)

// position is a place in the file, both numbers from 1, the column in characters.
type position struct{ line, col int }

// inside moves a position into the lines of a file: after some line breaks within quotes the parser counts wrongly.
func (at position) inside(lines []string) position {
	line := min(max(at.line, 1), len(lines))
	return position{line, min(max(at.col, 1), utf8.RuneCountInString(lines[line-1])+1)}
}

// positions remembers where each YAML path of a file is written: a key at its name, a list element at its first character.
// Of a value that a reference stands for it remembers what is written, such as ${JWT_SECRET}.
type positions struct {
	file       string
	at         map[string]position
	references map[string]string
}

func newPositions(file string) positions {
	return positions{file, map[string]position{}, map[string]string{}}
}

// find gives the position of path or, when the file does not hold it, that of the nearest section around it that the
// file holds. The zero position means that the file says nothing about it.
func (p positions) find(path string) position {
	for ; path != ""; path = parentPath(path) {
		if found, ok := p.at[path]; ok {
			return found
		}
	}
	return position{}
}

// place turns what a validator found into faults with a position. A validator's text begins with the YAML path that it
// is about, as in `upstreams.recipes.balance: "p2" is not one of …`; errors joined with errors.Join are taken apart.
func (p positions) place(err error) Faults {
	if err == nil {
		return nil
	}
	// Only the outermost error may be the list: a text around it would be lost.
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return p.placeAll(joined.Unwrap())
	}
	return Faults{p.placeOne(err.Error())}
}

func (p positions) placeAll(errs []error) Faults {
	var faults Faults
	for _, err := range errs {
		faults = append(faults, p.place(err)...)
	}
	return faults
}

func (p positions) placeOne(text string) Fault {
	path, message, found := strings.Cut(text, ": ")
	if !found || strings.ContainsAny(path, " \"") {
		return Fault{File: p.file, Message: text}
	}
	at := p.find(path)
	if reference, ok := p.references[path]; ok && !strings.Contains(message, reference) {
		message += " (this is what " + input.Quote(reference) + " stands for)"
	}
	return Fault{File: p.file, Line: at.line, Col: at.col, Path: path, Message: message}
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
