package authn

import (
	"crypto/rand"
	"encoding/base64"
)

// idLength is the length of a sid or jti in characters.
const idLength = 22

// newID returns 128 random bits in base64url: the form of every sid and jti. None begins with a dash, which a command
// line would take for a flag.
func newID() string {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails since Go 1.24: crypto/rand ends the process rather than return weak bytes
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}
