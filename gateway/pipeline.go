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

// pipeline runs exchanges through the chain. It is the part of the gateway that decides: the steps that authenticate
// and serve are parameters of newServer.
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

// newPipeline needs only the dependencies of deciding: Authn may be nil where nothing is authenticated.
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

// newServer is an HTTP/1.1 server for the chain: fasthttp, with every default changed that is a trap.
func (p *pipeline) newServer(authenticate, serve Step) *fasthttp.Server {
	steps, precheck := p.chain(authenticate, serve), p.chain(authenticate, passPrecheck)
	return &fasthttp.Server{
		Handler:                      func(ctx *fasthttp.RequestCtx) { p.handle(ctx, steps, nil) },
		ErrorHandler:                 p.observer.refuseUnread,
		HeaderReceived:               normalizeExpect,
		ExpectHandler:                func(ctx *fasthttp.RequestCtx) int { return p.runPrecheck(ctx, precheck) },
		StreamRequestBody:            true, // bodies are forwarded as they arrive
		MaxRequestBodySize:           1,    // with streams: how much is read ahead of the handler; limitedBody has the limit
		DisablePreParseMultipartForm: true, // uploads are for the service to parse
		NoDefaultContentType:         true, // a service may send none on purpose
		NoDefaultServerHeader:        true,
		ReadBufferSize:               headBuffer,
		CloseOnShutdown:              true,
		TCPKeepalive:                 true,
		Logger:                       discardLog{},
	}
}

// discardLog drops the log of the server, whose lines would contain what clients sent.
type discardLog struct{}

// Printf drops the line.
func (discardLog) Printf(string, ...any) {}

// normalizeExpect makes fasthttp call ExpectHandler for every expectation, and by the rules: case-insensitively, but
// not when no body follows (RFC 9110 §10.1.1). fasthttp looks only at the first value, in one spelling. It is also
// called for every body with a length: on its own fasthttp waits for the first byte of one before it calls a handler,
// and a refusal must not wait.
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

// handle runs steps on an exchange for the request that the server has read. check is not nil during the precheck.
func (p *pipeline) handle(ctx *fasthttp.RequestCtx, steps []Step, check *precheck) outcome {
	ex, _ := p.exchanges.Get().(*Exchange)
	defer p.exchanges.Put(ex)
	conn, _ := ctx.Conn().(*listen.Conn)
	method := methodOf(&ctx.Request.Header)
	*ex = Exchange{
		request: &ctx.Request, response: &ctx.Response, server: ctx, hijacks: &p.hijacks, conn: conn, steps: steps, method: method, receivedMethod: method,
		peer: peerAddress(ctx), body: newLimitedBody(ctx), precheck: check,
	}
	if check != nil {
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

// passPrecheck is the last step of the precheck, reached when nothing refused the request.
func passPrecheck(ex *Exchange) error {
	ex.outcome = continued
	return nil
}

// checkExpectation refuses expectations other than 100-continue (RFC 9110 §10.1.1).
func checkExpectation(ex *Exchange) error {
	if header.ExpectsOther(&ex.request.Header) {
		return &answer.StatusError{Status: fasthttp.StatusExpectationFailed, Detail: "an expectation other than 100-continue"}
	}
	return ex.next()
}

// skipAfterPrecheck skips a step after a precheck: a limit counts requests, not passes.
func skipAfterPrecheck(step Step) Step {
	return func(ex *Exchange) error {
		if ex.pass == afterPrecheck {
			return ex.next()
		}
		return step(ex)
	}
}

// desynced reports whether fasthttp parsed part of an unread body as a request. That cannot happen while openExchange
// closes such connections; if it ever does, this check stops a smuggled request.
func desynced(ex *Exchange) bool {
	return ex.conn != nil && ex.conn.Requests() != ex.server.ConnRequestNum()
}

// runPrecheck decides whether a request is accepted before its body arrives: the request passes the same chain as every
// other, with passPrecheck in place of serve. A refusal is the whole answer, and fasthttp closes the connection after
// it. fasthttp sends the 100 at once when this returns StatusContinue; the request then passes the chain again. A body
// that is already arriving needs neither the 100 nor a precheck.
func (p *pipeline) runPrecheck(ctx *fasthttp.RequestCtx, steps []Step) int {
	if client, ours := ctx.Conn().(*listen.Conn); ours && !header.ExpectsContinue(&ctx.Request.Header) {
		client.SkipContinue()
		if !client.AwaitsBody() {
			return fasthttp.StatusContinue
		}
	}
	method := string(ctx.Method())
	check := &precheck{headAt: p.deps.Now()}
	outcome := p.handle(ctx, steps, check)
	ctx.Request.Header.SetMethod(method) // the next pass starts with the original method, before any override
	if outcome != continued {
		return ctx.Response.StatusCode()
	}
	ctx.SetUserValue(precheckKey{}, check)
	ctx.Response.Reset()
	ctx.Response.Header.SetNoDefaultContentType(true)
	return fasthttp.StatusContinue
}

// ListenConfig is the configuration of the public listener, one of listen.Listen, for this gateway.
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

// tooManyConnections is the whole answer to a connection over a limit, which never reaches the server.
func (p *pipeline) tooManyConnections() []byte {
	f, now := p.observer.failures.Lookup(answer.ErrTooManyConnections), p.deps.Now()
	return f.Refusal(f.Message, "", answer.NewRequestID(), now).Bytes(now)
}

// isSharedAddress reports whether connections from peer may be those of many clients or of our own machines: peer is a
// trusted proxy or no public address.
func (p *pipeline) isSharedAddress(peer netip.Addr) bool {
	return peer.IsLoopback() || peer.IsPrivate() || peer.IsLinkLocalUnicast() || p.snapshot.Load().trustsPeer(peer)
}

// sendsProxyHeader reports whether connections from peer begin with a PROXY protocol header.
func (p *pipeline) sendsProxyHeader(peer netip.Addr) bool {
	r := p.snapshot.Load()
	return r.cfg.Server.ProxyProtocol && r.trustsPeer(peer)
}
