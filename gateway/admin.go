package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// admin is the operator's listener: metrics and probes. It runs on net/http, apart from the public one.
type admin struct{ server *http.Server }

func (g *Gateway) newAdmin() *admin {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.deps.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { probe(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", g.readyz)
	return &admin{server: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}}
}

// readyz says whether new requests should come here.
func (g *Gateway) readyz(w http.ResponseWriter, r *http.Request) {
	if g.draining.Load() {
		probe(w, http.StatusServiceUnavailable, "draining")
		return
	}
	// A store that cannot write refuses logins; tokens are served all the same, so traffic should go on coming.
	if err := g.deps.Storage.Ready(r.Context()); err != nil {
		probe(w, http.StatusOK, "ok, but logins are refused: the storage does not take writes")
		return
	}
	probe(w, http.StatusOK, "ok")
}

func probe(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the prober has left: nobody to tell
}

func (a *admin) serve(ln net.Listener) error {
	if err := a.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
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
