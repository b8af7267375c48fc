package admin

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// connLimiter bounds the connections of the admin listener, so that they cannot exhaust the file descriptors of the
// public one. At the bound a new connection replaces the one that has waited longest for a request: idle and half-sent
// requests keep out neither the operator nor a probe.
type connLimiter struct {
	max              int
	evicted, refused prometheus.Counter

	mu   sync.Mutex
	open map[*trackedConn]struct{}
}

// newConnLimiter registers its series with reg.
func newConnLimiter(most int, reg prometheus.Registerer) *connLimiter {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_admin_connections_refused_total", Help: "Admin connections closed at the bound: idle ones that gave way, and new ones.",
	}, []string{"which"})
	a := &connLimiter{
		max: most, evicted: refused.WithLabelValues("idle"), refused: refused.WithLabelValues("new"), open: make(map[*trackedConn]struct{}),
	}
	reg.MustRegister(refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_admin_connections", Help: "Connections to the admin listener that are open.",
	}, func() float64 { return float64(a.count()) }))
	return a
}

func (a *connLimiter) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.open)
}

// acceptPause is between two connections: those who connect again and again must leave the public listener its turns.
// See docs/decisions/0118.
const acceptPause = time.Millisecond

// listener is the admin listener with bounded connections.
type listener struct {
	net.Listener
	limiter *connLimiter
}

// Accept returns the next connection within the bound, after closing an idle one if need be.
func (l listener) Accept() (net.Conn, error) {
	for {
		<-time.After(acceptPause)
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.limiter.add(conn); c != nil {
			return c, nil
		}
		_ = conn.Close()
	}
}

// add tracks a new connection, in place of an idle one at the bound; nil when all are being answered.
func (a *connLimiter) add(conn net.Conn) *trackedConn {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.open) >= a.max {
		longest := a.longestWaiting()
		if longest == nil {
			a.refused.Inc()
			return nil
		}
		a.evicted.Inc()
		delete(a.open, longest)
		_ = longest.Conn.Close()
	}
	c := &trackedConn{Conn: conn, limiter: a, since: time.Now()}
	a.open[c] = struct{}{}
	return c
}

func (a *connLimiter) longestWaiting() (longest *trackedConn) {
	for c := range a.open {
		if !c.answering && (longest == nil || c.since.Before(longest.since)) {
			longest = c
		}
	}
	return longest
}

// trackedConn is a connection to the admin listener. The lock of connLimiter guards it.
type trackedConn struct {
	net.Conn
	limiter   *connLimiter
	since     time.Time // when it was accepted, or last answered
	answering bool
}

// Close also stops tracking the connection.
func (c *trackedConn) Close() error {
	c.limiter.mu.Lock()
	delete(c.limiter.open, c)
	c.limiter.mu.Unlock()
	return c.Conn.Close()
}

func (c *trackedConn) setAnswering(answering bool) {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.answering, c.since = answering, time.Now()
}

// connKey is the key of the connection in a request's context.
type connKey struct{}

func withConn(ctx context.Context, conn net.Conn) context.Context {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return context.WithValue(ctx, connKey{}, conn)
}

// markAnswering keeps connections from being replaced while a request is being answered.
func markAnswering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*trackedConn); ok {
			c.setAnswering(true)
			defer c.setAnswering(false)
		}
		next.ServeHTTP(w, r)
	})
}
