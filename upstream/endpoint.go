package upstream

import (
	"sync"
	"time"

	"wxgate/breaker"
	"wxgate/upstream/http1"
)

// endpoint is one address of a target: its connections, and its score.
type endpoint struct {
	target        *target
	address       string // ip:port, or unix:/path
	seed          uint64 // for rendezvous
	pool          *http1.Pool
	usage         func() (busy int, full bool) // of pool
	currentWeight float64                      // guarded by roundRobin.mu

	mu          sync.Mutex
	latency     latency
	failures    int       // in a row
	lastSuccess time.Time // zero: never
	slowStart   time.Time // when its slow start began; zero: it has its full weight
	ejection    ejection
	checks      checkState
	stall       stall
}

// stall is how long an endpoint has answered none of the requests that it has.
type stall struct {
	unanswered int           // attempts since its last answer that are still under way
	since      time.Time     // when the first of them began
	baseline   time.Duration // what an answer takes on average, without regard to peaks
}

// An endpoint is stalled when it has had so many requests for so long, and for so many times as long as usual, and has
// not answered one of them. It is avoided then, before the first of them has timed out.
const (
	stalledRequests = 5
	stalledTime     = 100 * time.Millisecond
	stalledTimes    = 4
)

// startAttempt records the start of an attempt.
func (e *endpoint) startAttempt(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stall.unanswered++; e.stall.unanswered == 1 {
		e.stall.since = now
	}
}

func (e *endpoint) stalled(now time.Time) bool {
	return e.stall.unanswered >= stalledRequests &&
		now.Sub(e.stall.since) > max(stalledTime, stalledTimes*e.stall.baseline)
}

// rank is how much an endpoint recommends itself; less is better.
type rank uint8

const (
	rankHealthy   rank = iota
	rankFull           // healthy, but all its connections are busy
	rankUnhealthy      // ejected, unhealthy, stalled, or failing as the last one: used when all others are no better
)

// score is an endpoint at one moment.
type score struct {
	rank         rank
	weightFactor float64 // of its weight, less than 1 while it starts slowly
	latency      float64 // seconds
	failures     int
	lastSuccess  time.Time
	probation    bool // its next request shows whether it is healthy again
	stalled      bool
}

func (e *endpoint) scoreAt(now time.Time, cfg *Config) score {
	_, full := e.usage()
	e.mu.Lock()
	defer e.mu.Unlock()
	s := score{
		weightFactor: e.weightFactor(now, cfg.SlowStart), latency: e.latency.now(now),
		failures: e.failures, lastSuccess: e.lastSuccess,
	}
	if e.stall.unanswered > 0 { // it is at least as slow as that; the only thing known of one that never answered
		s.latency = max(s.latency, now.Sub(e.stall.since).Seconds())
	}
	s.stalled = e.stalled(now)
	switch {
	case s.stalled || !e.isHealthy(now, cfg.Outlier):
		s.rank = rankUnhealthy
	case full:
		s.rank = rankFull
	}
	s.probation = s.rank == rankHealthy && e.ejection.active
	return s
}

// isHealthy reports whether the endpoint takes part. One that comes back from ejection does so with one request at a
// time, and only while its last health check, if there are any, succeeded.
func (e *endpoint) isHealthy(now time.Time, cfg Outlier) bool {
	switch {
	case e.checks.unhealthy:
		return false
	case e.ejection.active:
		return !now.Before(e.ejection.until) && !e.ejection.probing && e.checks.failed == 0
	}
	return !cfg.ejects(e.failures)
}

// ejects reports whether so many failures in a row put a target aside.
func (o Outlier) ejects(failures int) bool {
	return o.ConsecutiveFailures > 0 && failures >= o.ConsecutiveFailures
}

// minWeightFactor is what a slow start begins with.
const minWeightFactor = 0.1

func (e *endpoint) weightFactor(now time.Time, slow time.Duration) float64 {
	if e.ejection.active {
		return minWeightFactor
	}
	if e.slowStart.IsZero() || slow == 0 {
		return 1
	}
	return min(max(float64(now.Sub(e.slowStart))/float64(slow), minWeightFactor), 1)
}

// record records what the last attempt says of e. It had been queued for a part of its time, which was ours.
func (e *endpoint) record(t *roundTrip, began time.Time, queued time.Duration) {
	now, cfg := t.at, &t.cluster.cfg
	took := max(0, now.Sub(began)-queued)
	v := t.outcome.forTarget()
	back := false
	e.mu.Lock()
	if t.probe {
		t.probe, e.ejection.probing = false, false
	}
	if t.Replayable {
		e.recordAnswer(v)
	}
	switch {
	case v == breaker.Success:
		if t.Replayable {
			e.latency.observe(now, took)
			e.stall.baseline += (took - e.stall.baseline) / 16
		}
		if wait := cfg.Retries.TryTimeout; wait == 0 || took <= wait { // a slower one is no failure, and no proof of health
			back = e.recordSuccess(began, now, took)
		}
	case v == breaker.Failure && !began.Before(e.ejection.at):
		e.latency.fail(now, took)
		e.failures++
	}
	failing := v == breaker.Failure && cfg.Outlier.ejects(e.failures)
	e.mu.Unlock()
	if v == breaker.Failure && t.outcome == outcomeConnect {
		e.target.reresolve()
	}
	if failing && len(t.cluster.endpoints) > 1 {
		e.eject(t.outcomeText(), now)
	}
	if back {
		t.up.events.readmitted(e)
	}
}

// recordAnswer ends the stall, or one part of it when nobody knows whether an answer would have come.
func (e *endpoint) recordAnswer(v breaker.Result) {
	e.stall.unanswered = max(0, e.stall.unanswered-1)
	if v != breaker.Neutral {
		e.stall.unanswered = 0
	}
}

// recordSuccess ends failures and, when the attempt began after it, an ejection; back reports whether there was one.
func (e *endpoint) recordSuccess(began, now time.Time, took time.Duration) (back bool) {
	if began.Before(e.ejection.at) {
		return false
	}
	e.failures, e.lastSuccess = 0, now
	if back = e.ejection.active; back {
		e.ejection.active, e.ejection.ended, e.slowStart = false, now, now
		e.latency = latency{value: took.Seconds(), at: now} // its failures are over
	}
	return back
}
