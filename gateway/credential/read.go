package credential

import (
	"bytes"
	"net/url"
	"slices"
	"unsafe"

	"wxgate/authn/token"
	"wxgate/gateway/header"
	"wxgate/message"
)

// Visit is called with a place that a request has, and the text there, in the request's own memory.
type Visit func(place Place, text string)

// Headers visits the headers of classified fields that are places.
func (p *Places) Headers(fields *message.Fields, visit Visit) {
	for i := range fields.Len() {
		if fields.Class(i)&header.ClassToken != 0 {
			name, value := fields.Line(i)
			visit(Place{Header, alias(name)}, alias(value))
		}
	}
}

// EachCookie visits the cookies of classified fields that are places.
func (p *Places) EachCookie(fields *message.Fields, visit Visit) {
	header.EachCookie(fields, func(name, value []byte) {
		if slices.Contains(p.cookies, alias(name)) {
			visit(Place{Cookie, alias(name)}, alias(value))
		}
	})
}

// Subprotocols visits what stands behind a subprotocol that is a place, in the offer of classified fields.
func (p *Places) Subprotocols(fields *message.Fields, visit Visit) {
	p.offered(fields, func(marker, item []byte) {
		if marker != nil {
			visit(Place{Subprotocol, alias(marker)}, alias(item))
		}
	})
}

// AppendSubprotocols appends the offer of classified fields without the tokens and the names before them. It returns
// the first of these names too, "" if there is none: a client that offered something fails when nothing is selected.
func (p *Places) AppendSubprotocols(dst []byte, fields *message.Fields) (offer []byte, marker string) {
	began := len(dst)
	p.offered(fields, func(name, item []byte) {
		switch {
		case name == nil && len(dst) > began:
			dst = append(append(dst, ", "...), item...)
		case name == nil:
			dst = append(dst, item...)
		case marker == "":
			marker = string(name)
		}
	})
	return dst, marker
}

// offered walks over the subprotocols that are offered; marker is the place before a token, nil for one that is none. A
// place at the end of the offer has an empty token.
func (p *Places) offered(fields *message.Fields, visit func(marker, item []byte)) {
	var marker []byte
	for i := range fields.Len() {
		if fields.Class(i)&header.ClassSubprotocols == 0 {
			continue
		}
		_, value := fields.Line(i)
		for item := range bytes.SplitSeq(value, []byte{','}) {
			switch item = bytes.Trim(item, " \t"); {
			case len(item) == 0:
			case marker != nil:
				visit(marker, item)
				marker = nil
			case slices.Contains(p.protocols, alias(item)):
				marker = item
			default:
				visit(nil, item)
			}
		}
	}
	if marker != nil {
		visit(marker, nil)
	}
}

// EachParameter visits the query parameters of a request target that are called name.
func EachParameter(target []byte, name string, visit Visit) {
	_, query, _ := bytes.Cut(target, []byte{'?'})
	for part := range bytes.SplitSeq(query, []byte{'&'}) {
		key, value, _ := bytes.Cut(part, []byte{'='})
		if !isParameter(key, name) {
			continue
		}
		text, err := url.QueryUnescape(alias(value))
		if err != nil {
			text = alias(value) // which is no token
		}
		visit(Place{Query, name}, text)
	}
}

// CutParameters returns a request target without the query parameters of these names; the others stay byte for byte.
func CutParameters(target []byte, names ...string) []byte {
	path, query, found := bytes.Cut(target, []byte{'?'})
	if !found {
		return target
	}
	kept, cut := append(bytes.Clone(path), '?'), false
	for part := range bytes.SplitSeq(query, []byte{'&'}) {
		key, _, _ := bytes.Cut(part, []byte{'='})
		if slices.ContainsFunc(names, func(name string) bool { return isParameter(key, name) }) {
			cut = true
			continue
		}
		kept = append(append(kept, part...), '&')
	}
	if !cut {
		return target
	}
	return kept[:len(kept)-1]
}

// isParameter reports whether a query has key for name, in whatever way it is encoded.
func isParameter(key []byte, name string) bool {
	if alias(key) == name {
		return true
	}
	decoded, err := url.QueryUnescape(alias(key))
	return err == nil && decoded == name
}

// Found is what the places of one request hold together.
type Found struct {
	text      string
	same      string // by which two are the same: the token, whatever stands before it
	Different bool   // there are several tokens
}

// Add adds what a place holds. What request wrappers send for guests is nothing, and the same token counts once.
func (f *Found) Add(text string) {
	if !token.HasCredentials(text) {
		return
	}
	same, named := token.Candidate(text)
	if !named {
		same = text
	}
	switch {
	case f.text == "":
		f.text, f.same = text, same
	case f.same != same:
		f.text, f.Different = f.text+", "+text, true
	}
}

// Credential is what Tokens.Verify reads: the token as it was written, or "" if there is none. Different tokens are a
// list, which is nobody's token.
func (f *Found) Credential() string { return f.text }

// alias is a text in the memory of the bytes.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
