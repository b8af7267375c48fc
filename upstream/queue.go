package upstream

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"wxgate/upstream/http1"
)

// queue is where requests wait for a connection that they may use. It is bounded in length and in time, so that what
// is too much is refused at once and what is let in keeps its pace.
type queue struct {
	limits  atomic.Pointer[queueLimits]
	waiting atomic.Int64
	metrics *upstreamMetrics
}

// queueLimits are what may be changed of a queue in use.
type queueLimits struct {
	Queue
	inFlight chan struct{} // nil: there is no such bound
}

func (q *queue) configure(cfg Queue) {
	next := &queueLimits{Queue: cfg}
	old := q.limits.Load()
	switch {
	case old != nil && old.InFlight == cfg.InFlight:
		next.inFlight = old.inFlight
	case cfg.InFlight > 0:
		next.inFlight = make(chan struct{}, cfg.InFlight)
	}
	q.limits.Store(next)
}

// permits has a place for each request that may be in flight, nil when they are not bounded.
func (q *queue) permits() chan struct{} { return q.limits.Load().inFlight }

// wait acquires one of the slots of a limit when there is one again. It fails with ErrRemoved when removed is closed,
// and when ctx ends.
func (q *queue) wait(ctx context.Context, of http1.Limit, slots chan struct{}, removed <-chan struct{}, deadline time.Time) error {
	l, count := q.limits.Load(), &q.metrics.queued[of]
	defer q.waiting.Add(-1)
	if q.waiting.Add(1) > int64(l.Length) {
		count.refused.Inc()
		return fmt.Errorf("%w: %w: %v is %d, and queue.length (%d) requests wait", http1.ErrUnavailable, http1.ErrOverloaded, of, cap(slots), l.Length)
	}
	timer := time.NewTimer(min(l.Wait, time.Until(deadline)))
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		count.served.Inc()
		return nil
	case <-removed:
		return fmt.Errorf("%w: %w", http1.ErrUnavailable, http1.ErrRemoved)
	case <-ctx.Done():
	case <-timer.C:
	}
	count.expired.Inc()
	return fmt.Errorf("%w: %w: %v is %d, and none came free within queue.wait (%v)", http1.ErrUnavailable, http1.ErrOverloaded, of, cap(slots), l.Wait)
}
