package limit

import (
	"sync"
	"sync/atomic"
	"time"
)

// Adaptive finds out how many requests a service bears at a time. A service that gets more than it can do answers
// everything late, so its least late answers tell: while even these are late, requests stand in line there, and fewer are
// let in. That is CoDel's idea (RFC 8289 §3): a standing queue, not a short one, is what harms.
type Adaptive struct {
	inFlight atomic.Int64
	light    atomic.Int64 // of these, of clients that have few: the others do not count against them
	places   atomic.Int64 // how many are let in; it moves between fewestPlaces and limits.in_flight
	strained atomic.Bool  // somebody was refused, or all were late, since the last judgement: no time to learn from
	epoch    atomic.Int64 // counts how often the baselines became void

	mu      sync.Mutex
	judged  time.Time
	answers int64                // since then
	least   time.Duration        // the least lateness of them
	allowed time.Duration        // how long that one might have taken and not be late
	ours    func() time.Duration // what this process itself is late by, since the last judgement
	fewest  time.Time            // since when fewestPlaces do not help; zero: they are not in force
}

const (
	judgeEvery   = 100 * time.Millisecond
	judgeAnswers = 20 // at least: among so many answers of a healthy service not all are late
	fewestPlaces = 16
	fewestFor    = 3 * time.Second // then the service has become slower by itself: the baselines are void
	onPurpose    = 5 * time.Second // answers that take longer tell nothing: a long poll waits for its event
)

// newAdaptive is that on a service which nothing is known of.
func newAdaptive() *Adaptive { return &Adaptive{ours: new(lag).ours} }

// enter takes a place; leave must follow when it is true. most is how many are let in at best, share the percentage of
// the places that this request may fill. Of a client that has few others, light, only its like count: one that has many is
// refused before them.
func (p *Adaptive) enter(most, share int64, light bool) bool {
	p.init(most)
	if n := p.join(light); n*100 > p.places.Load()*share {
		p.leave(light)
		p.strained.Store(true)
		return false
	}
	return true
}

// init begins with most places, and never has more.
func (p *Adaptive) init(most int64) {
	if places := p.places.Load(); places == 0 || places > most {
		p.places.CompareAndSwap(places, most)
	}
}

// join takes a place whatever there is, and returns how many are taken of those that count.
func (p *Adaptive) join(light bool) int64 {
	n := p.inFlight.Add(1)
	if light {
		return p.light.Add(1)
	}
	return n
}

// Taken is how many places are taken, and how many of these by clients that have few.
func (p *Adaptive) Taken() (all, light int64) { return p.inFlight.Load(), p.light.Load() }

// leave gives a place back.
func (p *Adaptive) leave(light bool) {
	p.inFlight.Add(-1)
	if light {
		p.light.Add(-1)
	}
}

// Answered takes an answer into account that came in good order.
func (p *Adaptive) Answered(of *Baseline, took time.Duration, now time.Time, most int64) {
	if took > onPurpose {
		return
	}
	p.init(most) // an upload does not enter
	late := of.lateness(took, now, p.epoch.Load(), !p.strained.Load())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answers++; p.answers == 1 || late < p.least {
		p.least, p.allowed = late, took-late
	}
	enough := min(judgeAnswers, p.places.Load()/4)
	if p.answers >= enough && now.Sub(p.judged) >= judgeEvery {
		p.judge(now, most)
		p.judged, p.answers = now, 0
	}
}

// judge moves the number of places: down by a fifth of those in use while all answers are late, else up by an eighth. They
// never fall below what is answered in the time that an answer may take: more would be answered in time, and those that
// came in before stay late whatever is done now.
func (p *Adaptive) judge(now time.Time, most int64) {
	places, ours := p.places.Load(), p.ours()
	late := p.least > ours
	p.strained.Store(late)
	switch {
	case !late:
		p.places.Store(min(most, places+places/8+1))
	case p.drains(places):
		return
	case places > fewestPlaces:
		p.places.Store(min(places, max(fewestPlaces, p.inTime(now, ours), min(places, p.inFlight.Load()+1)*4/5)))
	case p.fewest.IsZero():
		p.fewest = now
		return
	case now.Sub(p.fewest) < fewestFor:
		return
	default:
		p.epoch.Add(1)
	}
	p.fewest = time.Time{}
}

// drains reports whether there are still more than places, of those that came in before these became fewer.
func (p *Adaptive) drains(places int64) bool {
	all, light := p.Taken()
	return max(light, all-light) > places
}

// inTime is how many requests are answered, at the pace since the last judgement, while one of them may take: Little's law.
func (p *Adaptive) inTime(now time.Time, ours time.Duration) int64 {
	pace := float64(p.answers) / now.Sub(p.judged).Seconds()
	return int64(pace * (p.allowed + ours).Seconds() / 2)
}

// Baseline is how long a route takes when nothing waits: an average over time that falls faster than it rises.
type Baseline struct {
	mu    sync.Mutex
	took  time.Duration
	since time.Time // when the first answer came; zero: there was none
	at    time.Time // when the last one came
	epoch int64     // of the limit that it was learnt under
}

const (
	baselineFalls = 5 * time.Second
	baselineRises = time.Minute
	lateBy        = 200 * time.Millisecond // beyond the usual time; or as much again, if that is more
	learnFor      = 2 * time.Second        // while a route is new, lateBy is a second more: its first answers may be odd ones
)

// lateness is by how much an answer is too late: not above 0 for one that is not. It learns from the answer when told.
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
