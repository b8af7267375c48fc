package authn

import (
	"sync"
	"time"
)

// breaker keeps logins from waiting for a WeChat that does not answer: when most of the last exchanges failed, it refuses
// new ones at once, and lets one through from time to time to see whether WeChat is back.
type breaker struct {
	now func() time.Time

	mu      sync.Mutex
	window  time.Time // when the counting began
	good    int
	bad     int
	open    time.Time // refuses until then
	probing bool      // one exchange is through while the breaker is open
}

// The breaker's rule: at least breakerLeast exchanges in breakerWindow, half of them failed.
const (
	breakerWindow = 10 * time.Second
	breakerLeast  = 20
	breakerOpen   = 5 * time.Second
)

// allow reports whether an exchange may begin; whoever gets true must call done.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.IsZero() {
		return true
	}
	if b.probing || b.now().Before(b.open) {
		return false
	}
	b.probing = true
	return true
}

// done tells how an exchange ended: failed is that WeChat did not answer, not that it refused.
func (b *breaker) done(failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.probing {
		b.probing = false
		b.reset(now)
		if failed {
			b.open = now.Add(breakerOpen)
		}
		return
	}
	if now.Sub(b.window) > breakerWindow {
		b.reset(now)
	}
	if failed {
		b.bad++
	} else {
		b.good++
	}
	if b.good+b.bad >= breakerLeast && b.bad >= b.good {
		b.reset(now)
		b.open = now.Add(breakerOpen)
	}
}

func (b *breaker) reset(now time.Time) {
	b.window, b.good, b.bad, b.open = now, 0, 0, time.Time{}
}
