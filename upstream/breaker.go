package upstream

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrBreakerOpen is a service that is left alone because most of its requests failed. Nothing was sent.
var ErrBreakerOpen = errors.New("upstream breaker open")

// OpenError is an ErrBreakerOpen that knows when it is worth to ask again.
type OpenError struct {
	After time.Duration // until the breaker lets requests through; 0: some are on their way that may close it
}

func (e *OpenError) Error() string {
	if e.After == 0 {
		return ErrBreakerOpen.Error() + ": it is being tried"
	}
	return fmt.Sprintf("%v: for another %v", ErrBreakerOpen, e.After)
}

// Unwrap makes it an ErrBreakerOpen.
func (*OpenError) Unwrap() error { return ErrBreakerOpen }

// breakerProbes is how many requests a half-open breaker lets through at a time, and how many of them must succeed.
const breakerProbes = 3

// breaker refuses requests at once while most of them fail anyway. It closes again when a few have succeeded.
type breaker struct {
	mu        sync.Mutex
	cfg       Breaker
	recent    window // of requests, and of failed ones
	open      bool
	until     time.Time // when an open one becomes half-open
	probes    int       // requests let through since then and not back
	succeeded int       // those that succeeded
}

// transition is a change of a breaker between open and closed, and why; the zero transition is none.
type transition struct {
	open bool
	why  string
}

// configure sets new limits; the state stays.
func (b *breaker) configure(cfg Breaker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cfg.Window != cfg.Window {
		b.recent = window{length: cfg.Window}
	}
	b.cfg = cfg
}

// allow lets a request through or returns ErrBreakerOpen. record must follow the former.
func (b *breaker) allow(now time.Time) (probe bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open:
		return false, nil
	case now.Before(b.until):
		return false, &OpenError{After: b.until.Sub(now)}
	case b.probes+b.succeeded >= breakerProbes:
		return false, &OpenError{}
	}
	b.probes++
	return true, nil
}

// record records how a request ended that allow let through, and returns the transition that this caused.
func (b *breaker) record(probe bool, v result, now time.Time) transition {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		return b.recordProbe(probe, v, now)
	}
	switch v {
	case success:
		b.recent.add(now, 1, 0)
	case failure:
		b.recent.add(now, 1, 1)
		return b.evaluate(now)
	}
	return transition{}
}

func (b *breaker) evaluate(now time.Time) transition {
	all, failed := b.recent.sums(now)
	if b.cfg.Failures == 0 || all < b.cfg.MinRequests || float64(failed) < float64(b.cfg.Failures)*float64(all) {
		return transition{}
	}
	b.trip(now)
	return transition{open: true, why: fmt.Sprintf("%d of %d requests failed within %v", failed, all, b.cfg.Window)}
}

func (b *breaker) trip(now time.Time) {
	b.open, b.until, b.probes, b.succeeded = true, now.Add(b.cfg.Open), 0, 0
}

// recordProbe judges a probe. What was under way when the breaker opened says nothing new. One that fails is no transition: the
// breaker has been open all the time.
func (b *breaker) recordProbe(probe bool, v result, now time.Time) transition {
	if !probe || b.probes == 0 {
		return transition{}
	}
	b.probes--
	switch v {
	case failure:
		b.trip(now)
	case success:
		if b.succeeded++; b.succeeded == breakerProbes {
			b.open = false
			b.recent = window{length: b.cfg.Window}
			return transition{why: fmt.Sprintf("%d requests went well", breakerProbes)}
		}
	}
	return transition{}
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}
