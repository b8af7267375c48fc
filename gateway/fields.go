package gateway

import (
	"bytes"
	"iter"

	"github.com/valyala/fasthttp"
)

// fieldLines walks over the field lines of a request as they came: fasthttp's own list reorders them, keeps one of two
// Content-Types, shows only "close" of a Connection that has it, and rewrites cookies. The strict reader has judged the
// lines, so taking them apart is simple.
func fieldLines(header *fasthttp.RequestHeader) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for line := range bytes.SplitSeq(header.RawHeaders(), []byte("\r\n")) {
			name, value, found := bytes.Cut(line, []byte{':'})
			if found && !yield(name, bytes.Trim(value, " \t")) {
				return
			}
		}
	}
}

// folded compares a header name as a lenient reader could understand it with a lower-case one: CGI, WSGI and PHP take _
// for -, some take a dot (oauth2-proxy CVE-2025-64484, Caddy GHSA-f59h-q822-g45g), and lighttpd makes HTTP_X_USER_ID of
// X!User!Id: every byte of a token that is no letter or digit becomes _ there.
func folded(name []byte, lower string) bool {
	return len(name) == len(lower) && foldedPrefix(name, lower)
}

// foldedPrefix is folded for names that begin with a lower-case text.
func foldedPrefix(name []byte, lower string) bool {
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

func foldByte(b byte) byte {
	switch {
	case b >= 'a' && b <= 'z' || b >= '0' && b <= '9':
		return b
	case b >= 'A' && b <= 'Z':
		return b | 0x20
	}
	return '-'
}

// headerNames are names that Connection lists.
type headerNames [][]byte

// connectionOptions are what the Connection lines of a request list (RFC 9110 §7.6.1).
func connectionOptions(header *fasthttp.RequestHeader) headerNames {
	var names headerNames
	for name, value := range fieldLines(header) {
		if folded(name, "connection") {
			for option := range bytes.SplitSeq(value, []byte{','}) {
				names = append(names, bytes.TrimSpace(option))
			}
		}
	}
	return names
}

func (n headerNames) hold(name []byte) bool {
	for _, listed := range n {
		if bytes.EqualFold(listed, name) {
			return true
		}
	}
	return false
}
