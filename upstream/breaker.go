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

// breakerProbes is how many requests a half-open breaker lets through at a time, and how many of them must do well.
const breakerProbes = 3

// breaker refuses requests at once while most of them fail anyway. It closes again when a few have done well.
type breaker struct {
	mu     sync.Mutex
	cfg    Breaker
	recent window // of requests, and of failed ones
	open   bool
	until  time.Time // when an open one becomes half-open
	probes int       // requests let through since then and not back
	well   int       // those that came back well
}

// turn is a change of a breaker between open and closed, and why; the zero turn is none.
type turn struct {
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

// enter lets a request through or returns ErrBreakerOpen. leave must follow the former.
func (b *breaker) enter(now time.Time) (probe bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open:
		return false, nil
	case now.Before(b.until):
		return false, &OpenError{After: b.until.Sub(now)}
	case b.probes+b.well >= breakerProbes:
		return false, &OpenError{}
	}
	b.probes++
	return true, nil
}

// leave takes down how a request ended that enter let through, and says when the breaker has turned by it.
func (b *breaker) leave(probe bool, v verdict, now time.Time) turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		return b.probed(probe, v, now)
	}
	switch v {
	case good:
		b.recent.add(now, 1, 0)
	case bad:
		b.recent.add(now, 1, 1)
		return b.judge(now)
	}
	return turn{}
}

func (b *breaker) judge(now time.Time) turn {
	all, failed := b.recent.sums(now)
	if all < b.cfg.MinRequests || float64(failed) < float64(b.cfg.Failures)*float64(all) {
		return turn{}
	}
	b.trip(now)
	return turn{open: true, why: fmt.Sprintf("%d of %d requests failed within %v", failed, all, b.cfg.Window)}
}

func (b *breaker) trip(now time.Time) {
	b.open, b.until, b.probes, b.well = true, now.Add(b.cfg.Open), 0, 0
}

// probed judges a probe. What was under way when the breaker opened says nothing new. One that fails is no turn: the
// breaker has been open all the time.
func (b *breaker) probed(probe bool, v verdict, now time.Time) turn {
	if !probe || b.probes == 0 {
		return turn{}
	}
	b.probes--
	switch v {
	case bad:
		b.trip(now)
	case good:
		if b.well++; b.well == breakerProbes {
			b.open = false
			b.recent = window{length: b.cfg.Window}
			return turn{why: fmt.Sprintf("%d requests went well", breakerProbes)}
		}
	}
	return turn{}
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}
