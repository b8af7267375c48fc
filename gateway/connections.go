package gateway

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/gateway/answer"
	"wxgate/gateway/listen"
	"wxgate/gateway/wire"
)

// connections are the series of the public listener and of what its strict reader refuses.
type connections struct {
	of        atomic.Pointer[listen.Listener] // nil: not listening yet
	closed    atomic.Bool
	malformed *prometheus.CounterVec
}

func newConnections(reg prometheus.Registerer) *connections {
	c := &connections{malformed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_malformed_requests_total", Help: "Requests that the strict reader refused, by the rule that they broke.",
	}, []string{"rule"})}
	counter := func(name, help string, of func(listen.Stats) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(of(c.stats())) })
	}
	reg.MustRegister(c.malformed,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "wxgate_connections", Help: "Client connections that are open.",
		}, func() float64 { return float64(c.stats().Open) }),
		counter("wxgate_connections_accepted_total", "Client connections that were served.", func(s listen.Stats) int64 { return s.Accepted }),
		counter("wxgate_connections_refused_total", "Client connections beyond a cap.", func(s listen.Stats) int64 { return s.Refused }),
		counter("wxgate_accept_retries_total", "Times that no connection could be accepted for want of descriptors or memory.",
			func(s listen.Stats) int64 { return s.Retries }))
	return c
}

// watch takes the counts from ln on. It reports false, and closes ln, when close came first.
func (c *connections) watch(ln net.Listener) bool {
	if strict, ok := ln.(*listen.Listener); ok {
		c.of.Store(strict)
	}
	if c.closed.Load() {
		_ = ln.Close()
		return false
	}
	return true
}

// close ends a server that was about to accept when it was shut down: fasthttp knows none before that, and it would serve
// for good.
func (c *connections) close() error {
	c.closed.Store(true)
	if ln := c.of.Load(); ln != nil {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// drain ends the listener and its connections, if there is one that knows how.
func (c *connections) drain(ctx context.Context) error {
	if ln := c.of.Load(); ln != nil {
		return ln.Drain(ctx)
	}
	return nil
}

func (c *connections) stats() listen.Stats {
	if ln := c.of.Load(); ln != nil {
		return ln.Stats()
	}
	return listen.Stats{}
}

// refused counts a verdict of the strict reader.
func (c *connections) refused(fault *wire.MalformedError) {
	c.malformed.WithLabelValues(string(fault.Reason)).Inc()
}

// crowded is the whole answer to a connection beyond a cap, which no server gets to see.
func (g *Gateway) crowded() []byte {
	f, now := g.failures.Of(answer.ErrTooManyConnections), g.deps.Now()
	return f.Refusal(f.Message, "", answer.NewRequestID(), now).Bytes(now)
}
