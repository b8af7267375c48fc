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

// place finds the places of what a validator found.
func (p positions) place(found input.Faults) (faults Faults) {
	for _, f := range found {
		at := p.find(f.Path)
		if reference, ok := p.references[f.Path]; ok && !strings.Contains(f.Message, reference) {
			f.Message += " (this is what " + input.Quote(reference) + " stands for)"
		}
		faults = append(faults, Fault{Fault: f, File: p.file, Line: at.line, Col: at.col})
	}
	return faults
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
