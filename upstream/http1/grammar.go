package http1

import "encoding/binary"

// digits reads an unsigned decimal number of at most 18 digits.
func digits(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, d := range b {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	return n, true
}

// The bytes of a token (RFC 9110 §5.6.2), a bit for each: !#$%&'*+-.^_`|~, digits and letters.
const (
	tokenLow  = 0x03ff6cfa00000000 // those below 64
	tokenHigh = 0x57ffffffc7fffffe
)

// isToken reports whether b is a token.
func isToken(b []byte) bool {
	for _, c := range b {
		set := uint64(tokenLow)
		if c >= 64 {
			set = tokenHigh
		}
		if c >= 128 || set>>(c&63)&1 == 0 {
			return false
		}
	}
	return len(b) > 0
}

// trim removes white space around b.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// clean reports whether b holds no control byte but the tab.
func clean(b []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		eight := binary.LittleEndian.Uint64(b)
		del := eight ^ ones*0x7f
		found := (eight-ones*' ')&^eight | (del-ones)&^del // the high bit of a control byte, perhaps also of the next
		if found&high != 0 && !allClean(b[:8]) {
			return false
		}
	}
	return allClean(b)
}

func allClean(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// hexDigit is the value of one hexadecimal digit in either case.
func hexDigit(c byte) (int64, bool) {
	switch {
	case c >= '0' && c <= '9':
		return int64(c - '0'), true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10, true
	}
	return 0, false
}
