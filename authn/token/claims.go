package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// maxUserID keeps ids exact in a JavaScript number.
const maxUserID = 1<<53 - 1

// maxClaims bounds how many claims a payload may have; ours has eleven at most.
const maxClaims = 32

// Claims are the claims of our tokens (RFC 7519 §4), and those that are read from imported ones. Times are Unix
// seconds.
type Claims struct {
	Issuer    string `json:"iss"`
	Store     string `json:"store"` // id of the store and of its epoch, so that a wiped or restored disk never turns a token into somebody else
	UserID    int64  `json:"sub"`
	AppID     string `json:"appid"`
	OpenID    string `json:"openid"`
	UnionID   string `json:"unionid,omitempty"` // the person across the apps of one Open Platform account; see authn.Tokens.NameUnionIDs
	Nickname  string `json:"nickname,omitempty"`
	SessionID string `json:"sid"`
	TokenID   string `json:"jti"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	NotBefore int64  `json:"-"` // nbf; we never set it, but honour it

	Imported bool   `json:"-"` // an existing backend issued the token
	Purpose  string `json:"-"` // of an imported one: the claim that says that it is for something else than access; "": none does

	audience bool // there is an aud: the token is meant for somebody else
}

// Payload is the raw payload of a token. How it is read depends on who wrote it, which is decided after the signature
// was verified.
type Payload struct {
	// Empty, so that the library has nothing to check: it would go by its own clock, and take a token without exp.
	jwt.RegisteredClaims

	json []byte // well-formed, and UTF-8
}

// MarshalJSON returns the payload as it is.
func (p *Payload) MarshalJSON() ([]byte, error) { return p.json, nil }

// UnmarshalJSON keeps a copy of data, which must be UTF-8 (RFC 7519 §7.2); encoding/json alone would replace invalid
// bytes.
func (p *Payload) UnmarshalJSON(data []byte) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%w: the payload is not UTF-8", ErrMalformed)
	}
	p.json = bytes.Clone(data)
	return nil
}

// read reads a payload of ours strictly. encoding/json would take the last of two equal claims, match names in any case and
// round numbers, so that one token could mean two things to two readers. data is well-formed JSON.
func (c *Claims) read(data []byte) error {
	s := memberScanner{rest: bytes.TrimSpace(data)}
	if !s.open() {
		return fmt.Errorf("%w: the payload is not an object", ErrMalformed)
	}
	var seen [maxClaims][]byte
	for n := 0; ; n++ {
		name, value, more := s.next()
		if !more {
			return nil
		}
		if n == maxClaims || bytes.IndexByte(name, '\\') >= 0 || contains(seen[:n], name) {
			return fmt.Errorf("%w: there are duplicate, oddly spelled or too many claims", ErrMalformed)
		}
		seen[n] = name
		if err := c.set(name, value); err != nil {
			return err
		}
	}
}

// contains reports whether a name is among the seen ones, in any case.
func contains(seen [][]byte, name []byte) bool {
	for _, s := range seen {
		if bytes.EqualFold(s, name) {
			return true
		}
	}
	return false
}

// set takes one claim; names that are not ours are passed over, unless they are ours in another case.
func (c *Claims) set(name, value []byte) error {
	switch string(name) {
	case "iss":
		return setString(&c.Issuer, value)
	case "store":
		return setString(&c.Store, value)
	case "appid":
		return setString(&c.AppID, value)
	case "openid":
		return setString(&c.OpenID, value)
	case "unionid":
		return setString(&c.UnionID, value)
	case "nickname":
		return setString(&c.Nickname, value)
	case "sid":
		return setString(&c.SessionID, value)
	case "jti":
		return setString(&c.TokenID, value)
	case "sub":
		return setInteger(&c.UserID, unquoted(value))
	case "iat":
		return setInteger(&c.IssuedAt, value)
	case "exp":
		return setInteger(&c.ExpiresAt, value)
	case "nbf":
		return setInteger(&c.NotBefore, value)
	case "aud":
		c.audience = true
		return nil
	}
	if knownClaim(bytes.ToLower(name)) {
		return fmt.Errorf("%w: a claim is spelled in another case", ErrMalformed)
	}
	return nil
}

func knownClaim(name []byte) bool {
	switch string(name) {
	case "iss", "store", "appid", "openid", "unionid", "nickname", "sid", "jti", "sub", "iat", "exp", "nbf", "aud":
		return true
	}
	return false
}

func setString(into *string, value []byte) error {
	if len(value) < 2 || value[0] != '"' {
		return fmt.Errorf("%w: a claim is not a string", ErrMalformed)
	}
	if bytes.IndexByte(value, '\\') < 0 {
		*into = string(value[1 : len(value)-1])
		return nil
	}
	return json.Unmarshal(value, into)
}

// unquoted takes the quotes off: a sub may be a number or a numeric string.
func unquoted(value []byte) []byte {
	if len(value) > 2 && value[0] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}

// setInteger takes plain digits only: no sign, fraction, exponent, leading zero or quotes.
func setInteger(into *int64, digits []byte) error {
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || n < 0 || n > maxUserID || (digits[0] == '0' && len(digits) > 1) || digits[0] == '+' || digits[0] == '-' {
		return fmt.Errorf("%w: a claim is not a whole number", ErrMalformed)
	}
	*into = n
	return nil
}

// Members returns the members of a JSON object in UTF-8. The error is ErrMalformed if it is none, or has two members of one
// name, however that is escaped.
func Members(data []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if !utf8.Valid(data) || json.Unmarshal(data, &members) != nil || members == nil {
		return nil, fmt.Errorf("%w: it is not a JSON object", ErrMalformed)
	}
	n, s := 0, memberScanner{rest: bytes.TrimSpace(data)}
	for more := s.open(); more; n++ {
		_, _, more = s.next()
	}
	if n-1 != len(members) { // the last step found none
		return nil, fmt.Errorf("%w: a member is there twice", ErrMalformed)
	}
	return members, nil
}

// memberScanner walks over the members of a JSON object that is known to be well formed.
type memberScanner struct{ rest []byte }

func (s *memberScanner) open() bool {
	if len(s.rest) == 0 || s.rest[0] != '{' {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// next returns a member's name without its quotes and its value as it is written.
func (s *memberScanner) next() (name, value []byte, more bool) {
	s.rest = bytes.TrimLeft(s.rest, " \t\r\n,")
	if len(s.rest) == 0 || s.rest[0] != '"' {
		return nil, nil, false
	}
	end := stringEnd(s.rest)
	name, s.rest = s.rest[1:end-1], bytes.TrimLeft(s.rest[end:], " \t\r\n:")
	end = valueEnd(s.rest)
	value, s.rest = bytes.TrimRight(s.rest[:end], " \t\r\n"), s.rest[end:]
	return name, value, true
}

// stringEnd is the index behind the string that b begins with.
func stringEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// valueEnd is the index behind the value that b begins with: at the comma or brace that ends it.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}
