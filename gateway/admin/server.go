// Package admin is the admin listener: probes, metrics, and the API for operators and services of the team, with users,
// their counters, bans and sessions, and WeChat's server-side API. It answers only this machine unless server.admin_token
// is set. Services have tokens of their own, with which they may do what server.services says.
package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/gateway/admin/dashboard"
	"wxgate/gateway/answer"
	"wxgate/gateway/apidoc"
	"wxgate/gateway/quota"
	"wxgate/lograte"
	"wxgate/storage"
)

// Store is what the listener itself needs of the store.
type Store interface {
	// Ready returns why the store cannot write, nil when it can.
	Ready(ctx context.Context) error
	// Reseal seals some more secrets with the first encryption key.
	Reseal(ctx context.Context) (storage.Resealed, error)
	// Snapshot calls each with every record of one moment.
	Snapshot(ctx context.Context, each func(storage.Record) error) error
}

// Deps are the dependencies of a Server; those that may be nil say so.
type Deps struct {
	Authn   *authn.Authn
	Store   Store
	WeChat  map[string]Broker // by appid
	Errors  answer.Table
	Metrics interface {
		prometheus.Registerer
		prometheus.Gatherer
	}
	Log         *slog.Logger
	LimitedLog  *lograte.Log            // for lines that clients can provoke
	LogFault    func() *dashboard.Fault // why log lines are being lost, nil while none are; may be nil
	Now         func() time.Time
	Credentials func() Credentials                            // which a reload may change
	Payments    func() map[string]wechat.VirtualPaymentConfig // wechat.virtual_payment by appid, which a reload may change
	Quotas      *quota.Counter
	AllQuotas   func() []quota.Quota // that routes have, which a reload may change
	Draining    func() bool          // reports whether new requests should go elsewhere

	PublicAPI func() (apidoc.Document, error) // of the configuration in force

	Process func() dashboard.Process // what the dashboard shows of the process
	Routes  func() []dashboard.Route // of the configuration in force; never called twice at once

	Certificates func() *dashboard.Fault // which the public listener still lacks, nil while it has all; may be nil
}

// Server is the admin listener: probes, metrics and the API of api.go. It runs on net/http, separate from the public
// listener. It is safe for concurrent use.
type Server struct {
	deps         Deps
	responder    responder
	server       *http.Server
	conns        *connLimiter
	serviceCalls *serviceCalls
	console      *console
	backups      chan struct{} // holds a value while one is being taken
}

// New returns a Server with at most maxConns connections. It registers its series with deps.Metrics.
func New(maxConns int, deps Deps) (*Server, error) {
	s := &Server{
		deps:         deps,
		responder:    responder{deps.Errors, deps.Log, deps.LimitedLog, deps.Now},
		conns:        newConnLimiter(maxConns, deps.Metrics),
		serviceCalls: newServiceCalls(deps),
		backups:      make(chan struct{}, 1),
	}
	var err error
	if s.console, err = newConsole(s.responder, s); err != nil {
		return nil, err
	}
	s.server = &http.Server{
		Handler:           markAnswering(forNoOtherSite(s.newMux())),
		ConnContext:       withConn,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(clientErrors{deps.Log.Handler(), deps.LimitedLog}, slog.LevelWarn),
	}
	return s, nil
}

// forNoOtherSite tells browsers that no page of another site may show or read an answer, and that its type is the one it has.
func forNoOtherSite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// clientErrors logs what net/http says of connections, such as handshakes that failed, which clients provoke.
type clientErrors struct {
	slog.Handler
	limited *lograte.Log
}

// Handle logs a line of net/http.
func (c clientErrors) Handle(_ context.Context, line slog.Record) error {
	c.limited.Warn(lograte.Kind{Message: "a connection to the admin listener failed"}, "error", lograte.Clip([]byte(line.Message)))
	return nil
}

// newMux puts everything but the probes behind the guard: an orchestrator's probe has neither the token nor a Host of
// this machine.
func (s *Server) newMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { probe(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	s.console.register(mux, s.admitted)
	mux.Handle("/", s.guarded(s.newGuardedMux()))
	return mux
}

func (s *Server) newGuardedMux() http.Handler {
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(exposed{s.deps.Metrics}, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: 10 * time.Second, EnableOpenMetrics: true,
		DisableCompression: true, // it takes as long as all the rest of a scrape, and requests wait for it
	})
	mux.HandleFunc("GET /metrics", s.responder.permitted(operatorAlone, metrics.ServeHTTP))
	for _, e := range s.endpoints() {
		mux.HandleFunc(e.pattern, s.responder.permitted(e.needs, s.responder.withKnownQuery(e.query, e.serve)))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { s.responder.fail(w, answer.ErrNoRoute) })
	return mux
}

// exposed are metrics without go_memstats_alloc_bytes, which go_memstats_heap_alloc_bytes equals: OpenMetrics has families, and
// that one would be both a gauge and the counter go_memstats_alloc_bytes_total, for which strict readers refuse all.
type exposed struct{ prometheus.Gatherer }

// Gather implements prometheus.Gatherer.
func (e exposed) Gather() ([]*dto.MetricFamily, error) {
	families, err := e.Gatherer.Gather()
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "go_memstats_alloc_bytes" }), err
}

// readyz reports whether new requests should come here.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.deps.Draining() {
		probe(w, http.StatusServiceUnavailable, "draining")
		return
	}
	text := "ok"
	var but []string
	for _, fault := range s.faults(s.deps.Store.Ready(r.Context())) {
		but = append(but, fault.Text)
	}
	if len(but) > 0 {
		text += ", but " + strings.Join(but, "; ")
	}
	probe(w, http.StatusOK, text)
}

// faults are those despite which traffic should continue: taking every instance out of service would turn each into an outage.
// unwritable is what the store said of itself.
func (s *Server) faults(unwritable error) []dashboard.Fault {
	found := []dashboard.Fault{}
	if unwritable != nil { // requests with a token are still served
		found = append(found, *dashboard.NewFault(dashboard.FaultLogins))
	}
	switch err := s.deps.Authn.Ready(); {
	case errors.Is(err, storage.ErrReplaced):
		found = append(found, *dashboard.NewFault(dashboard.FaultReplaced))
	case err != nil:
		found = append(found, *dashboard.NewFault(dashboard.FaultTokens))
	}
	for _, look := range []func() *dashboard.Fault{s.deps.Certificates, s.deps.LogFault} { // the authority may have to reach us first
		if look == nil {
			continue
		}
		if fault := look(); fault != nil {
			found = append(found, *fault)
		}
	}
	return found
}

func probe(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the prober has left: there is nobody to tell
}

// Serve answers on ln until Shutdown, over TLS unless security is nil.
func (s *Server) Serve(ln net.Listener, security *tls.Config) error {
	ln = listener{ln, s.conns}
	if security != nil {
		ln = tls.NewListener(ln, security)
	}
	if err := s.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the admin listener: %w", err)
	}
	return nil
}

// Shutdown closes the listener and waits for requests in flight until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("closing the admin listener: %w", err)
	}
	return nil
}
