package admin

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// conns bounds the connections of the admin listener, so that they cannot take the descriptors of the public one.
// At the bound the connection that has waited longest for a request gives way to a new one: idle and half-sent requests
// keep out neither the operator nor a probe.
type conns struct {
	most           int
	closed, refuse prometheus.Counter

	mu   sync.Mutex
	open map[*trackedConn]struct{}
}

// newConns declares its series on reg.
func newConns(most int, reg prometheus.Registerer) *conns {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_admin_connections_refused_total", Help: "Admin connections closed at the bound: idle ones that gave way, and new ones.",
	}, []string{"which"})
	a := &conns{
		most: most, closed: refused.WithLabelValues("idle"), refuse: refused.WithLabelValues("new"), open: make(map[*trackedConn]struct{}),
	}
	reg.MustRegister(refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_admin_connections", Help: "Connections to the admin listener that are open.",
	}, func() float64 { return float64(a.count()) }))
	return a
}

func (a *conns) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.open)
}

// listener is the admin listener with its bound.
type listener struct {
	net.Listener
	conns *conns
}

// Accept returns the next connection that has a place, made free if need be.
func (l listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.conns.add(conn); c != nil {
			return c, nil
		}
		_ = conn.Close()
	}
}

// add makes room for a connection; nil when all others are being answered.
func (a *conns) add(conn net.Conn) *trackedConn {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.open) >= a.most {
		longest := a.longestWaiting()
		if longest == nil {
			a.refuse.Inc()
			return nil
		}
		a.closed.Inc()
		delete(a.open, longest)
		_ = longest.Conn.Close()
	}
	c := &trackedConn{Conn: conn, conns: a, since: time.Now()}
	a.open[c] = struct{}{}
	return c
}

func (a *conns) longestWaiting() (longest *trackedConn) {
	for c := range a.open {
		if !c.answering && (longest == nil || c.since.Before(longest.since)) {
			longest = c
		}
	}
	return longest
}

// trackedConn is a connection to the admin listener. The lock of conns guards it.
type trackedConn struct {
	net.Conn
	conns     *conns
	since     time.Time // when it was accepted, or answered last
	answering bool
}

// Close also gives the place back.
func (c *trackedConn) Close() error {
	c.conns.mu.Lock()
	delete(c.conns.open, c)
	c.conns.mu.Unlock()
	return c.Conn.Close()
}

func (c *trackedConn) answer(now bool) {
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	c.answering, c.since = now, time.Now()
}

// connKey is the key of the connection in a request's context.
type connKey struct{}

func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// keepWhileAnswering keeps the connections of requests that are being answered.
func keepWhileAnswering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*trackedConn); ok {
			c.answer(true)
			defer c.answer(false)
		}
		next.ServeHTTP(w, r)
	})
}
