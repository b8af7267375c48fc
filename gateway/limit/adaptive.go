package limit

import (
	"sync"
	"sync/atomic"
	"time"
)

// Adaptive finds out how many requests a service can handle at a time. An overloaded service answers everything late,
// so its least late answers decide: while even those are late, requests are queueing there, and fewer are let in. That
// is CoDel's idea (RFC 8289 §3): a standing queue does harm, a short one does not.
type Adaptive struct {
	inFlight atomic.Int64
	light    atomic.Int64 // those of clients that have few; the others do not count against them
	slots    atomic.Int64 // how many are let in, between minSlots and limits.in_flight
	strained atomic.Bool  // since the last decision a request was refused or all were late: nothing to learn from
	epoch    atomic.Int64 // counts how often the baselines were invalidated

	mu        sync.Mutex
	judged    time.Time
	answers   int64                // since then
	least     time.Duration        // the smallest lateness among them
	allowed   time.Duration        // how long that answer could have taken without being late
	ours      func() time.Duration // how late this process itself was since the last decision
	atMinimum time.Time            // since when even minSlots have not helped; zero: there are more
}

const (
	judgeEvery   = 100 * time.Millisecond
	judgeAnswers = 20 // at least: of this many answers of a healthy service not all are late
	minSlots     = 16
	minSlotsFor  = 3 * time.Second // after that the service itself has become slower, and the baselines are invalid
	slowAnswer   = 5 * time.Second // slower answers say nothing: a long poll waits for its event
)

// newAdaptive returns the limit of a service about which nothing is known yet.
func newAdaptive() *Adaptive { return &Adaptive{ours: new(lag).ours} }

// acquire takes a slot; if it returns true, release must follow. most is the most slots there can be, share the
// percentage of the slots that this request may fill. For a light request, whose client has few others, only light
// ones count, so that clients with many requests are refused first.
func (p *Adaptive) acquire(most, share int64, light bool) bool {
	p.init(most)
	if n := p.join(light); n*100 > p.slots.Load()*share {
		p.release(light)
		p.strained.Store(true)
		return false
	}
	return true
}

// init starts with most slots and never allows more.
func (p *Adaptive) init(most int64) {
	if slots := p.slots.Load(); slots == 0 || slots > most {
		p.slots.CompareAndSwap(slots, most)
	}
}

// join takes a slot unconditionally, and returns how many of those that count are taken.
func (p *Adaptive) join(light bool) int64 {
	n := p.inFlight.Add(1)
	if light {
		return p.light.Add(1)
	}
	return n
}

// Taken returns how many slots are taken, and how many of those by light requests.
func (p *Adaptive) Taken() (all, light int64) { return p.inFlight.Load(), p.light.Load() }

// release gives a slot back.
func (p *Adaptive) release(light bool) {
	p.inFlight.Add(-1)
	if light {
		p.light.Add(-1)
	}
}

// Answered takes a successful answer into account. What it waited for a connection of ours is no part of what it took:
// the queue for those has bounds of its own, and serves clients that a refusal would only make ask again.
func (p *Adaptive) Answered(of *Baseline, took time.Duration, now time.Time, most int64) {
	if took > slowAnswer {
		return
	}
	p.init(most) // an upload does not enter
	late := of.lateness(took, now, p.epoch.Load(), !p.strained.Load())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answers++; p.answers == 1 || late < p.least {
		p.least, p.allowed = late, took-late
	}
	enough := min(judgeAnswers, p.slots.Load()/4)
	if p.answers >= enough && now.Sub(p.judged) >= judgeEvery {
		p.judge(now, most)
		p.judged, p.answers = now, 0
	}
}

// judge adjusts the number of slots: down by a fifth of those in use while all answers are late, otherwise up by an
// eighth. It never goes below what the service answers in the time that an answer may take: that many would be in time,
// and requests that were let in earlier stay late whatever is done now.
func (p *Adaptive) judge(now time.Time, most int64) {
	slots, ours := p.slots.Load(), p.ours()
	late := p.least > ours
	p.strained.Store(late)
	switch {
	case !late:
		p.slots.Store(min(most, slots+slots/8+1))
	case p.drains(slots):
		return
	case slots > minSlots:
		p.slots.Store(min(slots, max(minSlots, p.inTime(now, ours), min(slots, p.inFlight.Load()+1)*4/5)))
	case p.atMinimum.IsZero():
		p.atMinimum = now
		return
	case now.Sub(p.atMinimum) < minSlotsFor:
		return
	default:
		p.epoch.Add(1)
	}
	p.atMinimum = time.Time{}
}

// drains reports whether requests that were let in before the last decrease still exceed the slots.
func (p *Adaptive) drains(slots int64) bool {
	all, light := p.Taken()
	return max(light, all-light) > slots
}

// inTime returns how many requests are answered in the time that one may take, at the pace since the last decision
// (Little's law).
func (p *Adaptive) inTime(now time.Time, ours time.Duration) int64 {
	pace := float64(p.answers) / now.Sub(p.judged).Seconds()
	return int64(pace * (p.allowed + ours).Seconds() / 2)
}

// Baseline is how long the answers of a route take without queueing: a moving average that falls faster than it rises.
type Baseline struct {
	mu    sync.Mutex
	took  time.Duration
	since time.Time // when the first answer came; zero: there was none
	at    time.Time // when the last one came
	epoch int64     // of the limit under which it was learnt
}

const (
	baselineFalls = 5 * time.Second
	baselineRises = time.Minute
	lateBy        = 200 * time.Millisecond // beyond the baseline, or as much again if that is more
	learnFor      = 2 * time.Second        // while a route is new, lateBy is a second more: its first answers may be unusual
)

// lateness returns by how much an answer is too late, 0 or less if it is not. With learn, the baseline learns from it.
func (u *Baseline) lateness(took time.Duration, now time.Time, epoch int64, learn bool) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.since.IsZero() || u.epoch != epoch {
		u.took, u.since, u.at, u.epoch = took, now, now, epoch
	}
	late := took - u.took - max(lateBy, u.took)
	if now.Sub(u.since) < learnFor {
		late -= time.Second
	}
	if learn {
		over := baselineRises
		if took < u.took {
			over = baselineFalls
		}
		over = min(over, now.Sub(u.since)+time.Second) // at first every answer counts
		part := min(1, now.Sub(u.at).Seconds()/over.Seconds())
		u.took += time.Duration(part * float64(took-u.took))
		u.at = now
	}
	return late
}
