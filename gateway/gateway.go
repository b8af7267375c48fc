// Package gateway is the edge: it reads requests, decides on them in the order of routes.go, answers for the login
// endpoints and forwards the rest to an upstream with identity headers that no client can forge.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn"
	"wxgate/authn/issuer"
	"wxgate/authn/wechat"
	"wxgate/gateway/accesslog"
	"wxgate/gateway/admin"
	"wxgate/gateway/admin/dashboard"
	"wxgate/gateway/apidoc"
	"wxgate/gateway/certificate"
	"wxgate/gateway/certificate/acme"
	"wxgate/gateway/listen"
	"wxgate/gateway/push"
	"wxgate/gateway/quota"
	"wxgate/gateway/stream"
	"wxgate/gateway/websocket"
	"wxgate/tracing"
	"wxgate/upstream"
)

// Deps are the dependencies of a Gateway; those that may be nil say so.
type Deps struct {
	Authn        *authn.Authn
	Issuers      *issuer.Set // of Config.Issuers; nil: there are none
	Storage      admin.Store
	Pushes       push.Apps                     // none: message push is off; Reload replaces them
	Quotas       quota.Store                   // remembers what users did today; nil: quotas count nothing
	Pushed       push.Store                    // remembers pushed messages; nil: memory alone does
	Merchants    Merchants                     // of Config.Merchants; Reload replaces them
	WeChat       map[string]admin.Broker       // WeChat clients of the mini-programs, by appid
	Certificates *certificate.Set              // of Config.Server.TLS; nil: the public listener is plain. Reload replaces it
	ACME         *acme.Manager                 // of Config.Server.TLS.ACME; nil: it is off. Reload replaces it
	Upstreams    map[string]*upstream.Upstream // by name in gateway.yaml; Reload replaces them
	Metrics      interface {
		prometheus.Registerer
		prometheus.Gatherer
	}
	Log      *slog.Logger
	Access   *accesslog.Log          // one line per request, without secrets
	Tracer   *tracing.Tracer         // nil: nothing is traced
	Gate     Gate                    // of the store; nil: the store is never handed over
	LogFault func() *dashboard.Fault // why log lines are being lost, nil while none are; may be nil
	Now      func() time.Time

	Process func() dashboard.Process // what the dashboard shows of the process; nil: nothing
}

// process is Process, also where there is none.
func (d Deps) process() func() dashboard.Process {
	if d.Process == nil {
		return func() dashboard.Process { return dashboard.Process{} }
	}
	return d.Process
}

// Gateway is the public edge. It is safe for concurrent use.
type Gateway struct {
	*pipeline
	auth       *authenticator
	forwarder  *forwarder
	server     *server
	streams    *stream.Server
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
		auth:       &authenticator{deps.Authn, deps.Issuers, p.fiber.parseToken, p.limits, p.admission, p.store},
		forwarder:  &forwarder{p.admission, p.store, p.watcher, websocket.NewTunnels(p.metrics.webSockets)},
		startDrain: startDrain,
	}
	g.server = p.newServer(g.auth.authenticate, g.serve)
	if g.streams, err = stream.NewServer(p.ListenConfig(), g.server); err != nil {
		startDrain()
		return nil, err
	}
	g.server.streams = g.streams
	if g.admin, err = g.newAdmin(); err != nil {
		startDrain()
		return nil, err
	}
	return g, nil
}

// newAdmin is the admin listener of this gateway.
func (g *Gateway) newAdmin() (*admin.Server, error) {
	return admin.New(g.snapshot.Load().cfg.Server.Connections.Admin, admin.Deps{
		Authn: g.deps.Authn, Store: g.deps.Storage, WeChat: g.deps.WeChat, Errors: g.observer.failures,
		Metrics: g.deps.Metrics, Log: g.deps.Log, LimitedLog: g.observer.limitedLog, LogFault: g.deps.LogFault, Now: g.deps.Now,
		Credentials: func() admin.Credentials { return g.snapshot.Load().cfg.Server.credentials() },
		Payments:    func() map[string]wechat.VirtualPaymentConfig { return g.snapshot.Load().cfg.VirtualPayments },
		Draining:    func() bool { return g.drain.Err() != nil },
		Quotas:      g.quotas.counter, AllQuotas: func() []quota.Quota { return g.snapshot.Load().cfg.Quotas() },
		Process: g.deps.process(), Routes: g.shownRoutes(),
		PublicAPI: func() (apidoc.Document, error) { return g.snapshot.Load().cfg.PublicAPI(g.deps.process()().Version) },
		Certificates: func() *dashboard.Fault {
			r := g.snapshot.Load()
			if r.acme == nil {
				return nil
			}
			missing := r.acme.Missing(r.certificates)
			if len(missing) == 0 {
				return nil
			}
			return dashboard.NewFault(dashboard.FaultCertificates, "domains", strings.Join(missing, ", "))
		},
	})
}

// ListenConfig is the configuration of the public listener, one of listen.Listen, for this gateway.
func (g *Gateway) ListenConfig() listen.Config {
	cfg := g.pipeline.ListenConfig()
	cfg.HTTP2 = g.streams
	return cfg
}

// peopleOf is what pushed events change people with; nil: nothing.
func peopleOf(auth *authn.Authn) push.People {
	if auth == nil { // Explain has none
		return nil
	}
	return auth.Users
}

// TellErasures tells services of people who are to be erased and have not come back, until ctx ends.
func (g *Gateway) TellErasures(ctx context.Context) {
	g.pushes.TellErasures(ctx, func(appID string) (app push.App, to *upstream.Upstream) {
		now := g.snapshot.Load()
		for _, app = range now.pushes {
			if app.ID == appID {
				return app, now.upstreams[app.Upstream]
			}
		}
		return push.App{}, nil
	})
}

// Serve answers requests on ln until Shutdown, which may have been called before.
func (g *Gateway) Serve(ln *listen.Listener) error {
	if !g.metrics.connections.Watch(ln) {
		return nil
	}
	if err := ln.Serve(g.server); err != nil {
		return fmt.Errorf("serving %s: %w", ln.Addr(), err)
	}
	return nil
}

// ServeHTTP3 answers requests on a socket of UDP until Shutdown, beside a listener whose caps count its connections too.
func (g *Gateway) ServeHTTP3(socket net.PacketConn, beside *listen.Listener) error {
	host, err := os.Hostname()
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	reset, err := g.deps.Authn.Tokens.Keys().ResetKey(host)
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	return g.streams.ServePackets(socket, g.tlsConfig(), reset, beside.Enter)
}

// ServeAdmin serves the admin listener on ln until Shutdown, over TLS unless security is nil.
func (g *Gateway) ServeAdmin(ln net.Listener, security *tls.Config) error {
	return g.admin.Serve(ln, security)
}

// Drain makes readiness false, and every answer from now on the last one of its connection. Requests are still served.
func (g *Gateway) Drain() {
	g.startDrain()
}

// Shutdown drains, stops accepting, closes WebSockets with 1001, and waits for requests in flight until ctx ends.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.Drain()
	g.store.gate.Close()
	g.forwarder.sockets.Drain()
	http3 := make(chan error, 1)
	go func() { http3 <- g.streams.Shutdown(ctx) }()
	err := errors.Join(g.metrics.connections.Drain(ctx), <-http3, g.metrics.connections.Close())
	if err != nil {
		err = fmt.Errorf("draining: %w", err)
	}
	return errors.Join(err, g.admin.Shutdown(ctx))
}
