package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// room is a package, measured.
type room struct {
	folder     string              // from the root of the repository, "." for the root itself
	files      map[string]struct{} // without tests; the variants of a file for several systems are one
	code       int                 // lines that hold more than a comment, without tests
	testCode   int
	functions  []int // the lines of each, without tests
	exported   int   // names, methods included
	types      map[string]*methodSet
	interfaces map[string]int      // methods by name; an embedded interface counts as one
	imports    map[string][]string // files by what they import
}

// methodSet is what stands of a type outside its declaration.
type methodSet struct {
	name    string
	methods int
	files   map[string]struct{}
}

// systems end the name of a file that is one for some systems only.
func systems() []string { return []string{"_linux", "_unix", "_other", "_windows", "_darwin"} }

// measure reads every package below root, in the order of their folders.
func measure(root string) ([]*room, error) {
	rooms := map[string]*room{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "node_modules"):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		if rooms[folder] == nil {
			rooms[folder] = &room{folder: filepath.ToSlash(folder)}
		}
		return rooms[folder].read(path)
	})
	if err != nil {
		return nil, err
	}
	var sorted []*room
	for _, r := range rooms {
		sorted = append(sorted, r)
	}
	slices.SortFunc(sorted, func(a, b *room) int { return strings.Compare(a.folder, b.folder) })
	return sorted, nil
}

// read measures one file.
func (r *room) read(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if strings.HasSuffix(path, "_test.go") {
		r.testCode += linesOfCode(text)
		return nil
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parsing %s: %w", path, err)
	}
	name := strings.TrimSuffix(filepath.Base(path), ".go")
	for _, system := range systems() {
		name = strings.TrimSuffix(name, system)
	}
	r.code += linesOfCode(text)
	put(&r.files, name, struct{}{})
	for _, spec := range file.Imports {
		if imported, err := strconv.Unquote(spec.Path.Value); err == nil {
			put(&r.imports, imported, append(r.imports[imported], name))
		}
	}
	r.declare(file, name, func(node ast.Node) int {
		lines := strings.Count(string(text[node.Pos()-file.FileStart:node.End()-file.FileStart]), "\n")
		return lines + 1
	})
	return nil
}

// declare counts what a file declares; lines measures a node of it.
func (r *room) declare(file *ast.File, name string, lines func(ast.Node) int) {
	for _, declared := range file.Decls {
		switch d := declared.(type) {
		case *ast.FuncDecl:
			r.functions = append(r.functions, lines(d))
			receiver := receiverOf(d)
			if d.Name.IsExported() && (receiver == "" || ast.IsExported(receiver)) {
				r.exported++
			}
			if receiver != "" {
				r.method(receiver, name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				r.name(spec)
			}
		}
	}
}

func (r *room) method(receiver, file string) {
	t := r.types[receiver]
	if t == nil {
		t = &methodSet{name: receiver}
		put(&r.types, receiver, t)
	}
	t.methods++
	put(&t.files, file, struct{}{})
}

// name counts the names of a declaration, and the methods of an interface.
func (r *room) name(spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			r.exported++
		}
		if i, ok := s.Type.(*ast.InterfaceType); ok {
			put(&r.interfaces, s.Name.Name, len(i.Methods.List))
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() {
				r.exported++
			}
		}
	}
}

// receiverOf is the name of the type that a method belongs to, "" for a function.
func receiverOf(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	for kind := d.Recv.List[0].Type; ; {
		switch t := kind.(type) {
		case *ast.StarExpr:
			kind = t.X
		case *ast.IndexExpr:
			kind = t.X
		case *ast.IndexListExpr:
			kind = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

// linesOfCode counts the lines on which a token begins.
func linesOfCode(text []byte) int {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	lines, last := 0, 0
	for {
		pos, kind, literal := s.Scan()
		if kind == token.EOF {
			return lines
		}
		if line := file.Line(pos); line != last && (kind != token.SEMICOLON || literal == ";") {
			lines, last = lines+1, line
		}
	}
}

// put is an assignment to a map that may not be made yet.
func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}

// add makes r the sum of itself and another one, as far as that is printed.
func (r *room) add(other *room) {
	for name := range other.files {
		put(&r.files, other.folder+"/"+name, struct{}{})
	}
	r.code, r.testCode, r.exported = r.code+other.code, r.testCode+other.testCode, r.exported+other.exported
	r.functions = append(r.functions, other.functions...)
	for name, t := range other.types {
		put(&r.types, other.folder+"."+name, &methodSet{other.folder + "." + name, t.methods, t.files})
	}
}
