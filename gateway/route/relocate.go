package route

import (
	"bytes"
	"strings"
	"unicode"
)

// Relocation puts the prefix that a route strips back into what its service says of its own paths.
type Relocation struct{ prefix string }

// NewRelocation returns the relocation for a prefix that is stripped, nil when that is all of "/".
func NewRelocation(prefix string) *Relocation {
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix == "" {
		return nil
	}
	return &Relocation{prefix}
}

// Prefix returns the prefix, without a slash at its end.
func (r *Relocation) Prefix() string { return r.prefix }

// Location returns a Location with the prefix, and whether it has changed: a path that begins with /, or a URL of the
// host that the client asked for. A relative path and the URL of another host stay.
func (r *Relocation) Location(value, host []byte) ([]byte, bool) {
	at := 0
	if scheme := bytes.Index(value, []byte("//")); scheme == 0 || scheme > 0 && isScheme(value[:scheme]) {
		at = scheme + len("//")
		end := bytes.IndexAny(value[at:], "/?#\\")
		if end < 0 {
			end = len(value) - at
		}
		if end == 0 || !bytes.EqualFold(value[at:at+end], host) {
			return value, false
		}
		at += end
	} else if len(value) == 0 || value[0] != '/' || len(value) > 1 && value[1] == '\\' { // browsers read /\\host as //host
		return value, false
	}
	return bytes.Join([][]byte{value[:at], []byte(r.prefix), value[at:]}, nil), true
}

func isScheme(text []byte) bool {
	return bytes.EqualFold(text, []byte("http:")) || bytes.EqualFold(text, []byte("https:"))
}

// Cookie returns a Set-Cookie whose Path has the prefix, and whether it has changed. Without a Path the browser takes the
// one that it asked for, which has the prefix; a __Host- cookie is for the whole host by definition.
func (r *Relocation) Cookie(value []byte) ([]byte, bool) {
	if len(value) >= len("__Host-") && bytes.EqualFold(value[:len("__Host-")], []byte("__Host-")) {
		return value, false
	}
	var out []byte
	changed := false
	for i, part := range bytes.Split(value, []byte{';'}) {
		if i > 0 {
			out = append(out, ';')
		}
		name, path, _ := bytes.Cut(part, []byte{'='})
		path = bytes.TrimFunc(path, unicode.IsSpace)
		if i == 0 || !bytes.EqualFold(bytes.TrimFunc(name, unicode.IsSpace), []byte("path")) || len(path) == 0 || path[0] != '/' {
			out = append(out, part...)
			continue
		}
		if len(path) == 1 {
			path = nil // "/shop" is for /shop and all below it; "/shop/" is not for /shop
		}
		out = append(append(append(append(out, name...), '='), r.prefix...), path...)
		changed = true
	}
	return out, changed
}
