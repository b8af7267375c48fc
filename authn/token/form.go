package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// maxTokenBytes bounds what is looked at; our own tokens have about 450 bytes.
const maxTokenBytes = 4096

// Bearer returns the token of a credential, in the credential's own memory: "Bearer", 1*SP, b64token (RFC 6750 §2.1), or
// a JWT, alone or as clients write it that know no better: "bearer" and no blank, or the scheme JWT or Token. It has at
// most maxTokenBytes. All code that reads a token calls it, so that a token has one spelling: a looser reader would cache
// the same token under other keys. The case of a scheme does not matter (RFC 9110 §11.1).
//
// The error is ErrMissing if the request does not claim to be from anybody, and ErrMalformed if it tries and fails.
func Bearer(credential string) (string, error) { return BearerUpTo(credential, maxTokenBytes) }

// BearerUpTo is Bearer for tokens of at most so many bytes.
func BearerUpTo(credential string, most int) (string, error) {
	token, named := Candidate(credential)
	switch {
	case guest(credential) || named && guest(token):
		return "", ErrMissing
	case !named || !isBearer(credential) && !opensJWT(token):
		return "", fmt.Errorf("%w: it is neither Bearer and a token nor a JWT", ErrMalformed)
	case len(token) > most || !b64token(token):
		return "", fmt.Errorf("%w: it is not one b64token of up to %d bytes", ErrMalformed, most)
	}
	return token, nil
}

// Candidate returns what may be the token of a credential, for a look-up among tokens that Bearer returned before: no
// character of it has been looked at. It reports whether the scheme is Bearer, or the rest has two dots as a JWT has.
func Candidate(credential string) (token string, named bool) {
	if isBearer(credential) {
		return strings.Trim(credential[len(schemeBearer):], " "), true
	}
	token = withoutScheme(credential)
	return token, strings.Count(token, ".") == jwtDots
}

const schemeBearer = "Bearer"

// isBearer reports whether a credential is Bearer, alone or with a blank behind it.
func isBearer(credential string) bool {
	const n = len(schemeBearer)
	return len(credential) >= n && (len(credential) == n || credential[n] == ' ') &&
		(credential[:n] == schemeBearer || strings.EqualFold(credential[:n], schemeBearer))
}

// withoutScheme is a credential without what some clients write before a JWT: Bearer and no blank, JWT (of Django REST
// framework and Passport) or Token.
func withoutScheme(credential string) string {
	scheme, rest, _ := strings.Cut(credential, " ")
	switch {
	case strings.EqualFold(scheme, "JWT"), strings.EqualFold(scheme, "Token"):
		return strings.Trim(rest, " ")
	case len(scheme) > len(schemeBearer) && strings.EqualFold(scheme[:len(schemeBearer)], schemeBearer):
		return credential[len(schemeBearer):]
	}
	return credential
}

// opensJWT reports whether a text begins with a JSON object as JWTs do, so that nothing else is taken for one.
func opensJWT(text string) bool {
	segment, _, _ := strings.Cut(text, ".")
	data, ok := DecodeSegment(segment)
	return ok && len(data) > 1 && data[0] == '{' && data[len(data)-1] == '}'
}

// jwtDots are the dots of a JWT (RFC 7515 §3.1).
const jwtDots = 2

// HasCredentials reports whether a credential claims that the request is from somebody.
func HasCredentials(credential string) bool {
	_, err := Bearer(credential)
	return !errors.Is(err, ErrMissing)
}

// guest reports whether a text is what request wrappers send for people who have not logged in: they write "Bearer "
// before whatever their storage holds.
func guest(s string) bool { return s == "" || s == "null" || s == "undefined" }

// b64token reports whether s is one or more of the characters of RFC 6750 §2.1, with = at its end alone.
func b64token(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if base64urlValue(s[i]) == invalidBase64 && strings.IndexByte(".~+/", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// canonicalBase64 reports whether s is base64url as an encoder writes it: unused bits of the last character are zero.
func canonicalBase64(s string) bool {
	for i := range len(s) {
		if base64urlValue(s[i]) == invalidBase64 {
			return false
		}
	}
	return s != "" && canonicalEnd(s)
}

// canonicalEnd reports whether the last group of base64url has a length that it can have, and no bits that mean nothing.
func canonicalEnd(s string) bool {
	switch len(s) % 4 {
	case 1:
		return false
	case 2:
		return base64urlValue(s[len(s)-1])&0x0f == 0
	case 3:
		return base64urlValue(s[len(s)-1])&0x03 == 0
	}
	return true
}

// DecodeSegment decodes a segment of a token, base64url as an encoder writes it, and reports whether it is that. The
// library would skip line feeds.
func DecodeSegment(s string) ([]byte, bool) {
	decoded := make([]byte, 0, base64.RawURLEncoding.DecodedLen(len(s)))
	bits, held := uint32(0), 0
	for i := range len(s) {
		value := base64urlValue(s[i])
		if value == invalidBase64 {
			return nil, false
		}
		if bits, held = bits<<6|uint32(value), held+6; held >= 8 {
			held -= 8
			decoded = append(decoded, byte(bits>>held))
		}
	}
	return decoded, s != "" && canonicalEnd(s)
}

const invalidBase64 = 0xff

// base64urlValue is what a character of base64url stands for, or invalidBase64.
func base64urlValue(b byte) byte {
	if b < 0x80 {
		return base64urlValues[b]
	}
	return invalidBase64
}

// base64urlValues are the values of the ASCII characters.
const base64urlValues = "" +
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x3e\xff\xff" +
	"\x34\x35\x36\x37\x38\x39\x3a\x3b\x3c\x3d\xff\xff\xff\xff\xff\xff" +
	"\xff\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e" +
	"\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\xff\xff\xff\xff\x3f" +
	"\xff\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21\x22\x23\x24\x25\x26\x27\x28" +
	"\x29\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31\x32\x33\xff\xff\xff\xff\xff"
