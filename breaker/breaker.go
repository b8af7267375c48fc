// Package breaker refuses exchanges with a service at once while most of them fail anyway. A Breaker opens when too
// large a share of the recent exchanges has failed. After a while it is half-open: it lets a few probes through, and
// their success closes it. It starts no goroutine and reads no clock; its caller passes the time.
package breaker

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrOpen is an exchange that an open breaker refused. Nothing was sent.
var ErrOpen = errors.New("breaker open")

// OpenError is an ErrOpen that knows when the breaker lets exchanges through again.
type OpenError struct {
	After time.Duration // until then; 0: probes are in flight that may close it
}

func (e *OpenError) Error() string {
	if e.After == 0 {
		return ErrOpen.Error() + ": probes are in flight"
	}
	return fmt.Sprintf("%v: for another %v", ErrOpen, e.After)
}

// Unwrap makes it an ErrOpen.
func (*OpenError) Unwrap() error { return ErrOpen }

// Config is when a breaker opens and closes.
type Config struct {
	Failures    float64       // the share of failed exchanges from which on it opens, 0 to 1; 0: it never opens
	MinRequests int           // with fewer exchanges in the window it stays closed
	Window      time.Duration // how far back exchanges count
	Open        time.Duration // how long it refuses exchanges before it is half-open
	Probes      int           // how many it lets through at a time while half-open, and how many must succeed; 0: one
}

// Result is what the end of an exchange says of the service.
type Result uint8

// The results of an exchange.
const (
	Neutral Result = iota // nothing: its client left, or it met a limit of our own
	Success
	Failure
)

// Pass is the right to one exchange. It holds between two state changes of the breaker that granted it.
type Pass struct{ epoch uint64 }

// Breaker is the circuit breaker of one service. The zero Breaker is closed and never opens. It is safe for concurrent
// use.
type Breaker struct {
	mu        sync.Mutex
	cfg       Config
	recent    Window // of exchanges, and of failed ones
	open      bool
	until     time.Time // when an open one becomes half-open
	epoch     uint64    // counts its state changes
	probes    int       // in flight
	succeeded int       // probes that succeeded
}

// Configure sets new limits; the state stays.
func (b *Breaker) Configure(cfg Config) {
	cfg.Probes = max(cfg.Probes, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cfg.Window != cfg.Window {
		b.recent = NewWindow(cfg.Window)
	}
	b.cfg = cfg
}

// Allow lets an exchange through, whose end Record must be told, or returns an *OpenError.
func (b *Breaker) Allow(now time.Time) (Pass, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open:
	case now.Before(b.until):
		return Pass{}, &OpenError{After: b.until.Sub(now)}
	case b.probes+b.succeeded >= b.cfg.Probes:
		return Pass{}, &OpenError{}
	default:
		b.probes++
	}
	return Pass{b.epoch}, nil
}

// Record records the result of an exchange that Allow let through. When that opened or closed the breaker, it returns
// why. An exchange that began before the last state change says nothing new and does not count: it is no probe, even if
// it ends among them.
func (b *Breaker) Record(p Pass, r Result, now time.Time) (open bool, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case p.epoch != b.epoch:
	case b.open:
		why = b.recordProbe(r, now)
	case r == Success:
		b.recent.Add(now, 1, 0)
	case r == Failure:
		b.recent.Add(now, 1, 1)
		why = b.evaluate(now)
	}
	return b.open, why
}

func (b *Breaker) evaluate(now time.Time) (why string) {
	all, failed := b.recent.Sums(now)
	if b.cfg.Failures == 0 || all < b.cfg.MinRequests || float64(failed) < b.cfg.Failures*float64(all) {
		return ""
	}
	b.trip(now)
	return fmt.Sprintf("%d of %d requests failed within %v", failed, all, b.cfg.Window)
}

func (b *Breaker) trip(now time.Time) {
	b.epoch++
	b.open, b.until, b.probes, b.succeeded = true, now.Add(b.cfg.Open), 0, 0
}

// recordProbe records the result of a probe. One that fails changes nothing to tell: the breaker has been open all the
// time.
func (b *Breaker) recordProbe(r Result, now time.Time) (why string) {
	b.probes--
	switch r {
	case Failure:
		b.trip(now)
	case Success:
		if b.succeeded++; b.succeeded >= b.cfg.Probes {
			b.epoch++
			b.open, b.recent = false, NewWindow(b.cfg.Window)
			return fmt.Sprintf("%d requests succeeded", b.succeeded)
		}
	}
	return ""
}

// IsOpen reports whether b refuses exchanges, or lets only probes through.
func (b *Breaker) IsOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}
