// Package upstream sends one request to a configured service and brings back its answer.
//
// A request is sent once, whatever its method and whatever happens; only one that has provably not left is given
// another connection. An answer is either whole, or a stream that breaks off visibly, or an error: what the service
// cut short or garbled never looks complete. A connection goes back to the pool only after an answer that was read to
// its end and when nothing followed it. Every method is safe for concurrent use.
package upstream

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// Upstream is a configured service.
type Upstream struct {
	name     string
	target   endpoint
	timeouts Timeouts
	pool     *pool
	duration prometheus.Observer
	outgoing sync.Pool // of *outgoing
}

// New makes the upstream called name. It connects to nothing yet. Close ends it.
func New(name string, cfg Config, m *Metrics) (*Upstream, error) {
	if err := errors.Join(cfg.Validate("upstreams." + name)...); err != nil {
		return nil, err
	}
	target, err := parseTarget(cfg.Targets[0].URL)
	if err != nil {
		return nil, fmt.Errorf("upstreams.%s: %w", name, err)
	}
	cfg = cfg.withDefaults()
	return &Upstream{
		name:     name,
		target:   target,
		timeouts: cfg.Timeouts,
		pool:     newPool(newDialer(target, cfg.Timeouts.Connect), cfg.Keepalive),
		duration: m.duration.WithLabelValues(name),
		outgoing: sync.Pool{New: func() any { return new(outgoing) }},
	}, nil
}

// Name is the name of the upstream in gateway.yaml.
func (u *Upstream) Name() string { return u.name }

// Close closes the idle connections and lets the exchanges in flight, and the bodies still being streamed, end.
func (u *Upstream) Close() { u.pool.close() }

// Exchange is what an access log wants to know of one Do.
type Exchange struct {
	Target   string        // host[:port] that the request was for
	Attempts int           // how often it was sent: 0 when it never left, else 1
	Duration time.Duration // until the head of the answer was there (with a small body: until that was), or the failure
}

// Do sends req to the service and fills resp, whose former content is lost.
//
// The request target goes out as the bytes that req.Header.SetRequestURIBytes was given, and names and values as they
// were added (with req.Header.DisableNormalizing). Do sets the framing anew: it passes on a body stream as it comes,
// with Content-Length when its size is known and chunked when it is negative. The stream stays the caller's: Do neither
// closes it nor reads beyond its end or an early answer. Host is the target's when req has none.
//
// The deadline bounds everything until the head of the answer, timeouts.response the waiting for it; a body has
// timeouts.stream between two reads instead. A zero deadline leaves the upstream's own timeouts.
//
// Answers of known length up to 64 KiB are whole when Do returns, unless the service dawdles over them. All others are
// a body stream that writes each part on as it comes; it must be read or closed (resp.Reset closes it). Fields of the
// connection are removed, interim answers skipped, and Date is the gateway's own: fasthttp admits no other.
//
// The error is one of ErrConnect, ErrReset, ErrInvalid, ErrTimeout, ErrUnavailable and ErrRequestBody; resp is then
// empty.
func (u *Upstream) Do(req *fasthttp.Request, resp *fasthttp.Response, deadline time.Time) (Exchange, error) {
	return u.DoUntil(req, resp, deadline, nil)
}

// DoUntil is Do for a caller that may want to end the exchange early, body included; its error is then ErrStopped.
func (u *Upstream) DoUntil(req *fasthttp.Request, resp *fasthttp.Response, deadline time.Time, stop *Stop) (Exchange, error) {
	return u.run(&trip{req: req, resp: resp, deadline: deadline, stop: stop})
}

func (u *Upstream) run(t *trip) (Exchange, error) {
	start := time.Now()
	if t.deadline.IsZero() {
		t.deadline = start.Add(u.timeouts.Connect + u.timeouts.Response + slotWait)
	}
	ex := Exchange{Target: u.target.name}
	err := u.exchange(t, &ex)
	if err != nil {
		err = u.failed(t, err)
	}
	ex.Duration = time.Since(start)
	u.duration.Observe(ex.Duration.Seconds())
	return ex, err
}

// failed leaves nothing of an answer behind.
func (u *Upstream) failed(t *trip, err error) error {
	t.resp.Reset()
	t.resp.Header.SetNoDefaultContentType(true)
	t.stop.leave(true)
	if t.stop.wasStopped() {
		return fmt.Errorf("%s: %w", u.name, ErrStopped)
	}
	return fmt.Errorf("%s: %w", u.name, err)
}
