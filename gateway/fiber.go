package gateway

import (
	"errors"

	jwtware "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/gateway/api"
)

// fiberAdapter calls what needs a Fiber context: the handlers of our own API, and contrib/jwt.
type fiberAdapter struct {
	app *fiber.App // provides contexts only: it routes nothing and has no listener
	api *api.API
	jwt fiber.Handler
}

func newFiberAdapter(deps Deps) *fiberAdapter {
	return &fiberAdapter{fiber.New(fiber.Config{DisableStartupMessage: true}), api.New(deps.Authn, deps.Now), newJWT(deps.Authn)}
}

// apiEndpoint answers with a handler of our own API.
func apiEndpoint(handler func(*api.API, *fiber.Ctx) error) func(*pipeline, *Exchange) error {
	return func(p *pipeline, ex *Exchange) error {
		ctx, cancel := ex.timeoutContext()
		defer cancel()
		c := p.fiber.app.AcquireCtx(ex.server)
		defer p.fiber.app.ReleaseCtx(c)
		c.SetUserContext(ctx)
		ex.call = p.newCall(ex)
		return p.fiber.api.Serve(c, &ex.call, handler)
	}
}

// parseToken parses a token that is not in the cache, and returns its payload if its form and signature are valid.
func (f *fiberAdapter) parseToken(ex *Exchange) (*token.Payload, error) {
	c := f.app.AcquireCtx(ex.server)
	defer f.app.ReleaseCtx(c)
	if err := f.jwt(c); err != nil {
		return nil, err
	}
	parsed, _ := c.Locals(jwtKey).(*jwt.Token)
	payload, _ := parsed.Claims.(*token.Payload)
	return payload, nil
}

// jwtKey is where contrib/jwt stores the parsed token.
const jwtKey = "wxgate.jwt"

// newJWT wraps gofiber/contrib/jwt. It passes no algorithm, issuer, expiry or leeway to the parser, so authn checks the
// form of the token before, the algorithm in the key function, and the claims afterwards.
func newJWT(auth *authn.Authn) fiber.Handler {
	return jwtware.New(jwtware.Config{
		ContextKey:         jwtKey,
		Claims:             &token.Payload{},
		KeyFunc:            func(token *jwt.Token) (any, error) { return auth.Tokens.Keys().Key(token) },
		TokenProcessorFunc: func(token string) (string, error) { return token, auth.Tokens.Keys().CheckForm(token) },
		SuccessHandler:     func(*fiber.Ctx) error { return nil },
		ErrorHandler: func(_ *fiber.Ctx, err error) error {
			if errors.Is(err, jwtware.ErrJWTMissingOrMalformed) {
				return token.ErrMalformed // there is a token: see header.Authorization
			}
			return err
		},
	})
}

// newCall is an exchange as the endpoints of the API see it.
func (p *pipeline) newCall(ex *Exchange) api.Call {
	cfg := &ex.snapshot.cfg
	call := api.Call{
		Subject: ex.subject, Cloud: ex.cloud, Path: ex.target.Path, Limits: callLimits{p.limits, ex},
		PhoneByDecryption: cfg.PhoneByDecryption, SignedIdentities: ex.snapshot.signer != nil,
	}
	if ex.body.stream != nil {
		call.Body = &ex.body
	}
	return call
}
