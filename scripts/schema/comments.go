package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
)

const module = "wxgate/"

// comments are those of the fields of our structs.
type comments struct {
	root    string
	folders map[string]map[string]string // by the path of the package: "Type.Field" or "Type" -> comment
}

// of is the comment of a field, or else that of its type.
func (c *comments) of(owner reflect.Type, field reflect.StructField) (string, error) {
	known, err := c.folder(owner.PkgPath())
	if err != nil {
		return "", err
	}
	if text := known[owner.Name()+"."+field.Name]; text != "" {
		return text, nil
	}
	t := field.Type
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !strings.HasPrefix(t.PkgPath(), module) {
		return "", nil
	}
	known, err = c.folder(t.PkgPath())
	if err != nil {
		return "", err
	}
	_, text, _ := strings.Cut(known[t.Name()], " is ") // "Timeouts is server.timeouts."
	return text, nil
}

// folder reads the comments of a package once.
func (c *comments) folder(path string) (map[string]string, error) {
	if known, done := c.folders[path]; done {
		return known, nil
	}
	known := map[string]string{}
	c.folders[path] = known
	names, err := filepath.Glob(filepath.Join(c.root, strings.TrimPrefix(path, module), "*.go"))
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", path, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("reading comments: %w", err)
		}
		for _, declaration := range parsed.Decls {
			if types, ok := declaration.(*ast.GenDecl); ok && types.Tok == token.TYPE {
				keep(types, known)
			}
		}
	}
	return known, nil
}

func keep(types *ast.GenDecl, known map[string]string) {
	for _, each := range types.Specs {
		spec, ok := each.(*ast.TypeSpec)
		if !ok {
			continue
		}
		known[spec.Name.Name] = line(types.Doc)
		fields, ok := spec.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range fields.Fields.List {
			text := line(field.Doc)
			if text == "" {
				text = line(field.Comment)
			}
			for _, name := range field.Names {
				known[spec.Name.Name+"."+name.Name] = text
			}
		}
	}
}

// line is a comment in one line.
func line(group *ast.CommentGroup) string {
	return strings.Join(strings.Fields(group.Text()), " ")
}
