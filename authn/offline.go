package authn

import (
	"fmt"
	"time"

	"wxgate/authn/token"
)

// CheckToken says why a gateway with this configuration would refuse a token, as far as keys and clock tell it: whether
// its session has ended, and whether its user exists in this store, the running gateway alone knows. An error that is
// none of token.ErrMalformed, token.ErrInvalid and token.ErrExpired is about the keys.
func CheckToken(cfg Config, bearer string, now time.Time) error {
	ring, err := token.NewKeyring(cfg.tokens())
	if err != nil {
		return err
	}
	payload, err := ring.Parse(bearer)
	if err != nil {
		return err
	}
	c, err := ring.Read(bearer, payload)
	if err != nil {
		return err
	}
	latest := now.Add(cfg.Leeway).Unix()
	switch {
	case c.Purpose != "":
		return fmt.Errorf("%w: its claim %.64q says that it is for another purpose than access", token.ErrInvalid, c.Purpose)
	case c.IssuedAt > latest || c.NotBefore > latest:
		return token.ErrInvalid
	case !now.Before(time.Unix(c.ExpiresAt, 0).Add(cfg.Leeway)):
		return token.ErrExpired
	}
	return nil
}
