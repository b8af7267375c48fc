package gateway

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/gateway/push"
	"wxgate/lograte"
)

// pipeline takes exchanges through the chain. It is the part of the gateway that decides: who authenticates and who serves
// are given to its server.
type pipeline struct {
	deps      Deps
	drain     context.Context // ends when draining begins
	snapshot  atomic.Pointer[snapshot]
	exchanges *sync.Pool // of *Exchange
	hijacks   listen.Hijacks
	metrics   *metrics
	fiber     *fiberAdapter
	clients   *clientResolver
	limits    *limiter
	admission *admission
	observer  *observer
	store     storeGate
	pushes    *push.Receiver
}

// newPipeline needs of deps what decides: Authn may be nil where nobody authenticates.
func newPipeline(drain context.Context, cfg Config, deps Deps) (*pipeline, error) {
	if deps.Gate == nil {
		deps.Gate = openGate{}
	}
	ledger := limit.NewLedger()
	m := newMetrics(deps.Metrics, ledger)
	p := &pipeline{
		deps: deps, drain: drain, exchanges: newExchanges(), metrics: m, fiber: newFiberAdapter(deps),
		clients: &clientResolver{log: deps.Log, metrics: m},
		limits:  newLimiter(m, deps.Now),
		store:   storeGate{deps.Gate, deps.Log},
		pushes:  push.NewReceiver(deps.Metrics, deps.Now),
	}
	p.admission = &admission{ledger: ledger, auth: deps.Authn, store: p.store, metrics: m, now: deps.Now, drain: drain}
	p.observer = &observer{
		metrics: m, failures: answer.NewTable(), limitedLog: lograte.New(deps.Log, deps.Now), log: deps.Log, access: deps.Access,
		now: deps.Now, drain: drain,
	}
	m.registerBuckets(deps.Metrics, p.limits.buckets.Held)
	s, err := p.newSnapshot(cfg, deps.Upstreams, deps.Push)
	if err != nil {
		return nil, err
	}
	p.snapshot.Store(s)
	return p, nil
}

