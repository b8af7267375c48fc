package upstream

import (
	"sync"
	"time"

	"wxgate/upstream/http1"
)

// endpoint is one address of a target: its connections, and what we think of it.
type endpoint struct {
	target  *target
	address string // ip:port
	seed    uint64 // for rendezvous
	pool    *http1.Pool
	load    occupancy // of pool
	turn    float64   // guarded by turns.mu

	mu       sync.Mutex
	latency  latency
	failures int       // in a row
	lastGood time.Time // zero: never
	since    time.Time // when its slow start began; zero: it has its full share
	out      ejection
	checked  checked
	silence  silence
}

// occupancy is how much of what an endpoint can carry is in use.
type occupancy interface {
	Busy() int  // connections
	Full() bool // a request would have to wait for one
}

// silence is how long an endpoint has said nothing to the requests that it has.
type silence struct {
	unanswered int           // tries since its last answer that are still under way
	since      time.Time     // when the first of them began
	usual      time.Duration // what an answer takes on average, without regard to peaks
}

// An endpoint is stalled when it has had so many requests for so long, and for so many times as long as usual, and has not
// answered one of them. It is avoided then, before the first of them has timed out.
const (
	stalledRequests = 5
	stalledTime     = 100 * time.Millisecond
	stalledTimes    = 4
)

// begin takes down that a try begins.
func (e *endpoint) begin(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.silence.unanswered++; e.silence.unanswered == 1 {
		e.silence.since = now
	}
}

func (e *endpoint) stalled(now time.Time) bool {
	return e.silence.unanswered >= stalledRequests &&
		now.Sub(e.silence.since) > max(stalledTime, stalledTimes*e.silence.usual)
}

// rank is how much an endpoint recommends itself; less is better.
type rank uint8

const (
	rankGood rank = iota
	rankFull      // well, but all its connections are busy
	rankBad       // ejected, unhealthy, stalled, or failing as the last one: used when all others are no better
)

// standing is an endpoint at one moment.
type standing struct {
	rank      rank
	share     float64 // of its weight, less than 1 while it starts slowly
	latency   float64 // seconds
	failures  int
	lastGood  time.Time
	probation bool // its next request shows whether it is well again
	stalled   bool
}

func (e *endpoint) standing(now time.Time, cfg *Config) standing {
	full := e.load.Full()
	e.mu.Lock()
	defer e.mu.Unlock()
	s := standing{share: e.share(now, cfg.SlowStart), latency: e.latency.now(now), failures: e.failures, lastGood: e.lastGood}
	if e.silence.unanswered > 0 { // it is at least as slow as that; the only thing known of one that never answered
		s.latency = max(s.latency, now.Sub(e.silence.since).Seconds())
	}
	s.stalled = e.stalled(now)
	switch {
	case s.stalled || !e.isWell(now, cfg.Outlier.ConsecutiveFailures):
		s.rank = rankBad
	case full:
		s.rank = rankFull
	}
	s.probation = s.rank == rankGood && e.out.is
	return s
}

// isWell says whether the endpoint takes part. One that comes back from ejection does so with one request at a time, and
// only while its last health check, if there are any, went well.
func (e *endpoint) isWell(now time.Time, failures int) bool {
	switch {
	case e.checked.unhealthy:
		return false
	case e.out.is:
		return !now.Before(e.out.until) && !e.out.probing && e.checked.failed == 0
	}
	return e.failures < failures
}

// leastShare is what a slow start begins with.
const leastShare = 0.1

func (e *endpoint) share(now time.Time, slow time.Duration) float64 {
	if e.out.is {
		return leastShare
	}
	if e.since.IsZero() {
		return 1
	}
	return min(max(float64(now.Sub(e.since))/float64(slow), leastShare), 1)
}

// learn takes down what a try at e says of it.
func (u *Upstream) learn(t *trip, e *endpoint, began time.Time) {
	now, cfg := u.deps.now(), &t.fleet.cfg
	took := now.Sub(began)
	v := t.fate.target()
	back := false
	e.mu.Lock()
	if t.probe {
		t.probe, e.out.probing = false, false
	}
	if t.Whole {
		e.answered(v)
	}
	switch {
	case v == good:
		if t.Whole {
			e.latency.observe(now, took)
			e.silence.usual += (took - e.silence.usual) / 16
		}
		if took <= cfg.Retries.TryTimeout { // a slower one is no failure, and no proof of health
			back = e.succeeded(began, now, took)
		}
	case v == bad && !began.Before(e.out.at):
		e.latency.fail(now, took)
		e.failures++
	}
	failing := v == bad && e.failures >= cfg.Outlier.ConsecutiveFailures
	e.mu.Unlock()
	if v == bad && t.fate == fateConnect {
		e.target.lookAgain()
	}
	if failing && len(t.fleet.endpoints) > 1 {
		u.eject(e, t.outcome(), now)
	}
	if back {
		u.journal.readmitted(e)
	}
}

// answered ends the silence, or one part of it when nobody knows whether an answer would have come.
func (e *endpoint) answered(v verdict) {
	e.silence.unanswered = max(0, e.silence.unanswered-1)
	if v != neutral {
		e.silence.unanswered = 0
	}
}

// succeeded ends failures and, when the try began after it, an ejection; back says that there was one.
func (e *endpoint) succeeded(began, now time.Time, took time.Duration) (back bool) {
	if began.Before(e.out.at) {
		return false
	}
	e.failures, e.lastGood = 0, now
	if back = e.out.is; back {
		e.out.is, e.out.ended, e.since = false, now, now
		e.latency = latency{value: took.Seconds(), at: now} // its failures are over
	}
	return back
}
