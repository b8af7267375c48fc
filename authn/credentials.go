package authn

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// credentials takes the token out of a request, in the request's own memory: "Bearer", 1*SP, b64token (RFC 6750 §2.1),
// in at most maxTokenBytes. Everything that looks at a token asks here, so that one token has one spelling: what is
// looser would be another key of the token cache for the same token. The scheme's case does not matter (RFC 9110 §11.1);
// a second Authorization line could be read differently by the service, so there may be none.
//
// The error is ErrTokenMissing when the request does not try to say who it is from, ErrTokenMalformed when it fails to.
func credentials(c *fiber.Ctx) (string, error) {
	if twice(c, fiber.HeaderAuthorization) {
		return "", fmt.Errorf("%w: there are two Authorization lines", ErrTokenMalformed)
	}
	header := c.Get(fiber.HeaderAuthorization)
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.Trim(token, " ")
	switch {
	case guest(header) || strings.EqualFold(scheme, "Bearer") && guest(token):
		return "", ErrTokenMissing
	case !strings.EqualFold(scheme, "Bearer"):
		return "", fmt.Errorf("%w: Authorization is not Bearer and a token", ErrTokenMalformed)
	case len(token) > maxTokenBytes || !b64token(token):
		return "", fmt.Errorf("%w: it is not one b64token of up to %d bytes", ErrTokenMalformed, maxTokenBytes)
	}
	return token, nil
}

// guest reports whether a text is what request wrappers send for people who have not logged in: they write "Bearer "
// before whatever their storage holds.
func guest(s string) bool { return s == "" || s == "null" || s == "undefined" }

// b64token reports whether s is one or more of the characters of RFC 6750 §2.1, with = at its end alone.
func b64token(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if base64urlValue(s[i]) == invalidBase64 && strings.IndexByte(".~+/", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// HasCredentials reports whether a request tries to say who it is from.
func HasCredentials(c *fiber.Ctx) bool {
	_, err := credentials(c)
	return !errors.Is(err, ErrTokenMissing)
}

// RefreshBearer is Refresh with the bearer token of a request. admit is asked, with the user's id, before the store is; a
// token that is answered with itself does not need it.
func (a *Authn) RefreshBearer(c *fiber.Ctx, admit func(userID int64) error) (Grant, error) {
	token, err := credentials(c)
	if err != nil {
		return Grant{}, a.refreshed(err)
	}
	grant, err := a.refresh(c.UserContext(), strings.Clone(token), admit)
	return grant, a.refreshed(err)
}

func twice(c *fiber.Ctx, name string) bool {
	seen := 0
	for key := range c.Request().Header.All() {
		if string(key) == name {
			seen++
		}
	}
	return seen > 1
}