// newServer is an HTTP/1.1 server for the chain: fasthttp with the defaults set that are traps.
func (p *pipeline) newServer(authenticate, serve Step) *fasthttp.Server {
	steps, asking := p.chain(authenticate, serve), p.chain(authenticate, passPrecheck)
	return &fasthttp.Server{
		Handler:                      func(ctx *fasthttp.RequestCtx) { p.handle(ctx, steps, nil) },
		ErrorHandler:                 p.observer.refuseUnread,
		HeaderReceived:               normalizeExpect,
		ExpectHandler:                func(ctx *fasthttp.RequestCtx) int { return p.runPrecheck(ctx, asking) },
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

// normalizeExpect makes fasthttp ask us about every expectation, and by the rule: in any case of its letters, but not when no
// body follows (RFC 9110 §10.1.1). fasthttp knows the first value alone, spelled so. It also makes fasthttp ask about
// every body with a length: by itself it waits for the first byte of one before it calls a handler, and a refusal must
// not wait.
func normalizeExpect(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	other := header.ExpectsOther(h)
	h.Del(fasthttp.HeaderExpect)
	if length := h.ContentLength(); length > 0 || length == -1 && header.ExpectsContinue(h) {
		h.Set(fasthttp.HeaderExpect, header.Continue)
	}
	if other {
		h.Add(fasthttp.HeaderExpect, "other")
	}
	return fasthttp.RequestConfig{}
}

// handle makes an exchange of what the server has read, and takes it through steps. first is not nil on the first pass of a
// request that waits for 100-continue.
func (p *pipeline) handle(ctx *fasthttp.RequestCtx, steps []Step, first *precheck) outcome {
	ex, _ := p.exchanges.Get().(*Exchange)
	defer p.exchanges.Put(ex)
	conn, _ := ctx.Conn().(*listen.Conn)
	method := methodOf(&ctx.Request.Header)
	*ex = Exchange{
		request: &ctx.Request, response: &ctx.Response, server: ctx, hijacks: &p.hijacks, conn: conn, steps: steps, method: method, receivedMethod: method,
		peer: peerAddress(ctx), body: newLimitedBody(ctx), precheck: first,
	}
	if first != nil {
		ex.pass = precheckPass
	} else if ex.precheck, _ = ctx.UserValue(precheckKey{}).(*precheck); ex.precheck != nil {
		ex.pass = afterPrecheck
	}
	err := error(answer.ErrInvalidRequest)
	if ex.pass == precheckPass || !desynced(ex) {
		err = ex.next()
	}
	if err != nil {
		p.observer.refuseUnobserved(ex, err)
	}
	return ex.outcome
}

// passPrecheck is where the first pass ends when nothing refused the request.
func passPrecheck(ex *Exchange) error {
	ex.outcome = continued
	return nil
}

// checkExpectation refuses what cannot be expected of us (RFC 9110 §10.1.1).
func checkExpectation(ex *Exchange) error {
	if header.ExpectsOther(&ex.request.Header) {
		return &answer.StatusError{Status: fasthttp.StatusExpectationFailed, Detail: "an expectation other than 100-continue"}
	}
	return ex.next()
}

// skipAfterPrecheck leaves out a step on the second pass: a limit counts a request, not its passes.
func skipAfterPrecheck(step Step) Step {
	return func(ex *Exchange) error {
		if ex.pass == afterPrecheck {
			return ex.next()
		}
		return step(ex)
	}
}

// desynced reports whether fasthttp took a part of an unread body for a request. It cannot happen while begin closes such
// connections; if it ever does, this is the line that a smuggled request does not pass.
func desynced(ex *Exchange) bool {
	return ex.conn != nil && ex.conn.Requests() != ex.server.ConnRequestNum()
}

// runPrecheck decides, before the body has come, whether its request is let through: the request passes the same chain as
// every other, to admit instead of serve. A refusal is the whole answer, and fasthttp closes the connection after it.
// fasthttp sends the 100 at once when this returns StatusContinue; the request then passes the chain again. A body that
// has begun to come is neither told to nor in need of a pass of its own.
func (p *pipeline) runPrecheck(ctx *fasthttp.RequestCtx, asking []Step) int {
	if client, ours := ctx.Conn().(*listen.Conn); ours && !header.ExpectsContinue(&ctx.Request.Header) {
		client.SkipContinue()
		if !client.AwaitsBody() {
			return fasthttp.StatusContinue
		}
	}
	method := string(ctx.Method())
	first := &precheck{headAt: p.deps.Now()}
	outcome := p.handle(ctx, asking, first)
	ctx.Request.Header.SetMethod(method) // the second pass begins with the request as it came, before any override
	if outcome != continued {
		return ctx.Response.StatusCode()
	}
	ctx.SetUserValue(precheckKey{}, first)
	ctx.Response.Reset()
	ctx.Response.Header.SetNoDefaultContentType(true)
	return fasthttp.StatusContinue
}

// ListenConfig is how the public listener, one of listen.Listen, must be set up for this gateway.
func (p *pipeline) ListenConfig() listen.Config {
	cfg, server := listen.DefaultConfig(), p.snapshot.Load().cfg.Server
	timeouts, connections := server.Timeouts, server.Connections
	cfg.MaxHeadBytes = headBuffer
	cfg.ReadHeader = timeouts.ReadHeader
	cfg.Idle = timeouts.Idle
	cfg.MaxConns, cfg.MaxConnsPerAddr = connections.Max, connections.PerAddress
	cfg.Exempt = p.isSharedAddress
	cfg.Proxied = p.sendsProxyHeader
	cfg.TooManyConnections = p.tooManyConnections
	return cfg
}

// tooManyConnections is the whole answer to a connection beyond a cap, which no server gets to see.
func (p *pipeline) tooManyConnections() []byte {
	f, now := p.observer.failures.Lookup(answer.ErrTooManyConnections), p.deps.Now()
	return f.Refusal(f.Message, "", answer.NewRequestID(), now).Bytes(now)
}

// isSharedAddress reports whether connections from there are those of many clients, or of our own machines: from a trusted
// proxy, or from no public address.
func (p *pipeline) isSharedAddress(peer netip.Addr) bool {
	return peer.IsLoopback() || peer.IsPrivate() || peer.IsLinkLocalUnicast() || p.snapshot.Load().trustsPeer(peer)
}

// sendsProxyHeader reports whether connections from there begin with a PROXY protocol header.
func (p *pipeline) sendsProxyHeader(peer netip.Addr) bool {
	r := p.snapshot.Load()
	return r.cfg.Server.ProxyProtocol && r.trustsPeer(peer)
}
