package wire

import (
	"encoding/binary"
	"math/bits"
)

// class is a set of bytes.
type class [256]bool

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// The byte classes; nothing writes to them. Paths hold what a browser leaves unescaped (WHATWG URL, path percent-encode
// set: pchar of RFC 3986 §3.3 and "[]|\"), queries every visible ASCII byte but "#", because clients send raw JSON
// there.
var (
	tokenBytes  = classOf(alphanumeric, "!#$%&'*+-.^_`|~")
	pathBytes   = classOf(alphanumeric, "-._~%!$&'()*+,;=:@/[]|\\")
	queryBytes  = classOf(alphanumeric, "-._~%!$&'()*+,;=:@/[]|\\?\"<>^`{}")
	hostBytes   = classOf(alphanumeric, "-._~")
	digitBytes  = classOf("0123456789")
	quotedBytes = quoted()
)

func classOf(sets ...string) *class {
	var c class
	for _, set := range sets {
		for i := range len(set) {
			c[set[i]] = true
		}
	}
	return &c
}

// quoted is qdtext, RFC 9110 §5.6.4.
func quoted() *class {
	var c class
	for b := range 256 {
		c[b] = b == '\t' || b >= ' ' && b != '"' && b != '\\' && b != 0x7F
	}
	return &c
}

// span returns how many bytes at the front of b are in the class.
func (c *class) span(b []byte) int {
	for i, ch := range b {
		if !c[ch] {
			return i
		}
	}
	return len(b)
}

// controlAt returns the index of the first byte of b, from i on, that is below 0x20 or DEL; len(b) when there is none.
// It looks at eight bytes at once, because nearly all bytes of a head are harmless.
func controlAt(b []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ 0x7F*ones
		low := (x - 0x20*ones) & ^x & tops
		if hit := low | (del-ones)&^del&tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] < 0x20 || b[i] == 0x7F {
			break
		}
	}
	return i
}

// trimSpace cuts optional white space (OWS, RFC 9110 §5.6.3) from both ends.
func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// is reports whether b is the lower-case word, in any case.
func is(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range b {
		if lower(b[i]) != word[i] {
			return false
		}
	}
	return true
}

// sameFold reports whether a and b differ at most in the case of ASCII letters.
func sameFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(ch byte) byte {
	if 'A' <= ch && ch <= 'Z' {
		return ch | 0x20
	}
	return ch
}
