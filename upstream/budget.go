package upstream

import (
	"sync"
	"time"

	"wxgate/breaker"
)

const (
	budgetWindow = 10 * time.Second
	budgetLeast  = 10 // retries within the window that are always granted, so that a quiet service has some
)

// budget bounds the retries to a share of the requests: when everything fails, retries must not add a second load.
type budget struct {
	mu     sync.Mutex
	share  share
	recent breaker.Window // of requests, and of retries
}

func newBudget() budget { return budget{recent: breaker.NewWindow(budgetWindow)} }

func (b *budget) configure(limit share) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.share = limit
}

func (b *budget) deposit(now time.Time) {
	b.mu.Lock()
	b.recent.Add(now, 1, 0)
	b.mu.Unlock()
}

// withdraw takes one retry from the budget; false means that there is none.
func (b *budget) withdraw(now time.Time, m *upstreamMetrics) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	requests, retries := b.recent.Sums(now)
	if float64(retries+1) > max(budgetLeast, float64(b.share)*float64(requests)) {
		m.exhausted.Inc()
		return false
	}
	b.recent.Add(now, 0, 1)
	return true
}
