package gateway

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// target is a request target taken apart (RFC 9112 §3.2): what is sent on is made of the very bytes that were judged.
type target struct {
	raw    []byte // path and query as the client sent them
	path   []byte // the path with percent-encodings decoded
	folded []byte // path in lower case: what routes are matched on
}

// parseTarget reads an origin-form target; decoded is a buffer it may use. Whatever two readers could
// take for two paths is refused: dot segments, empty segments, backslashes, control bytes, and all of them encoded once
// or twice, with or without a ;parameter.
func parseTarget(raw, decoded []byte) (target, bool) {
	if len(raw) == 0 || raw[0] != '/' {
		return target{}, false
	}
	path, _, _ := bytes.Cut(raw, []byte{'?'})
	if bytes.IndexByte(path, '%') >= 0 {
		var ok bool
		if path, ok = percentDecode(path, decoded); !ok {
			return target{}, false
		}
	}
	if !cleanPath(path) {
		return target{}, false
	}
	return target{raw: raw, path: path, folded: lowerCase(path)}, true
}

// lowerCase folds letters: routes are matched without regard to case, as Express does by default, so that no spelling of
// a protected path reaches the service by a route that is open. Beyond ASCII, letters are one when either case is: ſ is
// s, and the Kelvin sign k, as they are for those who compare by Unicode.
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

// encoded says whether b begins with a percent-encoding (RFC 3986 §2.1).
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

// cleanPath says whether a path has nothing that some reader would resolve, drop or split: backslashes, control bytes,
// ;parameters (Tomcat drops them), empty segments, and segments of dots or with blanks at an end.
func cleanPath(path []byte) bool {
	start := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			if b := path[i]; b == '\\' || b == ';' || b < 0x20 || b == 0x7f {
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

func cleanSegment(segment []byte, last bool) bool {
	if len(segment) == 0 {
		return last
	}
	if segment[0] == ' ' || segment[len(segment)-1] == ' ' {
		return false
	}
	return len(bytes.Trim(segment, ".")) > 0
}
