package authn

import (
	"fmt"
	"time"
)

// CheckToken says why a gateway with this configuration would refuse a token, as far as keys and clock tell it: whether
// its session has ended, and whether its user exists in this store, the running gateway alone knows. An error that is
// none of ErrTokenMalformed, ErrTokenInvalid and ErrTokenExpired is about the keys.
func CheckToken(cfg Config, token string, now time.Time) error {
	ring, err := newKeyring(cfg)
	if err != nil {
		return err
	}
	payload, err := ring.parse(token)
	if err != nil {
		return err
	}
	c, err := ring.read(token, payload)
	if err != nil {
		return err
	}
	latest := now.Add(cfg.Leeway).Unix()
	switch {
	case c.Purpose != "":
		return fmt.Errorf("%w: its claim %.64q says that it is for another purpose than access", ErrTokenInvalid, c.Purpose)
	case c.IssuedAt > latest || c.NotBefore > latest:
		return ErrTokenInvalid
	case !now.Before(time.Unix(c.ExpiresAt, 0).Add(cfg.Leeway)):
		return ErrTokenExpired
	}
	return nil
}
