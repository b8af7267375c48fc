package authn

import (
	"context"
	"errors"
	"strings"

	jwtware "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"
)

// subjectKey is the key of the Subject in a request's locals.
type subjectKey struct{}

// jwtKey is where contrib/jwt leaves the parsed token.
const jwtKey = "wxgate.jwt"

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
	token, err := credentials(c)
	if err != nil {
		return a.refused(err)
	}
	if v := a.keys.Load().cache.get(token); v != nil {
		a.metrics.cacheHits.Inc()
		return a.accept(c, v)
	}
	a.metrics.cacheMisses.Inc()
	return a.jwt(c)
}

// AsCloud lets a request without a token pass as the user that WeChat Cloud Run names; the caller vouches for the
// platform's word.
func (a *Authn) AsCloud(ctx context.Context, c *fiber.Ctx, id CloudIdentity) error {
	subject, err := a.CloudSubject(ctx, id)
	if err != nil {
		return a.refused(err)
	}
	return pass(c, subject)
}

// AsPrefetched lets a pre-fetch of WeChat's pass as the user of its code.
func (a *Authn) AsPrefetched(ctx context.Context, c *fiber.Ctx, p Prefetch) error {
	subject, err := a.prefetched(ctx, p)
	if err != nil {
		return err
	}
	return pass(c, subject)
}

func pass(c *fiber.Ctx, subject Subject) error {
	c.Locals(subjectKey{}, &subject)
	return c.Next()
}

// newJWT wraps gofiber/contrib/jwt. It hands no algorithm, issuer, expiry or leeway to the parser, so the form of the
// token is checked before it, the algorithm in the key function and the claims after it.
func (a *Authn) newJWT() fiber.Handler {
	return jwtware.New(jwtware.Config{
		ContextKey: jwtKey,
		Claims:     &payload{},
		KeyFunc:    func(token *jwt.Token) (any, error) { return a.keys.Load().find(token) },
		TokenProcessorFunc: func(token string) (string, error) {
			return token, a.keys.Load().checkForm(token, a.cfg.AcceptForeign)
		},
		SuccessHandler: a.acceptNew,
		ErrorHandler:   func(_ *fiber.Ctx, err error) error { return a.refused(ofMiddleware(err)) },
	})
}

// acceptNew is reached with a token whose signature holds and that was not seen before.
func (a *Authn) acceptNew(c *fiber.Ctx) error {
	parsed, _ := c.Locals(jwtKey).(*jwt.Token)
	said, _ := parsed.Claims.(*payload)
	token, err := credentials(c)
	if err != nil {
		return a.refused(err)
	}
	token = strings.Clone(token) // it aliases the request's buffer
	v, err := a.admit(c.Context(), token, said)
	if err != nil {
		return a.refused(err)
	}
	a.keys.Load().cache.put(token, v)
	return a.accept(c, v)
}

// accept decides on what changes from request to request: time and revocation.
func (a *Authn) accept(c *fiber.Ctx, v *verified) error {
	if err := a.judge(v, 0); err != nil {
		return a.refused(err)
	}
	a.metrics.verified.Inc()
	c.Locals(subjectKey{}, &v.subject)
	return c.Next()
}

func (a *Authn) refused(err error) error {
	a.metrics.refused(err)
	return err
}

func ofMiddleware(err error) error {
	switch {
	case errors.Is(err, jwtware.ErrJWTMissingOrMalformed):
		return ErrTokenMalformed // there is a token: see credentials
	case errors.Is(err, ErrTokenMalformed), errors.Is(err, ErrTokenInvalid):
		return err
	}
	return ofLibrary(err)
}
