package upstream

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// candidate is an endpoint that a request may go to, with its present score.
type candidate struct {
	*endpoint
	score  score
	weight float64 // its target's, less while it starts slowly
}

// choose returns the endpoint for the next attempt, nil when all were tried. The first attempt goes where the policy
// says, the others where success is most likely.
func (t *roundTrip) choose() *endpoint {
	t.cluster = t.up.cluster.Load()
	if only := t.cluster.endpoints; len(only) == 1 {
		if t.hasTried(only[0]) {
			return nil
		}
		return only[0]
	}
	for {
		best := t.cluster.candidates(t, t.at)
		if len(best) == 0 {
			return nil
		}
		c := t.pick(best)
		if !c.score.probation || c.beginProbe() {
			t.probe = c.score.probation
			return c.endpoint
		}
	}
}

func (t *roundTrip) pick(from []candidate) candidate {
	switch {
	case len(from) == 1:
		return from[0]
	case len(t.tried) > 0:
		return mostPromising(from)
	case t.cluster.cfg.Balance == policyRoundRobin:
		return from[t.up.roundRobin.pick(from)]
	case t.cluster.cfg.Balance == policyHashUser && t.User != 0:
		return from[rendezvous(from, t.User)]
	}
	return from[twoChoices(from)]
}

// candidates are the endpoints that were not tried, of the best rank that there is: if all are bad, all are used.
func (f *cluster) candidates(t *roundTrip, now time.Time) []candidate {
	best := rank(math.MaxUint8)
	t.candidates = t.candidates[:0]
	for i, e := range f.endpoints {
		if t.hasTried(e) {
			continue
		}
		s := e.scoreAt(now, &f.cfg)
		if s.rank < best {
			best, t.candidates = s.rank, t.candidates[:0]
		}
		if s.rank == best {
			t.candidates = append(t.candidates, candidate{endpoint: e, score: s, weight: f.weights[i] * s.weightFactor})
		}
	}
	return t.candidates
}

// mostPromising is, of the endpoints that answer, the one with the fewest failures in a row, and of those the one with
// the latest success.
func mostPromising(from []candidate) candidate {
	return slices.MinFunc(from, func(a, b candidate) int {
		switch {
		case a.score.stalled != b.score.stalled:
			return int(number(a.score.stalled)) - int(number(b.score.stalled))
		case a.score.failures != b.score.failures:
			return a.score.failures - b.score.failures
		}
		return b.score.lastSuccess.Compare(a.score.lastSuccess)
	})
}

// roundRobin is the state of smooth weighted round robin, as nginx has it: it never sends a run of requests to one
// endpoint.
type roundRobin struct {
	mu sync.Mutex // guards endpoint.currentWeight
}

func (r *roundRobin) pick(from []candidate) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	best, total := 0, 0.0
	for i, c := range from {
		c.currentWeight += c.weight
		total += c.weight
		if c.currentWeight > from[best].currentWeight {
			best = i
		}
	}
	from[best].currentWeight -= total
	return best
}

// p2cMargin is by how much the second of two choices must be better to be taken: small differences of latency are
// noise, and must not undo the weights.
const p2cMargin = 0.75

// twoChoices draws two different endpoints by weight and takes the one with less work ahead of it.
func twoChoices(from []candidate) int {
	a := draw(from, -1)
	b := draw(from, a)
	if from[b].cost() < p2cMargin*from[a].cost() {
		return b
	}
	return a
}

// cost is the work in flight, counted by the square of the latency. The square because most services work on several
// requests at a time: with latency × requests, one that is five times slower is taken as soon as six are in flight at
// the other, which does them no slower.
func (c candidate) cost() float64 {
	seconds := max(c.score.latency, 1e-6)
	busy, _ := c.usage()
	return seconds * seconds * (1 + float64(busy)/c.weight)
}

// draw gives one of from at random, by weight, but not the one at except.
func draw(from []candidate, except int) int {
	total := 0.0
	for i, c := range from {
		if i != except {
			total += c.weight
		}
	}
	at, last := rand.Float64()*total, 0
	for i, c := range from {
		if i == except {
			continue
		}
		if last = i; at < c.weight {
			return i
		}
		at -= c.weight
	}
	return last
}

// rendezvous gives the endpoint with the highest score for a key. Scores do not depend on other endpoints, so that one
// that goes moves its own keys alone; weighted as by Schindelhauer and Schomaker (2005). All replicas of the gateway
// agree, since a score depends only on the key, the endpoint's address and its weight.
func rendezvous(from []candidate, key uint64) int {
	best, most := 0, math.Inf(-1)
	for i, c := range from {
		h := mix(key ^ c.seed)
		uniform := (float64(h>>11) + 0.5) / (1 << 53) // between 0 and 1, neither of them
		if score := -c.weight / math.Log(uniform); score > most {
			best, most = i, score
		}
	}
	return best
}

// mix spreads every bit of x over the result: the finish of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// seedOf is FNV-1a of an endpoint's address, mixed.
func seedOf(address string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(address) {
		h = (h ^ uint64(address[i])) * 1099511628211
	}
	return mix(h)
}
