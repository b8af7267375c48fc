package token

import (
	"errors"
	"fmt"
	"strings"
)

// maxTokenBytes bounds what is looked at; our own tokens have about 450 bytes.
const maxTokenBytes = 4096

// Bearer returns the token of an Authorization header, in the header's own memory: "Bearer", 1*SP, b64token (RFC 6750
// §2.1), in at most maxTokenBytes. All code that reads a token calls it, so that a token has one spelling: a looser
// reader would cache the same token under other keys. The case of the scheme does not matter (RFC 9110 §11.1).
//
// The error is ErrMissing if the request does not claim to be from anybody, and ErrMalformed if it tries and fails.
func Bearer(authorization string) (string, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	token = strings.Trim(token, " ")
	switch {
	case guest(authorization) || strings.EqualFold(scheme, "Bearer") && guest(token):
		return "", ErrMissing
	case !strings.EqualFold(scheme, "Bearer"):
		return "", fmt.Errorf("%w: Authorization is not Bearer and a token", ErrMalformed)
	case len(token) > maxTokenBytes || !b64token(token):
		return "", fmt.Errorf("%w: it is not one b64token of up to %d bytes", ErrMalformed, maxTokenBytes)
	}
	return token, nil
}

// HasCredentials reports whether an Authorization header claims that the request is from somebody.
func HasCredentials(authorization string) bool {
	_, err := Bearer(authorization)
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
	if s == "" || len(s)%4 == 1 {
		return false
	}
	last := byte(0)
	for i := range len(s) {
		if last = base64urlValue(s[i]); last == invalidBase64 {
			return false
		}
	}
	switch len(s) % 4 {
	case 2:
		return last&0x0f == 0
	case 3:
		return last&0x03 == 0
	}
	return true
}

const invalidBase64 = 0xff

func base64urlValue(b byte) byte {
	switch {
	case b >= 'A' && b <= 'Z':
		return b - 'A'
	case b >= 'a' && b <= 'z':
		return b - 'a' + 26
	case b >= '0' && b <= '9':
		return b - '0' + 52
	case b == '-':
		return 62
	case b == '_':
		return 63
	}
	return invalidBase64
}
