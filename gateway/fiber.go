package gateway

import (
	"errors"
	"sync"

	jwtware "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/valyala/fasthttp"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/gateway/api"
	"wxgate/message"
)

// fiberAdapter calls what needs a Fiber context: the handlers of our own API, and contrib/jwt.
type fiberAdapter struct {
	app      *fiber.App // provides contexts only: it routes nothing and has no listener
	api      *api.API
	jwt      fiber.Handler
	contexts sync.Pool // of *fasthttp.RequestCtx
}

func newFiberAdapter(deps Deps) *fiberAdapter {
	return &fiberAdapter{
		app: fiber.New(fiber.Config{DisableStartupMessage: true}), api: api.New(deps.Authn, deps.Now), jwt: newJWT(deps.Authn),
		contexts: sync.Pool{New: func() any { return new(fasthttp.RequestCtx) }},
	}
}

// call calls a handler with a context for a request with that head, and no body.
func (f *fiberAdapter) call(head *message.Request, handler func(*fiber.Ctx) error) error {
	request, _ := f.contexts.Get().(*fasthttp.RequestCtx)
	defer func() {
		request.ResetUserValues()
		request.Request.Reset()
		request.Response.Reset()
		f.contexts.Put(request)
	}()
	h := &request.Request.Header
	h.SetMethod(head.Method)
	h.SetRequestURIBytes(head.Target)
	for name, value := range head.Fields.All() {
		h.AddBytesKV(name, value)
	}
	c := f.app.AcquireCtx(request)
	defer f.app.ReleaseCtx(c)
	return handler(c)
}

// apiEndpoint answers with a handler of our own API.
func apiEndpoint(handler func(*api.API, *fiber.Ctx) error) func(*pipeline, *Exchange) error {
	return func(p *pipeline, ex *Exchange) error {
		ctx, cancel := ex.timeoutContext()
		defer cancel()
		ex.call = p.newCall(ex)
		return p.fiber.call(&ex.request, func(c *fiber.Ctx) error {
			c.SetUserContext(ctx)
			if err := p.fiber.api.Serve(c, &ex.call, handler); err != nil {
				return err
			}
			copyResponse(&ex.response, c.Response())
			return nil
		})
	}
}

// copyResponse makes resp the answer of a handler.
func copyResponse(resp *message.Response, of *fasthttp.Response) {
	resp.Status = of.StatusCode()
	for name, value := range of.Header.All() {
		if !message.EqualFold(name, "Content-Length") {
			resp.Fields.AddBytes(name, value)
		}
	}
	resp.Body = append(resp.Body, of.Body()...)
}

// parseToken parses a token that is not in the cache, and returns its payload if its form and signature are valid.
func (f *fiberAdapter) parseToken(credential string) (payload *token.Payload, err error) {
	bearer, err := token.Bearer(credential)
	if err != nil {
		return nil, err
	}
	var head message.Request
	head.Fields.Add(fiber.HeaderAuthorization, "Bearer "+bearer)
	err = f.call(&head, func(c *fiber.Ctx) error {
		if err := f.jwt(c); err != nil {
			return err
		}
		parsed, _ := c.Locals(jwtKey).(*jwt.Token)
		payload, _ = parsed.Claims.(*token.Payload)
		return nil
	})
	return payload, err
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
				return token.ErrMalformed // there is a token: see parseToken
			}
			return err
		},
	})
}

// newCall is an exchange as the endpoints of the API see it.
func (p *pipeline) newCall(ex *Exchange) api.Call {
	cfg := &ex.snapshot.cfg
	call := api.Call{
		Subject: ex.subject, Cloud: ex.cloud, Path: ex.target.Path, Fields: &ex.request.Fields, Limits: callLimits{p.limits, ex}, Answers: ex.answers(), Names: &cfg.Endpoints.Fields,
		Credential: credentialOf(ex), PhoneByDecryption: cfg.PhoneByDecryption, Content: cfg.Content, SignedIdentities: ex.snapshot.signer != nil,
	}
	if ex.body.stream != nil {
		call.Body = &ex.body
	}
	if ex.route.ours == endpointPaySign {
		call.Payment = newPayment(p, ex)
	}
	if ex.route.ours == endpointH5 {
		call.Web = newWebLogin(ex)
	}
	if ex.snapshot.setCookie != nil && setsCookie(ex) {
		call.Cookie = ex.snapshot.setCookie
	}
	return call
}
