package gateway

import (
	"bytes"
	"strings"
)

// target is a request target taken apart (RFC 9112 §3.2): what is sent on is made of the very bytes that were judged.
type target struct {
	raw  []byte // path and query as the client sent them
	path []byte // the path with percent-encodings decoded: what routes are matched on
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
	return target{raw: raw, path: path}, true
}

// percentDecode appends the decoded path to into[:0]. What decodes to a delimiter of paths, to a control byte or to
// another percent-encoding of one, and bytes that UTF-8 never has (overlong dots and slashes), is refused.
func percentDecode(path, into []byte) ([]byte, bool) {
	into = into[:0]
	for i := 0; i < len(path); i++ {
		b := path[i]
		if b == '%' {
			if i+2 >= len(path) || unhex(path[i+1]) < 0 || unhex(path[i+2]) < 0 {
				return nil, false
			}
			b = byte(unhex(path[i+1])<<4 | unhex(path[i+2]))
			i += 2
			if b == '.' || b == '/' || b == '\\' || b < 0x20 || b == 0x7f || b == 0xc0 || b == 0xc1 {
				return nil, false
			}
			if b == '%' && encodesDelimiter(path[i+1:]) {
				return nil, false
			}
		}
		into = append(into, b)
	}
	return into, true
}

func encodesDelimiter(after []byte) bool {
	if len(after) < 2 {
		return false
	}
	switch strings.ToLower(string(after[:2])) {
	case "2e", "2f", "5c", "00", "25":
		return true
	}
	return false
}

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

// cleanPath says whether a path has no segment that some reader would resolve, drop or split.
func cleanPath(path []byte) bool {
	start := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			if path[i] == '\\' || path[i] < 0x20 || path[i] == 0x7f {
				return false
			}
			continue
		}
		segment, _, _ := bytes.Cut(path[start:i], []byte{';'})
		if (i < len(path) && start == i) || string(segment) == "." || string(segment) == ".." {
			return false
		}
		start = i + 1
	}
	return true
}
