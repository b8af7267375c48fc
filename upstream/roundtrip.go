package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"wxgate/message"
	"wxgate/tracing/span"
	"wxgate/upstream/http1"
)

// maxAttempts is at how many endpoints one request is tried at most.
const maxAttempts = 8

// roundTrip is one request on its way, in one or several attempts. It is pooled for its buffers.
type roundTrip struct {
	http1.Request
	ctx context.Context
	up  *Upstream
	req *message.Request

	at      time.Time // the last look at the clock: at the start, and whenever it has waited
	cluster *cluster  // as of the present attempt
	tried   []*endpoint
	retries int     // those that count in retries.attempts
	granted bool    // the budget has already paid for the next one
	probe   bool    // the present attempt shows whether an ejected endpoint is well again
	target  string  // of the present attempt
	outcome outcome // of the last attempt
	span    span.Span

	candidates []candidate
}

func (u *Upstream) newRoundTrip(ctx context.Context, req *message.Request, resp *message.Response, user uint64) *roundTrip {
	t, _ := u.roundTrips.Get().(*roundTrip)
	deadline, _ := ctx.Deadline()
	t.Reset(req, resp, deadline, user)
	t.ctx, t.up, t.req, t.cluster = ctx, u, req, u.cluster.Load()
	return t
}

// recycle lets go of everything but the buffers.
func (t *roundTrip) recycle() {
	u := t.up
	t.Release()
	t.ctx, t.up, t.req, t.cluster, t.target, t.span = nil, nil, nil, nil, "", span.Span{}
	t.retries, t.granted, t.probe, t.outcome = 0, false, false, outcomeNone
	t.tried, t.candidates = clearAll(t.tried), clearAll(t.candidates)
	u.roundTrips.Put(t)
}

// clearAll empties a slice and lets go of what it pointed to.
func clearAll[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// attempts sends the request until an outcome is final.
func (t *roundTrip) attempts() error {
	t.up.budget.deposit(t.at)
	e, err := t.firstEndpoint()
	if err != nil {
		return err
	}
	t.startSpan(e)
	err = t.Prepare(t.hostAt(e), e.target.origin.Name, t.ReuseAfterBody())
	if t.Waited > 0 {
		t.at = t.up.deps.now()
		t.Deadline = t.Deadline.Add(t.Waited) // the service's time begins when the body is there
	}
	if err != nil {
		t.outcome = outcomeBody
		t.endSpan()
		return err
	}
	for {
		err := t.attempt(e)
		next := t.nextEndpoint(err)
		if next == nil {
			return err
		}
		e = next
		t.Resp.Reset()
		t.startSpan(e)
		t.Rewind(t.hostAt(e), e.target.origin.Name)
	}
}

// firstEndpoint returns the endpoint for the first attempt. While names are being looked up for the first time, it
// waits for them.
func (t *roundTrip) firstEndpoint() (*endpoint, error) {
	if e := t.choose(); e != nil {
		return e, nil
	}
	defer func() { t.at = t.up.deps.now() }()
	ctx, cancel := context.WithTimeout(context.Background(), min(t.cluster.cfg.Timeouts.Connect, time.Until(t.Deadline)))
	defer cancel()
	t.up.mu.Lock()
	targets := t.up.targets
	t.up.mu.Unlock()
	for _, to := range targets {
		select {
		case <-to.lookedUp:
		case <-ctx.Done():
		case <-t.ctx.Done():
			if errors.Is(t.ctx.Err(), context.DeadlineExceeded) {
				t.outcome = outcomeTimeout
				return nil, fmt.Errorf("%w: looking the name up", http1.ErrTimeout)
			}
			t.outcome = outcomeStopped
			return nil, fmt.Errorf("%w: looking the name up", http1.ErrStopped)
		}
		if e := t.choose(); e != nil {
			return e, nil
		}
		to.reresolve()
	}
	t.outcome = outcomeConnect
	return nil, fmt.Errorf("%w: no address is known", http1.ErrConnect)
}

// attempt sends the request to e once and records the outcome.
func (t *roundTrip) attempt(e *endpoint) error {
	t.target, t.tried = e.target.origin.String(), append(t.tried, e)
	t.Request.TryTimeout = t.tryTimeout()
	began, queued := t.at, t.Queued
	if t.Replayable { // the pace of a long body is its sender's
		e.startAttempt(began)
	}
	err := e.pool.Exchange(t.ctx, &t.Request, t)
	t.at = t.up.deps.now()
	t.outcome = outcomeOf(t, err)
	e.target.countOutcome(t.outcome)
	t.endSpan()
	if errors.Is(err, http1.ErrRemoved) {
		t.outcome = outcomeNone
	}
	e.record(t, began, t.Queued-queued)
	return err
}

// hostAt is the Host that e gets, "" for what the client asked for.
func (t *roundTrip) hostAt(e *endpoint) string { return t.cluster.cfg.ownHost(e.target.origin) }

func (t *roundTrip) hasTried(e *endpoint) bool { return slices.Contains(t.tried, e) }

// RetryElsewhere ends an attempt that got no answer within retries.try_timeout, when another one is granted.
func (t *roundTrip) RetryElsewhere() bool {
	t.granted = t.grant()
	return t.granted
}

// Renewed counts a request that met a dead connection. The span of the attempt goes on.
func (t *roundTrip) Renewed() {
	t.up.metrics.retries[reasonDead].Inc()
	t.span.Set(attribute.Bool("wxgate.dead_connection", true))
}

// ReuseAfterBody reports whether other requests may follow content on a connection.
func (t *roundTrip) ReuseAfterBody() bool {
	return t.cluster.cfg.Keepalive.ReuseAfterBody && !t.up.undrained.Load()
}
