// Package openapi makes routes of an OpenAPI document: who may call which operation. What it makes never lets a caller
// do without a token what the document protects, and every fault has its place in the document. It opens no file and
// follows no reference out of the document.
package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/input"
)

const (
	largestYAML     = 4 << 20 // which takes ten times as long to read as JSON
	mostOperations  = 10_000
	mostRoutes      = 10_000
	mostFaults      = 20
	longestRefChain = 8
)

// Document is what an OpenAPI 3.0 or 3.1 or a Swagger 2.0 document says of who may call what.
type Document struct {
	Version    string      // such as "OpenAPI 3.1.0"
	Operations []Operation // in the order of the document
	Silent     bool        // nothing in it says whether a caller needs to log in: every operation is required
}

// Operation is a method of a path.
type Operation struct {
	Method   string
	Template string // the path with that of the server before it, such as /api/v1/recipes/{id}
	Auth     gateway.AuthMode

	place strictyaml.Fault // without a message
}

// Read reads a document in JSON or YAML; file names it in errors. base, if it is not empty, is the path that all paths
// begin with, whatever the document says of its servers; "/" stands for none. The error is a strictyaml.Faults.
func Read(file string, data []byte, base string) (Document, error) {
	tree, err := parse(file, data)
	if err == nil {
		r := &reader{file: file, root: tree}
		var doc Document
		if doc, err = r.document(base), r.err(); err == nil {
			return doc, nil
		}
	}
	var faults strictyaml.Faults
	if errors.As(err, &faults) && len(faults) > mostFaults {
		more := input.Fault{Message: fmt.Sprintf("and %d more faults", len(faults)-mostFaults)}
		faults = append(faults[:mostFaults:mostFaults], strictyaml.Fault{Fault: more, File: file, Line: faults[mostFaults].Line, Col: faults[mostFaults].Col})
		err = faults
	}
	return Document{}, err
}

func parse(file string, data []byte) (*strictyaml.Node, error) {
	text := bytes.TrimPrefix(data, []byte("\uFEFF"))
	switch first := bytes.TrimLeft(text, " \t\r\n"); {
	case len(first) > 0 && first[0] == '{':
		return jsonTree(file, text, wanted)
	case len(data) > largestYAML:
		return nil, fmt.Errorf("%s is larger than %s, which is too much YAML; export the document as JSON", file, input.Size(largestYAML))
	}
	return strictyaml.Tree(file, text, wanted)
}

// wanted reports whether the key that these keys lead to is read. The rest of a document, nearly all of it, is schemas.
func wanted(keys []string) bool {
	switch keys[0] {
	case "openapi", "swagger", "basePath", "servers", "security":
		return true
	case "paths":
		return wantedItem(keys[1:])
	case "components":
		return len(keys) == 1 || keys[1] == "pathItems" && wantedItem(keys[2:])
	}
	return false
}

// wantedItem is wanted for keys that begin with a path.
func wantedItem(keys []string) bool {
	switch {
	case len(keys) == 0:
		return true
	case strings.HasPrefix(keys[0], "x-"):
		return false
	case len(keys) == 1 || keys[1] == "$ref" || keys[1] == "servers":
		return true
	case methodOf(keys[1]) == "":
		return false
	}
	return len(keys) == 2 || keys[2] == "security" || keys[2] == "servers" || keys[2] == "$ref"
}

// methodOf is the method that a key of a path stands for, "" for none. TRACE is never forwarded.
func methodOf(key string) string {
	switch key {
	case "get", "put", "post", "delete", "options", "head", "patch":
		return strings.ToUpper(key)
	}
	return ""
}

// protects reports whether who may not call one method may not call the other: services answer HEAD as they answer GET.
func protects(method, other string) bool {
	return method == other || method == http.MethodGet && other == http.MethodHead
}
