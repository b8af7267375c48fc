package sandbox

import (
	"sync"
	"time"
)

// sweepAt is the number of remembered codes at which dead ones are dropped, so that a load test does not fill the memory.
const sweepAt = 100_000

// ledger remembers which codes were given out, spent and seen.
type ledger struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[string]*entry
	sweepAt int
}

// entry is what is known of one code.
type entry struct {
	person string    // empty unless the code was issued
	since  time.Time // when it was issued or first seen
	spent  bool
	seen   int
	open   int  // how many calls with it are not answered yet
	lost   bool // the answer to it was lost: whoever sent it cannot know whether it is spent
	resent bool // it arrived again after that, or before it was answered
}

func newLedger(now func() time.Time) *ledger {
	return &ledger{now: now, entries: map[string]*entry{}, sweepAt: sweepAt}
}

// issue makes a code of 32 characters for person.
func (l *ledger) issue(person string) string {
	code := randomHex()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entry(code).person = person
	return code
}

// count notes that code arrived, and will be answered.
func (l *ledger) count(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entry(code)
	e.seen++
	e.resent = e.resent || e.lost || e.open > 0
	e.open++
}

// answered notes the end of a call with code.
func (l *ledger) answered(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entry(code).open--
}

// lose notes that code was answered with something that says nothing.
func (l *ledger) lose(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entry(code).lost = true
}

// each calls f for every code that arrived.
func (l *ledger) each(f func(code string, e entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for code, e := range l.entries {
		if e.seen > 0 && code != "" {
			f(code, *e)
		}
	}
}

// seen returns how often count was called for code.
func (l *ledger) seen(code string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.entries[code]; ok {
		return e.seen
	}
	return 0
}

// owner returns for whom code was issued, or "".
func (l *ledger) owner(code string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.entries[code]; ok {
		return e.person
	}
	return ""
}

// spendResult is what spending a code came to.
type spendResult int

const (
	fresh   spendResult = iota // it was good and is spent now
	used                       // it was spent before
	unknown                    // it was never issued, or died
)

// spend uses up code. A code that names its own person needs no issuing: that is the person argument, else empty.
func (l *ledger) spend(code, person string) (string, spendResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entry(code)
	if person == "" {
		person = e.person
	}
	switch {
	case e.spent:
		return "", used
	case person == "", l.now().Sub(e.since) >= CodeTTL:
		return "", unknown
	}
	e.spent = true
	return person, fresh
}

// entry returns the entry of code, a new one when there is none. The caller holds mu.
func (l *ledger) entry(code string) *entry {
	if e, ok := l.entries[code]; ok {
		return e
	}
	if len(l.entries) >= l.sweepAt {
		l.sweep()
	}
	e := &entry{since: l.now()}
	l.entries[code] = e
	return e
}

// sweep drops what died, and lets the ledger grow to twice of what is left before it looks again.
func (l *ledger) sweep() {
	for code, e := range l.entries {
		if l.now().Sub(e.since) >= CodeTTL {
			delete(l.entries, code)
		}
	}
	l.sweepAt = max(sweepAt, 2*len(l.entries))
}
