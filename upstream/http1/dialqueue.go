package http1

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// wakeUps is how many of those that wait are woken at a time at most.
const wakeUps = 64

// dialQueue is where requests wait that have found neither an idle connection nor a free dial. Thousands that dial at
// once time out on our own CPU, so they take turns; whichever comes first, a turn or a connection that is given back,
// serves.
type dialQueue struct {
	dialer  dialer
	limits  *atomic.Pointer[limits] // of the pool
	removed <-chan struct{}         // likewise
	dialed  func(result string)
	waiting atomic.Int64
	freed   chan struct{} // wakes one that waits: a connection was given back
	reached atomic.Int64  // when a connection was made last, in ns since 1970; 0: never
}

// wake tells one that waits that there is an idle connection.
func (d *dialQueue) wake() {
	if d.waiting.Load() == 0 {
		return
	}
	select {
	case d.freed <- struct{}{}:
	default:
	}
}

// errCrowded is a dial that found no room in the backlog of a target which accepts others.
var errCrowded = errors.New("the target accepts fewer connections at a time than limits.dials")

// crowdedDials is how often a target is dialed that is crowded.
const crowdedDials = 3

// connect dials, in turn. An idle connection that instead gives meanwhile is as good.
func (d *dialQueue) connect(ctx context.Context, l *limits, r *Request, instead func() *conn) (*conn, error) {
	for n := 1; ; n++ {
		c, err := d.connectOnce(ctx, l, r, instead)
		if err == nil || n == crowdedDials || !errors.Is(err, errCrowded) || ctx.Err() != nil || !time.Now().Before(r.Deadline) {
			return c, err
		}
		if c := instead(); c != nil {
			return c, nil
		}
	}
}

func (d *dialQueue) connectOnce(ctx context.Context, l *limits, r *Request, instead func() *conn) (*conn, error) {
	waited := false
	select {
	case l.dials <- struct{}{}:
	default:
		waited = true
		began := time.Now()
		c, err := d.await(ctx, l.dials, r.Deadline, instead)
		r.Queued += time.Since(began)
		if c != nil || err != nil {
			return c, err
		}
	}
	defer func() { <-l.dials }()
	c, err := d.dial(l.Timeouts.Connect, r.Deadline)
	if waited && errors.Is(err, ErrTimeout) { // the line took what the dial had needed
		err = fmt.Errorf("%w: %w: dialing after a wait for limits.dials: %w", ErrUnavailable, ErrOverloaded, err)
	}
	d.dialed(dialResult(err))
	return c, err
}

// dialResult is how a dial ended, for Owner.Dialed.
func dialResult(err error) string {
	switch {
	case err == nil:
		return "connected"
	case errors.Is(err, ErrOverloaded):
		return "lacking"
	}
	return "failed"
}

// await waits for the turn to dial or, if that comes first, for a connection that is given back.
func (d *dialQueue) await(ctx context.Context, dials chan struct{}, deadline time.Time, instead func() *conn) (*conn, error) {
	d.waiting.Add(1)
	defer d.waiting.Add(-1)
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for {
		if c := instead(); c != nil { // again, after counting as one that waits: or its wake-up could be missed
			return c, nil
		}
		select {
		case dials <- struct{}{}:
			return nil, nil
		case <-d.freed:
		case <-d.removed:
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ErrRemoved)
		case <-ctx.Done():
			return nil, endOf(ctx)
		case <-timer.C:
			d.dialed("expired")
			return nil, fmt.Errorf("%w: %w: no turn to dial in time: limits.dials (%d) are under way", ErrUnavailable, ErrOverloaded, cap(dials))
		}
	}
}

// dial makes a connection that belongs to nobody yet. A target that takes too long, but took others not long before, has
// no room in its backlog for all of ours: that says nothing against it.
func (d *dialQueue) dial(timeout time.Duration, deadline time.Time) (*conn, error) {
	as, began := d.limits.Load().tlsConfig, time.Now()
	c, err := d.dialer.dial(as, timeout, deadline)
	switch {
	case err == nil:
		c.tlsConfig = as
		d.reached.Store(time.Now().UnixNano())
	case errors.Is(err, ErrConnect) && timedOut(err) && began.UnixNano()-d.reached.Load() < int64(timeout):
		err = fmt.Errorf("%w: %w: %w: %v", ErrUnavailable, ErrOverloaded, errCrowded, err) //nolint:errorlint // no ErrConnect
	case d.outOfResources(err):
		err = fmt.Errorf("%w: %w: %v", ErrUnavailable, ErrOverloaded, err) //nolint:errorlint // it is none of the target's
	}
	return c, err
}

// outOfResources reports whether a dial failed because we have no more descriptors, memory or ports. What says that
// there is no port left also says that there is no way to an address: then none was ever made to it.
func (d *dialQueue) outOfResources(err error) bool {
	for _, lack := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, lack) {
			return true
		}
	}
	return d.reached.Load() != 0 && errors.Is(err, syscall.EADDRNOTAVAIL)
}

// starvedLeast is a wait for a CPU that is nothing unusual on a busy machine.
const starvedLeast = 25 * time.Millisecond

// starved reports whether a dial that had until limit timed out because we did not get to it: this goroutine came back
// late, or whoever lines up for a CPU now waits so long that the few turns which a dial needs take all of its time.
func starved(timeout time.Duration, limit time.Time) bool {
	late := time.Since(limit)
	asked := time.Now()
	runtime.Gosched() // to the end of the line of everything that could run
	return max(late, time.Since(asked)) > max(starvedLeast, timeout/8)
}
