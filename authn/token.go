package authn

import (
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxTokenBytes bounds what is looked at; our own tokens have about 450 bytes.
const maxTokenBytes = 4096

// checkForm refuses what is not the one spelling of a token that we would have written: RFC 7515 §2 asks for base64url
// without padding, white space or other characters, and the library below is lenient in all three.
func (r *keyring) checkForm(token string) error {
	if len(token) > maxTokenBytes {
		return ErrTokenMalformed
	}
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, found := strings.Cut(rest, ".")
	if !found || !canonicalBase64(header) || !canonicalBase64(payload) || !canonicalBase64(signature) {
		return ErrTokenMalformed
	}
	if _, ours := r.byHeader[header]; !ours {
		return ErrTokenInvalid
	}
	return nil
}

// canonicalBase64 says whether s is base64url as an encoder writes it: unused bits of the last character are zero.
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

// parse returns the claims of a token whose form and signature hold; its times are not looked at.
func (a *Authn) parse(token string) (*Claims, error) {
	if token == "" {
		return nil, ErrTokenMissing
	}
	if err := a.keys.checkForm(token); err != nil {
		return nil, err
	}
	var claims Claims
	if _, err := jwt.ParseWithClaims(token, &claims, a.keys.find); err != nil {
		return nil, ofLibrary(err)
	}
	return &claims, nil
}

// ofLibrary turns an error of the JWT library into one of ours.
func ofLibrary(err error) error {
	if errors.Is(err, ErrTokenMalformed) || errors.Is(err, jwt.ErrTokenMalformed) {
		return ErrTokenMalformed
	}
	return ErrTokenInvalid
}

// judge decides on claims whose signature holds: issuer, store, times and revocation. It touches no disk.
// late is how long after its expiry the token is still taken: 0 but for refresh.
func (a *Authn) judge(c *Claims, late time.Duration) error {
	if err := a.judgeOrigin(c); err != nil {
		return err
	}
	now := a.now()
	if c.IssuedAt > now.Add(a.cfg.Leeway).Unix() || c.NotBefore > now.Add(a.cfg.Leeway).Unix() {
		return ErrTokenInvalid
	}
	if !now.Before(c.expiry().Add(a.cfg.Leeway + late)) {
		return ErrTokenExpired
	}
	return nil
}

// judgeOrigin refuses claims that no login of this store can have made.
func (a *Authn) judgeOrigin(c *Claims) error {
	if c.Issuer != a.cfg.Issuer || c.Store != a.store.ID() || c.UserID < 1 || c.OpenID == "" ||
		len(c.SessionID) != idLength || len(c.TokenID) != idLength || c.IssuedAt < 1 || c.ExpiresAt <= c.IssuedAt {
		return ErrTokenInvalid
	}
	return nil
}
