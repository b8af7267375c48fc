// Package upstream sends requests to a configured service and returns its answers.
//
// The service runs at one or several targets; each address of a target is an endpoint with its own connections and its
// own score. The balance policy chooses the endpoint of a request. A request is sent to another endpoint if it was
// provably not sent to the first, or if its method is idempotent and no part of an answer was passed on: a request that
// is not idempotent is never executed twice. An answer is either whole, or a stream that breaks off visibly, or an
// error: what the service cut short or garbled never looks complete. A connection returns to the pool only after an
// answer that was read to its end and that nothing followed. Every method is safe for concurrent use.
//
// This package decides where a request goes, and how often; package http1 does the exchange.
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

	"wxgate/breaker"
	"wxgate/message"
	"wxgate/socket"
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
	cohort     socket.Cohort

	ejecting sync.Mutex // one ejection at a time, so that the last endpoint stays
	mu       sync.Mutex // guards what follows, and storing cluster
	targets  []*target
	checks   *checker
	closed   bool
}

// deps is the environment of an Upstream; tests replace it.
type deps struct {
	now     func() time.Time // for health, breaker, budget and durations; deadlines of connections are real
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

// New makes the upstream called name. It does not wait: names are resolved, and targets are checked, in the background.
// State changes of its targets and its breaker are logged to log, unless that is nil. Close it after use.
func New(name string, cfg Config, m *Metrics, log *slog.Logger) (*Upstream, error) {
	return open(name, cfg, m, realDeps(), log)
}

func open(name string, cfg Config, m *Metrics, d deps, log *slog.Logger) (*Upstream, error) {
	u := &Upstream{
		name: name, deps: d, shared: m, events: newEventLog(log, name),
		budget: newBudget(), roundTrips: sync.Pool{New: func() any { return new(roundTrip) }},
	}
	first, err := u.Prepare(cfg)
	if err != nil {
		return nil, err
	}
	u.metrics = m.register(u)
	u.queue.metrics = &u.metrics
	return u, first.Apply()
}

// Capacity returns how many requests its targets take at a time, and how many WebSockets in addition.
func (u *Upstream) Capacity() (requests, webSockets int) {
	f := u.cluster.Load()
	targets := max(1, len(f.endpoints))
	requests = f.cfg.Keepalive.MaxConns * targets
	if n := f.cfg.Queue.InFlight; n > 0 {
		requests = min(requests, n)
	}
	return requests, f.cfg.Keepalive.MaxWebSockets * targets
}

// Close closes the idle connections. Exchanges in flight, and bodies that are still being streamed, go on to their end. The series of
// the upstream are gone, unless another one of its name has them by now.
// Close waits for the goroutines that resolve names and check targets.
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

// Result is how the exchange of a request for its answer went.
type Result struct {
	Target   string        // host[:port] or unix:/path of the last attempt
	Attempts int           // how often the request was sent: 0 if never, more than 1 with retries
	Duration time.Duration // until the failure, or until the head of the answer was read, and all of a small body
	Waited   time.Duration // spent waiting for the sender of the request's body; not part of Duration
	Queued   time.Duration // of Duration, spent waiting for a connection of ours
}

// Do sends req to the service and fills resp, whose previous content is lost. user is whose request it is: with
// hash(user), all requests of one user go to one target. 0 is nobody's.
//
// The request target and the fields are sent as the bytes that they are, in HTTP/1.1. Do writes Host and the framing
// itself, and removes such lines from req.Fields: Host is req.Host or the target's, as the configuration has it, and
// always the target's if req has none. A req.Body is forwarded as it arrives, with Content-Length if its Length is known,
// and chunked if that is negative. It remains the caller's: Do reads neither past its Length nor, after an early answer,
// to its end. req.Content may be sent several times.
//
// The deadline of ctx limits the time until the head of the answer is there, including retries and the arrival of the
// request's body. The latter does not count against the service: the time spent waiting for the sender of the body is
// added to the deadline. Without a deadline the timeouts of the upstream apply. timeouts.response limits the wait for
// the head alone, and timeouts.stream each wait within a body. When ctx ends, the exchange ends, and so does a body
// that is still being passed on: a context that is cancelled at its deadline, as context.WithTimeout makes one, limits
// both.
//
// Answers of known length up to 64 KiB are whole in resp.Body when Do returns, unless the service is slow to send them.
// Any other body is a resp.Stream that passes each part on as it arrives; it must be read to its end or closed
// (resp.Reset closes it). Its errors are http1.ErrReset, ErrTimeout, ErrInvalid and ErrStopped. Fields are end-to-end
// ones as they came: hop-by-hop fields and framing are removed, and interim answers are skipped.
//
// The error is one of http1.ErrConnect, ErrReset, ErrInvalid, ErrTimeout, ErrUnavailable, ErrStopped, ErrRequestBody,
// and breaker.ErrOpen; resp is then empty.
func (u *Upstream) Do(ctx context.Context, req *message.Request, resp *message.Response, user uint64) (Result, error) {
	t := u.newRoundTrip(ctx, req, resp, user)
	defer t.recycle()
	return u.run(t)
}

// Upgrade sends a request that asks for another protocol (RFC 9110 §7.8), with the fields Connection and Upgrade that
// the caller set. If the service switches, the tunnel is not nil, resp holds the end-to-end fields of its 101, and
// whatever follows belongs to the caller. Any other answer, and any failure, is returned as by Do.
func (u *Upstream) Upgrade(ctx context.Context, req *message.Request, resp *message.Response, user uint64) (*http1.Tunnel, Result, error) {
	t := u.newRoundTrip(ctx, req, resp, user)
	defer t.recycle()
	t.Upgrade = true
	result, err := u.run(t)
	return t.Tunnel, result, err
}

func (u *Upstream) run(t *roundTrip) (Result, error) {
	start := u.deps.now()
	t.at = start
	if t.Deadline.IsZero() {
		cfg := &t.cluster.cfg
		t.Deadline = time.Now().Add(cfg.Timeouts.Connect + cfg.Timeouts.Response + cfg.Queue.Wait)
	}
	pass, err := u.breaker.Allow(start)
	if err == nil {
		err = t.attempts()
		u.events.breakerChanged(u.breaker.Record(pass, t.outcome.forService(), t.at))
	}
	if err != nil {
		err = u.fail(t, err)
	}
	result := Result{
		Target: t.target, Attempts: t.Sent, Duration: t.at.Sub(start) - t.Waited, Waited: t.Waited, Queued: t.Queued,
	}
	u.metrics.duration.Observe(result.Duration.Seconds())
	return result, err
}

// fail leaves nothing of an answer behind.
func (u *Upstream) fail(t *roundTrip, err error) error {
	t.Resp.Reset()
	if errors.Is(t.ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", u.name, http1.ErrStopped)
	}
	return fmt.Errorf("%s: %w", u.name, err)
}
