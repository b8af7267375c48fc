package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	module  = "wxgate/"
	picture = "docs/architecture.md"
	begins  = "```mermaid\n"
	ends    = "```\n"
)

var errNoPicture = errors.New("no mermaid block")

// apart are the folders that the picture leaves out: what only tests and developers run.
func apart() []string { return []string{"e2e", "bench", "scripts", "examples"} }

// graph is the product's packages in Mermaid, with an arrow from each to those that it imports. It leaves out test kits,
// arrows to leaves (packages of one subject that import none of ours), and arrows that a longer way implies.
func graph(rooms []*room) string {
	imports := map[string][]string{}
	for _, r := range rooms {
		top, _, _ := strings.Cut(r.folder, "/")
		if isKit(r.folder) || slices.Contains(apart(), top) || r.folder == "miniprogram/tests/sandbox" {
			continue
		}
		imports[r.folder] = nil
		for imported := range r.imports {
			if folder, ours := strings.CutPrefix(imported, module); ours {
				imports[r.folder] = append(imports[r.folder], folder)
			}
		}
	}
	var text strings.Builder
	text.WriteString("flowchart TD\n")
	for _, folder := range slices.Sorted(maps.Keys(imports)) {
		if isLeaf(imports, folder) {
			continue
		}
		for _, imported := range slices.Sorted(slices.Values(imports[folder])) {
			if _, shown := imports[imported]; shown && !isLeaf(imports, imported) && !implied(imports, folder, imported) {
				_, _ = fmt.Fprintf(&text, "  %s --> %s\n", node(folder), node(imported))
			}
		}
	}
	return text.String()
}

// isLeaf reports whether a package is at the top of the tree, imports none of ours and has none of ours below it.
func isLeaf(imports map[string][]string, folder string) bool {
	for other := range imports {
		if strings.HasPrefix(other, folder+"/") {
			return false
		}
	}
	return len(imports[folder]) == 0 && !strings.Contains(folder, "/")
}

// implied reports whether to is reached from another import of from.
func implied(imports map[string][]string, from, to string) bool {
	for _, between := range imports[from] {
		if between != to && reaches(imports, between, to) {
			return true
		}
	}
	return false
}

func reaches(imports map[string][]string, from, to string) bool {
	return from == to || slices.ContainsFunc(imports[from], func(next string) bool { return reaches(imports, next, to) })
}

// node is a package as Mermaid names it: an id, and the folder as its text.
func node(folder string) string {
	if folder == "." {
		return `main["main.go"]`
	}
	return strings.ReplaceAll(folder, "/", "_") + `["` + folder + `"]`
}

// drawn returns the page with this picture in the place of its own.
func drawn(page []byte, picture string) ([]byte, error) {
	before, rest, found := bytes.Cut(page, []byte(begins))
	_, after, closed := bytes.Cut(rest, []byte(ends))
	if !found || !closed {
		return nil, errNoPicture
	}
	return slices.Concat(before, []byte(begins+picture+ends), after), nil
}

// redraw reports whether the page shows these rooms, and makes it so with write.
func redraw(root string, rooms []*room, write bool) (changed bool, err error) {
	file := filepath.Join(root, filepath.FromSlash(picture))
	page, err := os.ReadFile(file)
	if err != nil {
		return false, fmt.Errorf("reading the picture: %w", err)
	}
	next, err := drawn(page, graph(rooms))
	if err != nil {
		return false, fmt.Errorf("%s: %w", picture, err)
	}
	if bytes.Equal(page, next) || !write {
		return !bytes.Equal(page, next), nil
	}
	if err := os.WriteFile(file, next, 0o600); err != nil {
		return true, fmt.Errorf("drawing: %w", err)
	}
	return true, nil
}
