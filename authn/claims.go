package authn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxUserID keeps ids exact in a JavaScript number.
const maxUserID = 1<<53 - 1

// Claims is the payload of our tokens (RFC 7519 §4). Times are whole seconds of the Unix epoch.
type Claims struct {
	Issuer    string `json:"iss"`
	Store     string `json:"store"` // id of the store, so that a wiped disk never turns an old token into somebody else
	UserID    int64  `json:"sub"`
	AppID     string `json:"appid"`
	OpenID    string `json:"openid"`
	Nickname  string `json:"nickname,omitempty"`
	SessionID string `json:"sid"`
	TokenID   string `json:"jti"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	NotBefore int64  `json:"-"` // nbf; we never set it, but honour it
}

// UnmarshalJSON reads the payload strictly. encoding/json alone would take the last of two equal claims, match names
// in any case and round numbers, so that one token could mean two things to two readers.
func (c *Claims) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("%w: the payload is not an object", ErrTokenMalformed)
	}
	seen := make(map[string]struct{}, 12)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrTokenMalformed, err)
		}
		claim, _ := name.(string)
		if _, twice := seen[claim]; twice {
			return fmt.Errorf("%w: a claim is there twice", ErrTokenMalformed)
		}
		seen[claim] = struct{}{}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return fmt.Errorf("%w: %w", ErrTokenMalformed, err)
		}
		if err := c.set(claim, value); err != nil {
			return err
		}
	}
	return nil
}

// set takes one claim; names that are not ours are passed over.
func (c *Claims) set(name string, value json.RawMessage) error {
	switch name {
	case "iss":
		return setString(&c.Issuer, value)
	case "store":
		return setString(&c.Store, value)
	case "appid":
		return setString(&c.AppID, value)
	case "openid":
		return setString(&c.OpenID, value)
	case "nickname":
		return setString(&c.Nickname, value)
	case "sid":
		return setString(&c.SessionID, value)
	case "jti":
		return setString(&c.TokenID, value)
	case "sub":
		return setInteger(&c.UserID, bytes.Trim(value, `"`))
	case "iat":
		return setInteger(&c.IssuedAt, value)
	case "exp":
		return setInteger(&c.ExpiresAt, value)
	case "nbf":
		return setInteger(&c.NotBefore, value)
	}
	return nil
}

func setString(into *string, value json.RawMessage) error {
	if len(value) == 0 || value[0] != '"' {
		return fmt.Errorf("%w: a claim is not a string", ErrTokenMalformed)
	}
	return json.Unmarshal(value, into)
}

// setInteger takes plain digits only: no sign, fraction, exponent, leading zero or quotes.
func setInteger(into *int64, digits []byte) error {
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || n < 0 || n > maxUserID || strconv.FormatInt(n, 10) != string(digits) {
		return fmt.Errorf("%w: a claim is not a whole number", ErrTokenMalformed)
	}
	*into = n
	return nil
}

// The methods of jwt.Claims answer with nothing: the library would check times by its own clock and take a token
// without exp, so Authn.judge does all of it.
var _ jwt.Claims = (*Claims)(nil)

// GetExpirationTime answers nil; see judge.
func (c *Claims) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }

// GetIssuedAt answers nil; see judge.
func (c *Claims) GetIssuedAt() (*jwt.NumericDate, error) { return nil, nil }

// GetNotBefore answers nil; see judge.
func (c *Claims) GetNotBefore() (*jwt.NumericDate, error) { return nil, nil }

// GetIssuer answers nothing; see judge.
func (c *Claims) GetIssuer() (string, error) { return "", nil }

// GetSubject answers nothing; see judge.
func (c *Claims) GetSubject() (string, error) { return "", nil }

// GetAudience answers nothing; our tokens have no aud.
func (c *Claims) GetAudience() (jwt.ClaimStrings, error) { return nil, nil }

func (c *Claims) expiry() time.Time { return time.Unix(c.ExpiresAt, 0) }
