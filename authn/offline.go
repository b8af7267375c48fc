package authn

import (
	"fmt"
	"strings"
	"time"
)

// CheckToken says why a gateway with this configuration would refuse a token, as far as keys and clock tell it: whether
// its session has ended, and whether its user exists in this store, the running gateway alone knows. An error that is
// none of ErrTokenMalformed, ErrTokenInvalid and ErrTokenExpired is about the keys.
func CheckToken(cfg Config, token string, now time.Time) error {
	ring, err := newKeyring(cfg.Algorithm, cfg.Keys)
	if err != nil {
		return err
	}
	if err := ring.checkForm(token, cfg.AcceptForeign); err != nil {
		return err
	}
	said, err := ring.parse(token)
	if err != nil {
		return err
	}
	c, err := ring.read(cfg, token, said)
	if err != nil {
		return err
	}
	latest := now.Add(cfg.Leeway).Unix()
	switch {
	case c.IssuedAt > latest || c.NotBefore > latest:
		return ErrTokenInvalid
	case !now.Before(c.expiry().Add(cfg.Leeway)):
		return ErrTokenExpired
	}
	return nil
}

// read reads a payload by who wrote it, without asking for its user.
func (r *keyring) read(cfg Config, token string, said *Payload) (*Claims, error) {
	header, _, _ := strings.Cut(token, ".")
	if _, ours := r.byHeader[header]; !ours {
		c, err := readForeign(said.json)
		if err == nil && c.purpose != "" {
			err = fmt.Errorf("%w: its claim %.64q says that it is for another purpose than access", ErrTokenInvalid, c.purpose)
		}
		return &Claims{IssuedAt: c.IssuedAt, NotBefore: c.NotBefore, ExpiresAt: c.ExpiresAt}, err
	}
	c, err := (&Authn{cfg: cfg}).readOurs(said.json)
	if err == nil && c.Issuer != cfg.Issuer {
		err = ErrTokenInvalid
	}
	return c, err
}
