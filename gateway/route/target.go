package route

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// RequestTarget is a request target taken apart (RFC 9112 §3.2): what is sent on is made of the very bytes that were
// judged.
type RequestTarget struct {
	Raw    []byte // path and query as the client sent them
	Path   []byte // the path with percent-encodings decoded
	Folded []byte // path in lower case: what routes are matched on
}

// ParseRequestTarget reads an origin-form target; decoded is a buffer it may use. Whatever two readers could
// take for two paths is refused: dot segments, empty segments, backslashes, control characters, and all of them encoded
// once or twice, with or without a ;parameter; and an encoded ? or #, where a service that decodes first ends the path.
func ParseRequestTarget(raw, decoded []byte) (RequestTarget, bool) {
	if len(raw) == 0 || raw[0] != '/' {
		return RequestTarget{}, false
	}
	path, _, _ := bytes.Cut(raw, []byte{'?'})
	if bytes.IndexByte(path, '%') >= 0 {
		var ok bool
		if path, ok = percentDecode(path, decoded); !ok {
			return RequestTarget{}, false
		}
	}
	if !cleanPath(path) {
		return RequestTarget{}, false
	}
	return RequestTarget{Raw: raw, Path: path, Folded: lowerCase(path)}, true
}

// lowerCase folds letters: routes are matched without regard to case, as Express does by default, so that no spelling
// of a protected path reaches the service by a route that is open. Beyond ASCII, letters are one when either case is: ſ
// is s, and the Kelvin sign k, as they are for those who compare by Unicode.
func lowerCase(path []byte) []byte {
	capitals := false
	for _, b := range path {
		if b >= utf8.RuneSelf {
			return bytes.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, path)
		}
		capitals = capitals || b >= 'A' && b <= 'Z'
	}
	if capitals {
		return bytes.ToLower(path)
	}
	return path
}

// percentDecode appends the decoded path to into[:0]. A path that is still encoded after that, that is not UTF-8
// (overlong dots and slashes), and one with an encoded delimiter or control byte, is refused.
func percentDecode(path, into []byte) ([]byte, bool) {
	into = into[:0]
	for i := 0; i < len(path); i++ {
		b := path[i]
		if b == '%' {
			if !encoded(path[i:]) {
				return nil, false
			}
			b = byte(unhex(path[i+1])<<4 | unhex(path[i+2]))
			i += 2
			if b == '.' || b == '/' {
				return nil, false
			}
		}
		into = append(into, b)
	}
	for i, b := range into {
		if b == '%' && encoded(into[i:]) {
			return nil, false
		}
	}
	return into, utf8.Valid(into)
}

// encoded reports whether b begins with a percent-encoding (RFC 3986 §2.1).
func encoded(b []byte) bool { return len(b) > 2 && unhex(b[1]) >= 0 && unhex(b[2]) >= 0 }

// unhex is the value of a hexadecimal digit, -1 of anything else.
func unhex(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// cleanPath reports whether a decoded path has nothing that some reader would resolve, drop or split: \, ;parameters
// (Tomcat drops them), ? and # (encoded, or they would not be there), control characters, empty segments, and segments
// of dots or with white space at an end.
func cleanPath(path []byte) bool {
	start := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			if splits(path[i:]) {
				return false
			}
			continue
		}
		if !cleanSegment(path[start:i], i == len(path)) {
			return false
		}
		start = i + 1
	}
	return true
}

// splits reports whether the character that b begins with could end a path, or is a control character (C0, DEL or C1).
func splits(b []byte) bool {
	switch ch := b[0]; {
	case ch == '\\' || ch == ';' || ch == '?' || ch == '#' || ch < 0x20 || ch == 0x7f:
		return true
	case ch == 0xc2 && len(b) > 1:
		return b[1] < 0xa0
	}
	return false
}

func cleanSegment(segment []byte, last bool) bool {
	if len(segment) == 0 {
		return last
	}
	first, _ := utf8.DecodeRune(segment)
	end, _ := utf8.DecodeLastRune(segment)
	return !trimmed(first) && !trimmed(end) && len(bytes.Trim(segment, ".")) > 0
}

// trimmed reports whether a language's trim takes the character off a text's ends: Unicode's white space, and what is
// or was blank to JavaScript (U+FEFF), .NET (U+200B) and Java (U+180E).
func trimmed(r rune) bool {
	return unicode.IsSpace(r) || r == '\ufeff' || r == '\u200b' || r == '\u180e'
}
