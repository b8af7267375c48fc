package credential

import (
	"errors"
	"fmt"
	"strings"
)

// SetCookie is a cookie by which a browser keeps the token of a login (RFC 6265 §4.1).
type SetCookie struct {
	Name       string
	attributes string // each after "; "
}

// The attributes that a name alone stands for.
const defaultAttributes = "; Path=/; Secure; HttpOnly; SameSite=Lax"

// maxSetCookieBytes bounds the text of a SetCookie.
const maxSetCookieBytes = 256

var errSetCookie = errors.New("wants a name and, after semicolons, Path=, Domain=, SameSite=, Secure and HttpOnly, each at most once")

// ParseSetCookie reads a name with attributes as Set-Cookie has them, "token; Path=/; Secure; SameSite=None". Without any
// the cookie is Secure, HttpOnly, SameSite=Lax and sent to every path. How long it lives is not said: as long as its token.
func ParseSetCookie(text string) (c SetCookie, err error) {
	name, rest, more := strings.Cut(text, ";")
	c = SetCookie{strings.TrimSpace(name), defaultAttributes}
	if err := CheckName(c.Name); err != nil {
		return c, err
	}
	if !more {
		return c, nil
	}
	if len(text) > maxSetCookieBytes {
		return c, fmt.Errorf("has %d bytes; %d are the most", len(text), maxSetCookieBytes)
	}
	seen := map[string]string{}
	c.attributes = ""
	for attribute := range strings.SplitSeq(rest, ";") {
		attribute = strings.TrimSpace(attribute)
		key, value, _ := strings.Cut(attribute, "=")
		key = strings.ToLower(key)
		if _, twice := seen[key]; twice || !validAttribute(key, value, strings.Contains(attribute, "=")) {
			return c, fmt.Errorf("%q: %w", attribute, errSetCookie)
		}
		seen[key] = value
		c.attributes += "; " + attribute
	}
	if _, secure := seen["secure"]; strings.EqualFold(seen["samesite"], "none") && !secure {
		return c, errors.New("browsers refuse SameSite=None without Secure")
	}
	if _, path := seen["path"]; !path {
		c.attributes += "; Path=/"
	}
	return c, nil
}

// validAttribute reports whether an attribute is one that an operator may choose.
func validAttribute(key, value string, hasValue bool) bool {
	switch key {
	case "secure", "httponly":
		return !hasValue
	case "path":
		return strings.HasPrefix(value, "/") && !strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f })
	case "domain":
		return CheckName(value) == nil
	case "samesite":
		return strings.EqualFold(value, "lax") || strings.EqualFold(value, "strict") || strings.EqualFold(value, "none")
	}
	return false
}

// Line is the value of Set-Cookie that keeps a token for so many seconds; 0 removes it.
func (c SetCookie) Line(token string, seconds int64) string {
	return fmt.Sprintf("%s=%s; Max-Age=%d%s", c.Name, token, seconds, c.attributes)
}
