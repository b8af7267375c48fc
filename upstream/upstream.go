// Package upstream sends one request to a configured service and brings back its answer.
//
// The service runs at one or several targets; each address of a target is an endpoint with its own connections and its
// own score. A request goes to the endpoint that the balance policy chooses. It is sent to another one when it has
// provably not left, or when its method is idempotent and nothing of an answer was passed on: what is not idempotent is
// never executed twice. An answer is either whole, or a stream that breaks off visibly, or an error: what the service
// cut short or garbled never looks complete. A connection goes back to the pool only after an answer that was read to
// its end and when nothing followed it. Every method is safe for concurrent use.
//
// Where a request goes, and how often, is decided here; package http1 below does the exchange.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/breaker"
	"wxgate/upstream/http1"
)

// Upstream is a configured service.
type Upstream struct {
	name       string
	deps       deps
	shared     *Metrics
	metrics    upstreamMetrics
	events     eventLog
	cluster    atomic.Pointer[cluster] // who serves, and how
	roundRobin roundRobin
	queue      queue
	budget     budget
	breaker    breaker.Breaker
	undrained  atomic.Bool // content that the service did not read was taken for a request
	roundTrips sync.Pool   // of *roundTrip

	ejecting sync.Mutex // one ejection at a time, so that the last endpoint stays
	mu       sync.Mutex // guards what follows, and storing cluster
	targets  []*target
	checks   *checker
	closed   bool
}

// deps is the environment of an Upstream; tests replace it.
type deps struct {
	now     func() time.Time // for health, breaker and budget; deadlines of connections are real
	lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	resolve time.Duration // between two look-ups of a name
	pause   time.Duration // at least, between two look-ups
}

func realDeps() deps {
	return deps{
		now:     time.Now,
		resolve: resolveEvery,
		pause:   resolvePause,
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
	}
}

// New makes the upstream called name. It waits for nothing: names are looked up, and targets asked for their health, in
// the background. State changes of its targets and its breaker are logged to log. Close ends it.
func New(name string, cfg Config, m *Metrics, log *slog.Logger) (*Upstream, error) {
	return open(name, cfg, m, realDeps(), log)
}

func open(name string, cfg Config, m *Metrics, d deps, log *slog.Logger) (*Upstream, error) {
	u := &Upstream{
		name: name, deps: d, shared: m, metrics: m.of(name), events: newEventLog(log, name),
		budget: newBudget(), roundTrips: sync.Pool{New: func() any { return new(roundTrip) }},
	}
	u.queue.metrics = &u.metrics
	first, err := u.Prepare(cfg)
	if err == nil {
		err = first.Apply()
	}
	if err != nil {
		return nil, err
	}
	m.register(u)
	return u, nil
}

// Capacity returns how many requests, and beside them how many WebSockets, its targets take at a time.
func (u *Upstream) Capacity() (requests, webSockets int) {
	f := u.cluster.Load()
	targets := max(1, len(f.endpoints))
	requests = f.cfg.Keepalive.MaxConns * targets
	if n := f.cfg.Queue.InFlight; n > 0 {
		requests = min(requests, n)
	}
	return requests, f.cfg.Keepalive.MaxWebSockets * targets
}

// Close closes the idle connections and lets the exchanges in flight, and the bodies still being streamed, end. It
// waits for the goroutines of name look-ups and health checks.
func (u *Upstream) Close() {
	u.mu.Lock()
	closed := u.closed
	u.closed = true
	targets, checks := u.targets, u.checks
	u.mu.Unlock()
	if closed {
		return
	}
	u.shared.unregister(u)
	checks.close()
	for _, t := range targets {
		t.close()
	}
}

// Exchange is what became of a request.
type Exchange struct {
	Target   string        // host[:port] that the request was last for
	Attempts int           // how often it was sent: 0 when it never left, more than 1 with retries
	Duration time.Duration // until the head of the answer was there (with a small body: until that was), or the failure
	Waited   time.Duration // for the sender of the request's body, beside Duration
	Body     *http1.Body   // the answer's, when that is passed on as it comes; nil: the answer is whole
}

