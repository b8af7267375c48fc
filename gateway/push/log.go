package push

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxDeliveries is how many delivered messages are remembered. Beyond it the oldest is forgotten, and could be delivered again
// while its timestamp is fresh: ten minutes of 100 messages a second are remembered.
const maxDeliveries = 60_000

// deliveries remembers the messages of WeChat that a service has taken, so that a captured one is not delivered again. It
// lasts as long as the process; an older message is refused by its timestamp.
type deliveries struct {
	now      func() time.Time
	repeated prometheus.Counter

	mu    sync.Mutex
	known map[string]*delivery
	order []*delivery // as they came
}

// delivery is a message that was delivered, or is being delivered.
type delivery struct {
	id        string
	expires   time.Time // no timestamp is fresh so long after
	delivered bool
}

func newDeliveries(reg prometheus.Registerer, now func() time.Time) *deliveries {
	repeated := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "wxgate_push_repeated_total", Help: "Pushed messages that came a second time with one signature and were not delivered again.",
	})
	reg.MustRegister(repeated)
	return &deliveries{now: now, repeated: repeated, known: make(map[string]*delivery)}
}

// deliverOnce delivers a message unless it was delivered before: then there is nothing to do, and WeChat may hear success. One
// that is being delivered at the moment is errNotFromWeChat, for WeChat repeats itself after 5 s at the earliest.
func (l *deliveries) deliverOnce(id string, deliver func() error) error {
	p, delivered := l.claim(id)
	if p == nil {
		l.repeated.Inc()
		if delivered {
			return nil
		}
		return errNotFromWeChat
	}
	err := deliver()
	l.finish(p, err == nil)
	return err
}

// claim notes that a message is being delivered. Of one that came before it returns nil, and whether it was delivered.
func (l *deliveries) claim(id string) (p *delivery, delivered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.known[id]; known != nil {
		return nil, known.delivered
	}
	l.evict()
	p = &delivery{id: id, expires: l.now().Add(2 * maxMessageAge)}
	l.known[id] = p
	l.order = append(l.order, p)
	return p, false
}

// finish keeps a message that was delivered, and lets one that was not come again.
func (l *deliveries) finish(p *delivery, delivered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.known[p.id] != p: // forgotten meanwhile, or forgotten and claimed once more
	case delivered:
		p.delivered = true
	default:
		l.remove(p)
	}
}

// remove forgets a message that was not delivered: it must not take the place of one that was. It is among the newest.
func (l *deliveries) remove(p *delivery) {
	delete(l.known, p.id)
	for i := len(l.order) - 1; i >= 0; i-- {
		if l.order[i] == p {
			l.order = slices.Delete(l.order, i, i+1)
			return
		}
	}
}

// evict drops the oldest messages: those whose time is over, and one when there are too many.
func (l *deliveries) evict() {
	now := l.now()
	for len(l.order) > 0 && (!now.Before(l.order[0].expires) || len(l.order) >= maxDeliveries) {
		delete(l.known, l.order[0].id)
		l.order = l.order[1:]
	}
}
