package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"wxgate/authn"
	"wxgate/gateway/answer"
)

// admin is the operator's listener: probes, metrics and the API of adminapi.go. It runs on net/http, apart from the
// public one.
type admin struct {
	gateway *Gateway
	authn   *authn.Authn
	log     *slog.Logger
	now     func() time.Time
	server  *http.Server
	conns   *adminConns
}

func (g *Gateway) newAdmin() *admin {
	a := &admin{
		gateway: g, authn: g.deps.Authn, log: g.deps.Log, now: g.deps.Now,
		conns: newAdminConns(g.rules.Load().cfg.Server.Connections.Admin, g.deps.Metrics),
	}
	a.server = &http.Server{
		Handler:           keepWhileAnswering(a.newMux()),
		ConnContext:       withAdminConn,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(g.deps.Log.Handler(), slog.LevelWarn),
	}
	return a
}

// newMux puts everything but the probes behind the guard: an orchestrator's probe has neither the token nor a Host of
// this machine.
func (a *admin) newMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { probe(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("/", a.guarded(a.newGuardedMux()))
	return mux
}

func (a *admin) newGuardedMux() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.gateway.deps.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	for _, e := range a.endpoints() {
		mux.HandleFunc(e.pattern, a.knowing(e.query, e.serve))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { a.fail(w, answer.ErrNoRoute) })
	return mux
}

// readyz reports whether new requests should come here.
func (a *admin) readyz(w http.ResponseWriter, r *http.Request) {
	if a.gateway.draining.Load() {
		probe(w, http.StatusServiceUnavailable, "draining")
		return
	}
	text := "ok"
	if but := a.shortcomings(r.Context()); len(but) > 0 {
		text += ", but " + strings.Join(but, "; ")
	}
	probe(w, http.StatusOK, text)
}

// shortcomings are the faults with which traffic should go on coming: taking every instance out would make an outage of
// each.
func (a *admin) shortcomings(ctx context.Context) (words []string) {
	if err := a.gateway.deps.Storage.Ready(ctx); err != nil { // tokens are served all the same
		words = append(words, "logins are refused: the storage does not take writes")
	}
	if a.gateway.deps.LogFault == nil {
		return words
	}
	if err := a.gateway.deps.LogFault(); err != nil {
		words = append(words, err.Error())
	}
	return words
}

func probe(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the prober has left: nobody to tell
}

func (a *admin) serve(ln net.Listener) error {
	if err := a.server.Serve(adminListener{ln, a.conns}); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the admin listener: %w", err)
	}
	return nil
}

func (a *admin) shutdown(ctx context.Context) error {
	if err := a.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("closing the admin listener: %w", err)
	}
	return nil
}