// Do sends req to the service and fills resp, whose former content is lost. user is whose request it is: with hash(user),
// all requests of one value go to one target. 0 is nobody's.
//
// The request target goes out as the bytes that req.Header.SetRequestURIBytes was given, and names and values as they
// were added (with req.Header.DisableNormalizing). Do sets the framing anew: it passes on a body stream as it comes,
// with Content-Length when its size is known and chunked when it is negative. The stream stays the caller's: Do neither
// closes it nor reads beyond its end or an early answer. Host is the target's when req has none.
//
// The deadline of ctx bounds everything until the head of the answer is there, retries and the arrival of the request's
// body included. The service does not pay for the latter: what the sender of the body makes us wait is added to its time.
// Without a deadline the upstream's own timeouts hold. timeouts.response bounds the wait for the head alone, and a body
// has timeouts.stream between two reads. When ctx ends, the exchange does, and so does a body that is still passed on: a
// context that is itself cancelled at its deadline, as one of context.WithTimeout, bounds all of it.
//
// Answers of known length up to 64 KiB are whole when Do returns, unless the service dawdles over them. All others are
// a body stream that writes each part on as it comes; it must be read or closed (resp.Reset closes it). Fields of the
// connection are removed, interim answers skipped, and Date is the gateway's own: fasthttp admits no other.
//
// The error is one of http1.ErrConnect, ErrReset, ErrInvalid, ErrTimeout, ErrUnavailable, ErrStopped, ErrRequestBody, and
// breaker.ErrOpen; resp is then empty.
func (u *Upstream) Do(ctx context.Context, req *fasthttp.Request, resp *fasthttp.Response, user uint64) (Exchange, error) {
	t := u.newRoundTrip(ctx, req, resp, user)
	defer t.recycle()
	return u.run(t)
}

// Upgrade sends a request that asks for another protocol (RFC 9110 §7.8), with the fields Connection and Upgrade that
// the caller set. If the service switches, the tunnel is not nil, resp holds the end-to-end fields of its 101 and
// whatever follows is the caller's. Every other answer is delivered as by Do, and so are failures.
func (u *Upstream) Upgrade(ctx context.Context, req *fasthttp.Request, resp *fasthttp.Response, user uint64) (*http1.Tunnel, Exchange, error) {
	t := u.newRoundTrip(ctx, req, resp, user)
	defer t.recycle()
	t.Upgrade = true
	ex, err := u.run(t)
	return t.Tunnel, ex, err
}

func (u *Upstream) run(t *roundTrip) (Exchange, error) {
	start := time.Now()
	if timeouts := t.cluster.cfg.Timeouts; t.Deadline.IsZero() {
		t.Deadline = start.Add(timeouts.Connect + timeouts.Response + t.cluster.cfg.Queue.Wait)
	}
	pass, err := u.breaker.Allow(u.deps.now())
	if err == nil {
		err = t.attempts()
		u.events.breakerChanged(u.breaker.Record(pass, t.outcome.forService(), u.deps.now()))
	}
	if err != nil {
		err = u.fail(t, err)
	}
	ex := Exchange{Target: t.target, Attempts: t.Sent, Duration: time.Since(start) - t.Waited, Waited: t.Waited, Body: t.Body}
	u.metrics.duration.Observe(ex.Duration.Seconds())
	return ex, err
}

// fail leaves nothing of an answer behind.
func (u *Upstream) fail(t *roundTrip, err error) error {
	t.Resp.Reset()
	t.Resp.Header.SetNoDefaultContentType(true)
	if errors.Is(t.ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", u.name, http1.ErrStopped)
	}
	return fmt.Errorf("%s: %w", u.name, err)
}
