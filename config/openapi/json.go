package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"wxgate/config/strictyaml"
	"wxgate/input"
)

// deepest bounds how deep what is read of a JSON document is nested; what is passed over may be of any depth.
const deepest = 64

// jsonTree is strictyaml.Tree for JSON.
func jsonTree(file string, data []byte, keep func(keys []string) bool) (*strictyaml.Node, error) {
	r := &jsonReader{file: file, data: data, dec: json.NewDecoder(bytes.NewReader(data)), keep: keep}
	r.dec.UseNumber()
	if !utf8.Valid(data) {
		return nil, r.fault(validUntil(data), "not UTF-8 text")
	}
	root, err := r.value(nil, 0)
	if err != nil {
		return nil, err
	}
	end := r.next()
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, r.fault(end, "not JSON: something follows the document")
	}
	return root, nil
}

func validUntil(data []byte) (at int) {
	for at < len(data) {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		at += size
	}
	return at
}

type jsonReader struct {
	file string
	data []byte
	dec  *json.Decoder
	keep func(keys []string) bool

	counted, line, col int // the last place that was asked for, from 0
}

// next is the offset of the token that is read next.
func (r *jsonReader) next() int {
	at := int(r.dec.InputOffset())
	for at < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[at]) >= 0 {
		at++
	}
	return at
}

func (r *jsonReader) value(keys []string, depth int) (*strictyaml.Node, error) {
	at := r.next()
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	n := &strictyaml.Node{}
	n.Line, n.Col = r.place(at)
	if depth > deepest {
		return nil, r.fault(at, "nested too deep")
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return n, r.members(n, keys, depth)
		}
		return n, r.items(n, keys, depth)
	case nil:
	default:
		n.Kind, n.Text = strictyaml.Scalar, fmt.Sprint(token)
	}
	return n, nil
}

func (r *jsonReader) members(n *strictyaml.Node, keys []string, depth int) error {
	n.Kind = strictyaml.Mapping
	seen := map[string]bool{}
	for r.dec.More() {
		at := r.next()
		token, err := r.token()
		if err != nil {
			return err
		}
		name, _ := token.(string) // the decoder takes nothing else for a key
		if seen[name] {
			return r.fault(at, "%s is written twice", input.Quote(name))
		}
		seen[name] = true
		below := append(slices.Clip(keys), name)
		if !r.keep(below) {
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		line, col := r.place(at)
		value, err := r.value(below, depth+1)
		if err != nil {
			return err
		}
		value.Line, value.Col = line, col
		n.Pairs = append(n.Pairs, strictyaml.Pair{Name: name, Value: value})
	}
	_, err := r.token()
	return err
}

func (r *jsonReader) items(n *strictyaml.Node, keys []string, depth int) error {
	n.Kind = strictyaml.List
	for r.dec.More() {
		item, err := r.value(keys, depth+1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	_, err := r.token()
	return err
}

// skip passes over a value.
func (r *jsonReader) skip() error {
	for depth := 0; ; {
		token, err := r.token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

func (r *jsonReader) token() (json.Token, error) {
	token, err := r.dec.Token()
	syntax, isSyntax := errors.AsType[*json.SyntaxError](err)
	switch {
	case isSyntax:
		return nil, r.fault(r.next(), "not JSON: %v", syntax)
	case err != nil:
		return nil, r.fault(len(r.data), "not JSON: it ends before it is complete")
	}
	return token, nil
}

func (r *jsonReader) fault(at int, format string, args ...any) error {
	line, col := r.place(at)
	return strictyaml.Faults{{Fault: input.Fault{Message: fmt.Sprintf(format, args...)}, File: r.file, Line: line, Col: col}}
}

// place is the line and column of an offset. Asking in the order of the document costs one walk through it, even if it
// is a single line.
func (r *jsonReader) place(at int) (line, col int) {
	at = min(max(at, 0), len(r.data))
	if at < r.counted {
		r.counted, r.line, r.col = 0, 0, 0
	}
	passed := r.data[r.counted:at]
	if last := bytes.LastIndexByte(passed, '\n'); last >= 0 {
		r.line += bytes.Count(passed, []byte{'\n'})
		r.col, passed = 0, passed[last+1:]
	}
	r.col += utf8.RuneCount(passed)
	r.counted = at
	return r.line + 1, r.col + 1
}
