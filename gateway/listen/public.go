package listen

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/gateway/wire"
)

// Public is the public listener of a gateway, which may be closed before it listens, with the metrics of its
// connections and of what the judge refuses.
type Public struct {
	of        atomic.Pointer[Listener] // nil: not listening yet
	closed    atomic.Bool
	malformed *prometheus.CounterVec
	failed    *prometheus.CounterVec // TLS handshakes
	streams   prometheus.Counter     // beyond a cap
}

// NewPublic declares the series on reg.
func NewPublic(reg prometheus.Registerer) *Public {
	p := &Public{malformed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_malformed_requests_total", Help: "Requests that the strict reader refused, by the rule that they broke.",
	}, []string{"rule"})}
	p.failed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_tls_handshakes_failed_total", Help: "Clients with which there was no TLS, by why.",
	}, []string{"reason"})
	for _, reason := range handshakeFailures() {
		p.failed.WithLabelValues(reason) // so that an alert finds every series before its first event
	}
	p.streams = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "wxgate_streams_refused_total", Help: "Streams of HTTP/2 and HTTP/3 beyond a cap.",
	})
	counter := func(name, help string, of func(Stats) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(of(p.stats())) })
	}
	reg.MustRegister(p.malformed, p.failed, p.streams,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "wxgate_connections", Help: "Client connections that are open.",
		}, func() float64 { return float64(p.stats().Open) }),
		counter("wxgate_connections_accepted_total", "Client connections that were served.", func(s Stats) int64 { return s.Accepted }),
		counter("wxgate_connections_refused_total", "Client connections beyond a cap.", func(s Stats) int64 { return s.Refused }),
		counter("wxgate_accept_retries_total", "Times that no connection could be accepted for want of descriptors or memory.",
			func(s Stats) int64 { return s.Retries }))
	return p
}

// Watch takes the counts from ln. It returns false and closes ln if Close was called before.
func (p *Public) Watch(ln *Listener) bool {
	p.of.Store(ln)
	if p.closed.Load() {
		_ = ln.Close()
		return false
	}
	return true
}

// Close closes the listener, also one that is watched later: a gateway may be shut down just before it serves. It cuts
// the connections that are left.
func (p *Public) Close() error {
	p.closed.Store(true)
	if ln := p.of.Load(); ln != nil {
		err := ln.Close()
		ln.Abort()
		if !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// Drain drains the listener, if there is one that can.
func (p *Public) Drain(ctx context.Context) error {
	if ln := p.of.Load(); ln != nil {
		return ln.Drain(ctx)
	}
	return nil
}

func (p *Public) stats() Stats {
	if ln := p.of.Load(); ln != nil {
		return ln.Stats()
	}
	return Stats{}
}

// CountMalformed counts a request that the judge refused.
func (p *Public) CountMalformed(fault *wire.MalformedError) {
	p.malformed.WithLabelValues(string(fault.Reason)).Inc()
}

// CountHandshakeFailure counts a client with which there was no TLS.
func (p *Public) CountHandshakeFailure(err error) {
	p.failed.WithLabelValues(handshakeFailure(err)).Inc()
}

// CountStreamRefused counts a stream beyond a cap.
func (p *Public) CountStreamRefused() { p.streams.Inc() }
