package gateway

import (
	"errors"
	"net"

	jwtware "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/valyala/fasthttp"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/gateway/answer"
	"wxgate/gateway/api"
	"wxgate/gateway/listen"
)

// newServer is the HTTP/1.1 server: fasthttp with the defaults set that are traps.
func (g *Gateway) newServer(chain []Step) *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      func(ctx *fasthttp.RequestCtx) { g.handle(ctx, chain, nil) },
		ErrorHandler:                 g.refuseUnread,
		HeaderReceived:               readExpect,
		ExpectHandler:                g.expect,
		StreamRequestBody:            true, // the body flows on before it ends
		MaxRequestBodySize:           1,    // with streams: how much is read ahead of the handler; limitedBody holds the limit
		DisablePreParseMultipartForm: true, // uploads are the service's, not ours to parse
		NoDefaultContentType:         true, // a service that sends no Content-Type means it
		NoDefaultServerHeader:        true,
		ReadBufferSize:               headBuffer,
		CloseOnShutdown:              true,
		TCPKeepalive:                 true,
		Logger:                       discardLog{},
	}
}

// discardLog is the log of the server, whose lines would carry what clients sent.
type discardLog struct{}

// Printf drops the line.
func (discardLog) Printf(string, ...any) {}

// handle makes an exchange of what the server has read, and takes it through a chain. first is not nil on the first pass of a
// request that waits for 100-continue.
func (g *Gateway) handle(ctx *fasthttp.RequestCtx, chain []Step, first *firstPass) outcome {
	ex, _ := g.exchanges.Get().(*Exchange)
	defer g.exchanges.Put(ex)
	conn, _ := ctx.Conn().(*listen.Conn)
	method := methodOf(&ctx.Request.Header)
	*ex = Exchange{
		request: &ctx.Request, response: &ctx.Response, server: ctx, conn: conn, steps: chain, method: method, received: method,
		peer: peerOf(ctx), body: bodyOf(ctx), first: first,
	}
	if first != nil {
		ex.pass = asking
	} else if ex.first, _ = ctx.UserValue(firstPassKey{}).(*firstPass); ex.first != nil {
		ex.pass = admitted
	}
	err := error(answer.ErrInvalidRequest)
	if ex.pass == asking || !desynced(ex) {
		err = ex.next()
	}
	if err != nil {
		g.refuseUnobserved(ex, err)
	}
	return ex.outcome
}

// desynced reports whether fasthttp took a part of an unread body for a request. It cannot happen while begin closes such
// connections; if it ever does, this is the line that a smuggled request does not pass.
func desynced(ex *Exchange) bool {
	return ex.conn != nil && ex.conn.Requests() != ex.server.ConnRequestNum()
}

// hijack makes run the owner of the connection once the answer is written; the connection is closed when run returns. lost
// is called instead when the connection is gone before.
func (g *Gateway) hijack(ex *Exchange, run func(net.Conn), lost func()) {
	g.hijacks.Begin(ex.server, run, lost)
}

// endWithout ends an exchange without an answer of the server: run, called as by hijack, writes what there is to write.
func (g *Gateway) endWithout(ex *Exchange, run func(net.Conn), lost func()) {
	ex.server.HijackSetNoResponse(true)
	g.hijack(ex, run, lost)
}

// fiberAdapter calls what works on Fiber's contexts: the handlers of our own API, and contrib/jwt.
type fiberAdapter struct {
	app *fiber.App // lends contexts; it routes nothing and listens nowhere
	api *api.API
	jwt fiber.Handler
}

func newFiberAdapter(deps Deps) *fiberAdapter {
	return &fiberAdapter{fiber.New(fiber.Config{DisableStartupMessage: true}), api.New(deps.Authn, deps.Now), newJWT(deps.Authn)}
}

// serveAPI is the step that answers with a handler of our own API.
func (g *Gateway) serveAPI(handler fiber.Handler) Step {
	return func(ex *Exchange) error {
		ctx, cancel := ex.bounded()
		defer cancel()
		c := g.fiber.app.AcquireCtx(ex.server)
		defer g.fiber.app.ReleaseCtx(c)
		c.SetUserContext(ctx)
		ex.call = g.callOf(ex)
		return api.Serve(c, &ex.call, handler)
	}
}

// parseToken returns what a token says that was not seen before, if its form and signature hold.
func (f *fiberAdapter) parseToken(ex *Exchange) (*token.Payload, error) {
	c := f.app.AcquireCtx(ex.server)
	defer f.app.ReleaseCtx(c)
	if err := f.jwt(c); err != nil {
		return nil, err
	}
	parsed, _ := c.Locals(jwtKey).(*jwt.Token)
	said, _ := parsed.Claims.(*token.Payload)
	return said, nil
}

// jwtKey is where contrib/jwt leaves the parsed token.
const jwtKey = "wxgate.jwt"

// newJWT wraps gofiber/contrib/jwt. It hands no algorithm, issuer, expiry or leeway to the parser, so authn checks the form
// of the token before it, the algorithm in the key function and the claims after it.
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

// callOf is an exchange as the endpoints of the API see it.
func (g *Gateway) callOf(ex *Exchange) api.Call {
	cfg := &ex.snapshot.cfg
	call := api.Call{
		Subject: ex.subject, Cloud: ex.cloud, Path: ex.target.Path, Limits: callLimits{g, ex},
		PhoneByDecryption: cfg.PhoneByDecryption, SignedIdentities: ex.snapshot.signer != nil,
	}
	if ex.body.stream != nil {
		call.Body = &ex.body
	}
	return call
}
