// Package gateway is the edge: it reads requests, decides on them in the order of routes.go, answers for the login
// endpoints and forwards the rest to an upstream with identity headers that no client can forge.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/gateway/admin"
	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/gateway/websocket"
	"wxgate/lograte"
	"wxgate/secret"
	"wxgate/upstream"
)

// Deps are what a Gateway works with; those that may be nil say so.
type Deps struct {
	Authn     *authn.Authn
	Storage   admin.Store
	Push      *wechat.Push                  // nil: message push is off; Reload changes it
	WeChat    map[string]admin.Broker       // the mini-programs' clients of WeChat, by appid
	Upstreams map[string]*upstream.Upstream // by their name in gateway.yaml; Reload changes them
	Metrics   *prometheus.Registry
	Log       *slog.Logger
	Access    *slog.Logger // one line a request; its records carry no secrets
	LogFault  func() error // why lines of the log are being lost, nil while none are; nil: nobody knows
	Now       func() time.Time
}

// Gateway is the public edge. It is safe for concurrent use.
type Gateway struct {
	deps      Deps
	often     *lograte.Log // the lines that clients provoke
	snapshot  atomic.Pointer[snapshot]
	server    *fasthttp.Server
	asking    []Step // decide on requests that expect 100-continue
	fiber     *fiberAdapter
	load      limit.Load
	ledger    *limit.Ledger
	buckets   *limit.Buckets // of every limit
	phones    *limit.Bucket  // by user: WeChat takes money for a number
	pushes    *pushLog
	failures  answer.Table
	metrics   *metrics
	admin     *admin.Server
	draining  atomic.Bool
	ending    chan struct{} // closed when draining begins
	exchanges *sync.Pool    // of *Exchange
	watch     *watcher
	sockets   *websocket.Tunnels
	gate      *gate
	hijacks   listen.Hijacks
	hidden    sync.Once // the warning about clients hidden behind a proxy

	unreadable sync.Once // the warning about a proxy that names no address
	unsigned   sync.Once // the warning about a cloud function that does not sign content
}

// newAdmin is the operator's listener of this gateway.
func (g *Gateway) newAdmin() *admin.Server {
	return admin.New(g.snapshot.Load().cfg.Server.Connections.Admin, admin.Deps{
		Authn: g.deps.Authn, Store: g.deps.Storage, WeChat: g.deps.WeChat, Errors: g.failures,
		Metrics: g.deps.Metrics, Log: g.deps.Log, Often: g.often, LogFault: g.deps.LogFault, Now: g.deps.Now,
		Token:    func() secret.Text { return g.snapshot.Load().cfg.Server.AdminToken },
		Draining: g.draining.Load,
	})
}

// New returns a gateway that is ready to Serve. The configuration must be valid.
func New(cfg Config, deps Deps) (*Gateway, error) {
	g := &Gateway{
		deps:      deps,
		often:     lograte.New(deps.Log, deps.Now),
		buckets:   limit.NewBuckets(deps.Now),
		ledger:    limit.NewLedger(),
		failures:  answer.NewTable(),
		exchanges: newExchanges(),
		fiber:     newFiberAdapter(deps),
		watch:     newWatcher(),
		gate:      newGate(),
		ending:    make(chan struct{}),
	}
	g.metrics = newMetrics(deps.Metrics, g.ledger)
	g.pushes = newPushLog(deps.Metrics, deps.Now)
	g.phones = g.buckets.New("phone", phoneLimit())
	g.metrics.countBuckets(deps.Metrics, g.buckets.Held)
	r, err := g.newSnapshot(cfg, deps.Upstreams, deps.Push)
	if err != nil {
		return nil, err
	}
	g.snapshot.Store(r)
	g.sockets = websocket.NewTunnels(g.deps.Authn.Tokens, g.metrics.webSockets)
	g.server, g.asking = g.newServer(g.chain(g.authenticate, g.serve)), g.chain(g.authenticate, g.admit)
	g.admin = g.newAdmin()
	return g, nil
}

// ListenConfig is how the public listener, one of listen.Listen, must be set up for this gateway.
func (g *Gateway) ListenConfig() listen.Config {
	cfg, server := listen.DefaultConfig(), g.snapshot.Load().cfg.Server
	timeouts, connections := server.Timeouts, server.Connections
	cfg.MaxHeadBytes = headBuffer
	cfg.ReadHeader = timeouts.ReadHeader
	cfg.Idle = timeouts.Idle
	cfg.MaxConns, cfg.MaxConnsPerAddr = connections.Max, connections.PerAddress
	cfg.Exempt = g.sharedAddress
	cfg.Proxied = g.proxied
	cfg.Crowded = g.crowded
	return cfg
}

// crowded is the whole answer to a connection beyond a cap, which no server gets to see.
func (g *Gateway) crowded() []byte {
	f, now := g.failures.Of(answer.ErrTooManyConnections), g.deps.Now()
	return f.Refusal(f.Message, "", answer.NewRequestID(), now).Bytes(now)
}

// sharedAddress reports whether connections from there are those of many clients, or of our own machines: from a trusted
// proxy, or from no public address.
func (g *Gateway) sharedAddress(peer netip.Addr) bool {
	return peer.IsLoopback() || peer.IsPrivate() || peer.IsLinkLocalUnicast() || g.snapshot.Load().trusts(peer)
}

// proxied reports whether connections from there begin with a PROXY protocol header.
func (g *Gateway) proxied(peer netip.Addr) bool {
	r := g.snapshot.Load()
	return r.cfg.Server.ProxyProtocol && r.trusts(peer)
}

// Serve answers requests on ln until Shutdown, which may have come before; the listener is one of listen.Listen.
func (g *Gateway) Serve(ln net.Listener) error {
	if !g.metrics.connections.Watch(ln) {
		return nil
	}
	if err := g.server.Serve(ln); err != nil {
		return fmt.Errorf("serving %s: %w", ln.Addr(), err)
	}
	return nil
}

// ServeAdmin answers the operator on ln until Shutdown.
func (g *Gateway) ServeAdmin(ln net.Listener) error { return g.admin.Serve(ln) }

// Drain makes readiness false, and every answer from now on the last one of its connection. Requests are served all the same.
func (g *Gateway) Drain() {
	if !g.draining.Swap(true) {
		close(g.ending)
	}
}

// Shutdown drains, stops accepting, ends WebSockets with 1001, and waits for requests in flight until ctx ends.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.Drain()
	g.gate.end()
	g.sockets.Drain()
	drained := g.metrics.connections.Drain(ctx) // before the server, which resets what comes in its last moments
	err := errors.Join(drained, g.server.ShutdownWithContext(ctx), g.metrics.connections.Close())
	if err != nil {
		err = fmt.Errorf("draining: %w", err)
	}
	if !g.hijacks.Wait(ctx) {
		err = errors.Join(err, errors.New("draining: streams to HTTP/1.0 clients or WebSockets were cut off"))
	}
	return errors.Join(err, g.admin.Shutdown(ctx))
}
