// Package header knows request fields: their lines as they came, the spellings that services take for one name, what
// names claim about address, scheme and user, Cookie, Via, and the elements of X-Forwarded-For.
package header

import (
	"bytes"
	"unsafe"

	"wxgate/message"
)

// Folded compares a header name as a lenient reader could understand it with a lower-case one: CGI, WSGI and PHP take _
// for -, some take a dot (oauth2-proxy CVE-2025-64484, Caddy GHSA-f59h-q822-g45g), and lighttpd makes HTTP_X_USER_ID of
// X!User!Id: every byte of a token that is no letter or digit becomes _ there.
func Folded(name []byte, lower string) bool {
	return len(name) == len(lower) && FoldedPrefix(name, lower)
}

// FoldedPrefix is Folded for names that begin with a lower-case text.
func FoldedPrefix(name []byte, lower string) bool {
	if len(name) < len(lower) {
		return false
	}
	for i := range len(lower) {
		if foldByte(name[i]) != lower[i] {
			return false
		}
	}
	return true
}

// Fold writes a header name in the form that Folded compares with.
func Fold(name string) string {
	lower := []byte(name)
	for i, b := range lower {
		lower[i] = foldByte(b)
	}
	return string(lower)
}

// foldByte is a byte of a name in folded form.
func foldByte(b byte) byte {
	switch {
	case b >= 'a' && b <= 'z' || b >= '0' && b <= '9':
		return b
	case b >= 'A' && b <= 'Z':
		return b | 0x20
	}
	return '-'
}

// Names are names that Connection lists.
type Names [][]byte

// Contain reports whether one of them is name, in any case.
func (n Names) Contain(name []byte) bool {
	for _, listed := range n {
		if bytes.EqualFold(listed, name) {
			return true
		}
	}
	return false
}

// AppendVia appends us to the gateways that the request has passed, as a gateway must (RFC 9110 §7.6.3): one line, in
// order, with the version that the client spoke and no more of us than the name.
func AppendVia(dst []byte, in *message.Request) []byte {
	for value := range in.Fields.Values("Via") {
		if len(value) > 0 {
			dst = append(append(dst, value...), ", "...)
		}
	}
	return append(append(dst, in.Version...), " wxgate"...)
}

// One is a copy of the value of a header that is there once; "" when it is there more than once, for then somebody
// added one.
func One(h *message.Fields, name string) string {
	var one []byte
	for value := range h.Values(name) {
		if one != nil {
			return ""
		}
		one = value
	}
	return string(one)
}

// Authorization is the request's Authorization, in the request's own memory. A second line could be read differently by
// the service: together they are a list (RFC 9110 §5.2), which is nobody's token.
func Authorization(h *message.Fields) string {
	var first, all []byte
	for value := range h.Values("Authorization") {
		switch {
		case first == nil:
			first = value
		case all == nil:
			all = bytes.Join([][]byte{first, value}, []byte(", "))
		default:
			all = append(append(all, ", "...), value...)
		}
	}
	if all != nil {
		first = all
	}
	return unsafe.String(unsafe.SliceData(first), len(first))
}
