package authn

import (
	"errors"
	"strings"

	jwtware "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"
)

// subjectKey is the key of the Subject in a request's locals.
type subjectKey struct{}

// tokenKey is where contrib/jwt leaves the parsed token.
const tokenKey = "wxgate.token"

// SubjectOf returns who the request's token speaks for, and whether it had one.
func SubjectOf(c *fiber.Ctx) (Subject, bool) {
	s, ok := c.Locals(subjectKey{}).(*Subject)
	if !ok {
		return Subject{}, false
	}
	return *s, true
}

// Bearer is the middleware that takes a request on only with a valid bearer token (RFC 6750 §2.1); SubjectOf then says
// whose. It returns ErrTokenMissing, ErrTokenMalformed, ErrTokenInvalid, ErrTokenExpired or ErrTokenRevoked.
func (a *Authn) Bearer(c *fiber.Ctx) error {
	if len(c.Request().Header.PeekAll(fiber.HeaderAuthorization)) > 1 {
		return a.refused(ErrTokenMalformed)
	}
	return a.jwt(c)
}

// OptionalBearer lets a request without any credentials pass as nobody; bad credentials are refused.
func (a *Authn) OptionalBearer(c *fiber.Ctx) error {
	if len(c.Request().Header.Peek(fiber.HeaderAuthorization)) == 0 {
		return c.Next()
	}
	return a.Bearer(c)
}

// newJWT wraps gofiber/contrib/jwt. It hands no algorithm, issuer, expiry or leeway to the parser, so the form of the
// token is checked before it, the algorithm in the key function and the claims after it.
func (a *Authn) newJWT() fiber.Handler {
	return jwtware.New(jwtware.Config{
		ContextKey:         tokenKey,
		Claims:             &Claims{},
		KeyFunc:            a.keys.find,
		TokenProcessorFunc: func(token string) (string, error) { return token, a.keys.checkForm(token) },
		SuccessHandler:     a.accept,
		ErrorHandler:       func(_ *fiber.Ctx, err error) error { return a.refused(ofMiddleware(err)) },
	})
}

// accept is reached with a token whose signature holds.
func (a *Authn) accept(c *fiber.Ctx) error {
	token, _ := c.Locals(tokenKey).(*jwt.Token)
	claims, _ := token.Claims.(*Claims)
	if err := a.judge(claims, 0); err != nil {
		return a.refused(err)
	}
	if a.revoked.refuses(a.now(), claims) {
		return a.refused(ErrTokenRevoked)
	}
	a.metrics.verified.Inc()
	subject := claims.subject()
	c.Locals(subjectKey{}, &subject)
	return c.Next()
}

func (a *Authn) refused(err error) error {
	a.metrics.refused(err)
	return err
}

func ofMiddleware(err error) error {
	switch {
	case errors.Is(err, jwtware.ErrJWTMissingOrMalformed):
		return ErrTokenMissing
	case errors.Is(err, ErrTokenMalformed), errors.Is(err, ErrTokenInvalid):
		return err
	}
	return ofLibrary(err)
}

// BearerToken returns a copy of the bearer token of a request, "" when there is none. The scheme's case does not matter
// (RFC 9110 §11.1).
func BearerToken(c *fiber.Ctx) string {
	const scheme = "Bearer "
	header := c.Get(fiber.HeaderAuthorization)
	if len(header) <= len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return ""
	}
	return strings.Clone(strings.TrimSpace(header[len(scheme):]))
}
