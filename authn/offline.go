package authn

import (
	"fmt"
	"time"

	"wxgate/authn/token"
)

// CheckToken returns why a gateway with this configuration would refuse a token, judging by keys and clock alone: only
// the running gateway knows whether the session has ended and whether the user exists. Errors other than
// token.ErrMalformed, token.ErrInvalid and token.ErrExpired concern the keys.
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

// KeyMaterials returns what tells the keys of a configuration apart, as token.Keyring.Materials does.
func KeyMaterials(cfg Config) ([][]byte, error) {
	ring, err := token.NewKeyring(cfg.tokens())
	if err != nil {
		return nil, err
	}
	return ring.Materials(), nil
}
