// Package gateway is the edge: it reads requests, decides on them in the order of routes.go, answers for the login
// endpoints and forwards the rest to an upstream with identity headers that no client can forge.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/gateway/admin"
	"wxgate/gateway/websocket"
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
	Gate      Gate         // of the store; nil: it is given to nobody
	LogFault  func() error // why lines of the log are being lost, nil while none are; nil: nobody knows
	Now       func() time.Time
}

// Gateway is the public edge. It is safe for concurrent use.
type Gateway struct {
	*pipeline
	auth       *authenticator
	forwarder  *forwarder
	server     *fasthttp.Server
	admin      *admin.Server
	startDrain context.CancelFunc
}

// New returns a gateway that is ready to Serve. The configuration must be valid.
func New(cfg Config, deps Deps) (*Gateway, error) {
	drain, startDrain := context.WithCancel(context.Background())
	p, err := newPipeline(drain, cfg, deps)
	if err != nil {
		startDrain()
		return nil, err
	}
	g := &Gateway{
		pipeline:   p,
		auth:       &authenticator{deps.Authn, p.fiber.parseToken, p.limits, p.admission, p.store},
		forwarder:  &forwarder{p.admission, p.store, newWatcher(), websocket.NewTunnels(deps.Authn.Tokens, p.metrics.webSockets)},
		startDrain: startDrain,
	}
	g.server = p.newServer(g.auth.authenticate, g.serve)
	g.admin = g.newAdmin()
	return g, nil
}

// newAdmin is the operator's listener of this gateway.
func (g *Gateway) newAdmin() *admin.Server {
	return admin.New(g.snapshot.Load().cfg.Server.Connections.Admin, admin.Deps{
		Authn: g.deps.Authn, Store: g.deps.Storage, WeChat: g.deps.WeChat, Errors: g.observer.failures,
		Metrics: g.deps.Metrics, Log: g.deps.Log, LimitedLog: g.observer.limitedLog, LogFault: g.deps.LogFault, Now: g.deps.Now,
		Token:    func() secret.Text { return g.snapshot.Load().cfg.Server.AdminToken },
		Draining: func() bool { return g.drain.Err() != nil },
	})
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
	g.startDrain()
}

// Shutdown drains, stops accepting, ends WebSockets with 1001, and waits for requests in flight until ctx ends.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.Drain()
	g.store.gate.Close()
	g.forwarder.sockets.Drain()
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
