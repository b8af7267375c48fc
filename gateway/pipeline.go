package gateway

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"wxgate/gateway/answer"
	"wxgate/gateway/compress"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/gateway/pay"
	"wxgate/gateway/push"
	"wxgate/gateway/quota"
	"wxgate/lograte"
	"wxgate/message"
)

// pipeline runs exchanges through the chain. It is the part of the gateway that decides: the steps that authenticate
// and serve are parameters of newServer.
type pipeline struct {
	deps      Deps
	drain     context.Context // ends when draining begins
	snapshot  atomic.Pointer[snapshot]
	exchanges sync.Pool // of *Exchange
	metrics   *metrics
	fiber     *fiberAdapter
	clients   *clientResolver
	watcher   *watcher
	limits    *limiter
	quotas    *quotas
	admission *admission
	observer  *observer
	answers   *answerChanger
	store     storeGate
	pushes    *push.Receiver
	payments  *pay.Receiver
}

// newPipeline needs only the dependencies of deciding: Authn may be nil where nothing is authenticated.
func newPipeline(drain context.Context, cfg Config, deps Deps) (*pipeline, error) {
	if deps.Gate == nil {
		deps.Gate = openGate{}
	}
	ledger := limit.NewLedger()
	m := newMetrics(deps.Metrics, ledger)
	p := &pipeline{
		deps: deps, drain: drain, exchanges: sync.Pool{New: newExchange}, metrics: m, fiber: newFiberAdapter(deps),
		clients: &clientResolver{log: deps.Log, limitedLog: lograte.New(deps.Log, deps.Now), metrics: m},
		watcher: newWatcher(),
		limits:  newLimiter(m, deps.Now),
		store:   storeGate{deps.Gate, deps.Log},
	}
	p.pushes = push.NewReceiver(deps.Pushed, peopleOf(deps.Authn), paidOrders{p}, deps.Metrics, deps.Log, deps.Now)
	p.payments = pay.NewReceiver(deps.Pushed, deps.Metrics, p.clients.limitedLog, deps.Now)
	p.quotas = &quotas{store: p.store, failures: answer.NewTable(), now: deps.Now}
	if deps.Quotas != nil {
		p.quotas.counter = quota.NewCounter(deps.Quotas, deps.Metrics, p.clients.limitedLog, deps.Now)
	}
	p.admission = &admission{ledger: ledger, auth: deps.Authn, issuers: deps.Issuers, store: p.store, metrics: m, now: deps.Now, drain: drain}
	p.answers = &answerChanger{compress.New(deps.Metrics), limit.NewPressure(&p.admission.inFlight), deps.Now}
	p.observer = &observer{
		metrics: m, failures: answer.NewTable(), limitedLog: lograte.New(deps.Log, deps.Now), log: deps.Log, access: deps.Access, tracer: deps.Tracer,
		now: deps.Now, drain: drain,
	}
	m.registerBuckets(deps.Metrics, p.limits.buckets.Held)
	limit.RegisterGauges(deps.Metrics, &p.admission.inFlight, p.slotsInForce)
	first := Change{Upstreams: deps.Upstreams, Pushes: deps.Pushes, Merchants: deps.Merchants, Certificates: deps.Certificates, ACME: deps.ACME}
	if deps.Authn != nil { // Explain has none
		first.Keys = deps.Authn.Tokens.Keys()
	}
	s, err := p.newSnapshot(cfg, first)
	if err != nil {
		return nil, err
	}
	p.adopt(s)
	return p, nil
}

// slotsInForce returns limits.in_flight, and what reports whether there is an upstream of a name.
func (p *pipeline) slotsInForce() (most int64, isConfigured func(upstream string) bool) {
	s := p.snapshot.Load()
	return int64(s.cfg.Limits.InFlight), func(upstream string) bool { return s.upstreams[upstream] != nil }
}

// checkExpectation refuses expectations other than 100-continue (RFC 9110 §10.1.1).
func checkExpectation(ex *Exchange) error {
	if ex.classes&header.ClassExpect != 0 && header.ExpectsOther(&ex.request.Fields) {
		return &answer.StatusError{Status: http.StatusExpectationFailed, Detail: "an expectation other than 100-continue"}
	}
	return ex.next()
}

// ListenConfig is the configuration of a listener for this pipeline, whose connections carry HTTP/1.1.
func (p *pipeline) ListenConfig() listen.Config {
	cfg, server := listen.DefaultConfig(), p.snapshot.Load().cfg.Server
	timeouts, connections := server.Timeouts, server.Connections
	cfg.MaxHeadBytes = maxHeadBytes
	cfg.ReadHeader = timeouts.ReadHeader
	cfg.Idle = timeouts.Idle
	cfg.MaxConns, cfg.MaxConnsPerAddr = connections.Max, connections.PerAddress
	cfg.Exempt = p.isSharedAddress
	cfg.Proxied = p.sendsProxyHeader
	cfg.TooManyConnections = p.tooManyConnections
	cfg.TLS, cfg.HandshakeFailed, cfg.StreamRefused = p.tlsConfig(), p.metrics.connections.CountHandshakeFailure, p.metrics.connections.CountStreamRefused
	return cfg
}

// tooManyConnections is the whole answer to a connection over a limit, which never reaches the server.
func (p *pipeline) tooManyConnections() []byte {
	f, now := p.observer.failures.Lookup(answer.ErrTooManyConnections), p.deps.Now()
	id, resp := answer.NewRequestID(), new(message.Response)
	p.snapshot.Load().answers.Refuse(resp, &answer.Refusal{Failure: f, Message: f.Message, RequestID: id, Now: now, KeepStatus: true})
	setRequestID(resp, id)
	return answer.LastBytes(resp, now)
}

// isSharedAddress reports whether connections from peer may be those of many clients or of our own machines: peer is a
// trusted proxy or no public address.
func (p *pipeline) isSharedAddress(peer netip.Addr) bool {
	return peer.IsLoopback() || peer.IsPrivate() || peer.IsLinkLocalUnicast() || p.snapshot.Load().trustsPeer(peer)
}

// sendsProxyHeader reports whether connections from peer begin with a PROXY protocol header.
func (p *pipeline) sendsProxyHeader(peer netip.Addr) bool {
	r := p.snapshot.Load()
	return r.cfg.Server.ProxyProtocol && contain(r.cfg.Server.TrustedProxies, peer)
}
