package push

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxDeliveries is how many delivered messages are remembered, ten minutes at 100 messages a second. Beyond it the
// oldest is forgotten, and could be delivered again while its timestamp is fresh.
const maxDeliveries = 60_000

// rememberFor is how long a delivered message is remembered: until its timestamp is certainly no longer fresh.
const rememberFor = 2 * maxMessageAge

// deliveries remembers the messages that a service has accepted, so that a captured one, or one that WeChat sends again, is
// not delivered again: in memory, and in the store for other gateways and the process after this one. An older message is
// refused by its timestamp.
type deliveries struct {
	now      func() time.Time
	store    Store // may be nil
	repeated prometheus.Counter

	mu    sync.Mutex
	known map[string]*delivery
	order []*delivery // oldest first
}

// delivery is a message that was delivered, or is being delivered.
type delivery struct {
	id        string
	expires   time.Time // its timestamp is no longer fresh by then
	delivered bool
}

func newDeliveries(store Store, reg prometheus.Registerer, now func() time.Time) *deliveries {
	repeated := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "wxgate_push_repeated_total", Help: "Pushed messages that came a second time with one signature and were not delivered again.",
	})
	reg.MustRegister(repeated)
	return &deliveries{now: now, store: store, repeated: repeated, known: make(map[string]*delivery)}
}

// deliverOnce delivers a message unless it was delivered before: then WeChat gets success for it again. One that is
// being delivered is errNotFromWeChat, because WeChat retries after 5 s at the earliest.
func (l *deliveries) deliverOnce(ctx context.Context, id string, deliver func() error) error {
	p, delivered := l.claim(id)
	if p == nil {
		return l.repeat(delivered)
	}
	c := newClaim(l.store, id)
	if err := c.take(ctx); err != nil {
		delivered := errors.Is(err, errDelivered)
		l.finish(p, delivered)
		return l.repeat(delivered)
	}
	err := deliver()
	c.finish(ctx, err == nil)
	l.finish(p, err == nil)
	return err
}

// repeat is the answer to a message that is not delivered again.
func (l *deliveries) repeat(delivered bool) error {
	l.repeated.Inc()
	if delivered {
		return nil
	}
	return errNotFromWeChat
}

// claim marks a message as being delivered. For a known one it returns nil, and whether it was delivered.
func (l *deliveries) claim(id string) (p *delivery, delivered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.known[id]; known != nil {
		return nil, known.delivered
	}
	l.evict()
	p = &delivery{id: id, expires: l.now().Add(rememberFor)}
	l.known[id] = p
	l.order = append(l.order, p)
	return p, false
}

// finish keeps a delivered message, and allows one that was not delivered again.
func (l *deliveries) finish(p *delivery, delivered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.known[p.id] != p: // evicted meanwhile, and perhaps claimed again
	case delivered:
		p.delivered = true
	default:
		l.remove(p)
	}
}

// remove forgets a message that was not delivered, so that it does not take the room of one that was. It is among the
// newest.
func (l *deliveries) remove(p *delivery) {
	delete(l.known, p.id)
	for i := len(l.order) - 1; i >= 0; i-- {
		if l.order[i] == p {
			l.order = slices.Delete(l.order, i, i+1)
			return
		}
	}
}

// evict forgets the oldest messages: those that have expired, and one when there are too many.
func (l *deliveries) evict() {
	now := l.now()
	for len(l.order) > 0 && (!now.Before(l.order[0].expires) || len(l.order) >= maxDeliveries) {
		delete(l.known, l.order[0].id)
		l.order = l.order[1:]
	}
}
