// Package header knows request fields: their lines as they came, the spellings that services take for one name, what
// names claim about address, scheme and user, Cookie, Via, and the elements of X-Forwarded-For.
package header

import (
	"bytes"
	"fmt"
	"iter"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// Lines walks over the field lines of a request as they came: fasthttp's own list reorders them, keeps one of two
// Content-Types, shows only "close" of a Connection that has it, and rewrites cookies. The strict reader has judged the
// lines, so taking them apart is simple.
func Lines(header *fasthttp.RequestHeader) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for line := range bytes.SplitSeq(header.RawHeaders(), []byte("\r\n")) {
			name, value, found := bytes.Cut(line, []byte{':'})
			if found && !yield(name, bytes.Trim(value, " \t")) {
				return
			}
		}
	}
}

// Folded compares a header name as a lenient reader could understand it with a lower-case one: CGI, WSGI and PHP take _
// for -, some take a dot (oauth2-proxy CVE-2025-64484, Caddy GHSA-f59h-q822-g45g), and lighttpd makes HTTP_X_USER_ID of
// X!User!Id: every byte of a token that is no letter or digit becomes _ there.
func Folded(name []byte, lower string) bool {
	return len(name) == len(lower) && FoldedPrefix(name, lower)
}

// FoldedPrefix is folded for names that begin with a lower-case text.
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

// Fold writes a header name in the form that folded compares with.
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

// ConnectionOptions are what the Connection lines of a request list (RFC 9110 §7.6.1).
func ConnectionOptions(header *fasthttp.RequestHeader) Names {
	var names Names
	for name, value := range Lines(header) {
		if Folded(name, "connection") {
			for option := range bytes.SplitSeq(value, []byte{','}) {
				names = append(names, bytes.TrimSpace(option))
			}
		}
	}
	return names
}

// Contain reports whether one of them is name, in any case.
func (n Names) Contain(name []byte) bool {
	for _, listed := range n {
		if bytes.EqualFold(listed, name) {
			return true
		}
	}
	return false
}

// singleBit is a bit for each field that has one value and decides something: who asks, what of, and what the body is.
func singleBit(name []byte) int {
	switch foldByte(name[0]) {
	case 'a':
		return bitOf(name, "authorization", 0)
	case 'c':
		return bitOf(name, "content-type", 1) | bitOf(name, "content-range", 2)
	case 'i':
		return bitOf(name, "if-range", 3) | bitOf(name, "if-modified-since", 4) | bitOf(name, "if-unmodified-since", 5)
	case 'm':
		return bitOf(name, "max-forwards", 6)
	case 'o':
		return bitOf(name, "origin", 7)
	case 'r':
		return bitOf(name, "range", 8) | bitOf(name, "referer", 9)
	}
	return 0
}

func bitOf(name []byte, lower string, bit int) int {
	if Folded(name, lower) {
		return 1 << bit
	}
	return 0
}

// IsCookie reports whether a field is Cookie.
func IsCookie(name []byte) bool { return bytes.EqualFold(name, []byte("Cookie")) }

// JoinedCookies are the cookies as the client wrote them, nil when there are none. Several lines become one, as HTTP/2
// has it (RFC 9113 §8.2.3).
func JoinedCookies(in *fasthttp.RequestHeader) (cookies []byte) {
	for name, value := range Lines(in) {
		switch {
		case !IsCookie(name):
		case cookies == nil:
			cookies = append([]byte{}, value...)
		default:
			cookies = append(append(cookies, "; "...), value...)
		}
	}
	return cookies
}

// SetVia adds us to the gateways that the request has passed, as a gateway must (RFC 9110 §7.6.3): one line, in order,
// with the version that the client spoke and no more of us than the name.
func SetVia(in, out *fasthttp.RequestHeader) {
	via := bytes.Join(in.PeekAll("Via"), []byte(", "))
	if len(via) > 0 {
		via = append(via, ", "...)
	}
	version := "1.1"
	if !in.IsHTTP11() {
		version = "1.0"
	}
	out.SetBytesV("Via", append(via, version+" wxgate"...))
}

// One is a copy of the value of a header that is there once; "" when it is there more than once, for then somebody
// added one.
func One(h *fasthttp.RequestHeader, name string) string {
	values := h.PeekAll(name) // valid until the next PeekAll
	if len(values) != 1 {
		return ""
	}
	return string(bytes.Trim(values[0], " \t")) // RFC 9110 §5.6.3: no other white space surrounds a value
}

// Authorization is the request's Authorization, in the request's own memory. A second line could be read differently by
// the service: together they are a list (RFC 9110 §5.2), which is nobody's token.
func Authorization(h *fasthttp.RequestHeader) string {
	lines := h.PeekAll(fasthttp.HeaderAuthorization)
	switch len(lines) {
	case 0:
		return ""
	case 1:
		return unsafe.String(unsafe.SliceData(lines[0]), len(lines[0]))
	}
	return string(bytes.Join(lines, []byte(", ")))
}

// maxConnectionOptions is how many names Connection may list: each is compared with each field.
const maxConnectionOptions = 100

// CheckSingle returns the fault of a request with two lines of a field that has one value (RFC 9110 §5.3): one service
// takes the first, another the last, and a third joins them. Host and framing are the strict reader's.
func CheckSingle(h *fasthttp.RequestHeader) error {
	seen, options := 0, 0
	for name, value := range Lines(h) {
		field := singleBit(name)
		if seen&field != 0 {
			return fmt.Errorf("%.32q is there twice", name)
		}
		seen |= field
		if Folded(name, "connection") {
			options += 1 + bytes.Count(value, []byte{','})
		}
	}
	if options > maxConnectionOptions {
		return fmt.Errorf("%s lists %d names", fasthttp.HeaderConnection, options)
	}
	return nil
}
