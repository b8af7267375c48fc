package authn

import (
	"crypto/rand"
	"encoding/base64"
)

// idLength is the length of a sid or jti in characters.
const idLength = 22

// newID returns 128 random bits in base64url: the form of every sid and jti.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24: crypto/rand ends the process rather than return weak bytes
	return base64.RawURLEncoding.EncodeToString(b[:])
}
