package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// kindTimeout is a call that is executed and never answered.
const kindTimeout = "timeout"

// anyAPI is the name under which a rule is for every API that has none of its own.
const anyAPI = "*"

// Failure is how calls of one API fail.
type Failure struct {
	API   string   `json:"api"`   // the last segment of the path; * or empty is every API that has no Failure of its own
	Rate  float64  `json:"rate"`  // how many of the calls fail, above 0 to 1; 0 is 1: all
	Kinds []string `json:"kinds"` // one is drawn for each failure; none ends the failures of API, and without an API all of them
	Count int      `json:"count"` // after this many calls it is over; 0 is never
	Seed  int64    `json:"seed"`  // with the same seed the same calls fail in the same way
}

// Kinds lists the failures that are no errcode. Any whole number but 502 is one as well: that errcode. After an errcode the
// call has not been executed; after any of these it has, and a code is spent.
func Kinds() []string {
	return []string{kindTimeout, "reset", "html", "half", "502", "empty", "notjson", "trailing", "huge", "cut"}
}

// failureRules holds what Fail and Delay said.
type failureRules struct {
	mu       sync.Mutex
	failures map[string]*rule
	delays   map[string]time.Duration
}

// rule is a Failure and how many calls it has decided on.
type rule struct {
	Failure
	decided int
}

// outcome is what happens to one call: first the delay, then the kind of failure, "" for none.
type outcome struct {
	delay time.Duration
	kind  string
}

func (r *failureRules) fail(f Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.API == "" && len(f.Kinds) == 0 { // {} ends all that was scripted
		clear(r.failures)
		return
	}
	f.API = or(f.API, anyAPI)
	if len(f.Kinds) == 0 {
		delete(r.failures, f.API)
		return
	}
	if f.Rate == 0 {
		f.Rate = 1
	}
	f.Kinds = slices.Clone(f.Kinds)
	r.failures[f.API] = &rule{Failure: f}
}

func (r *failureRules) delay(api string, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delays[or(api, anyAPI)] = d
}

// next decides on the next call of api.
func (r *failureRules) next(api string) outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	delay, own := r.delays[api]
	if !own {
		delay = r.delays[anyAPI]
	}
	failing, own := r.failures[api]
	if !own {
		failing = r.failures[anyAPI]
	}
	if failing == nil {
		return outcome{delay: delay}
	}
	return outcome{delay: delay, kind: failing.next()}
}

// next draws for the next call.
func (r *rule) next() string {
	if r.Count > 0 && r.decided >= r.Count {
		return ""
	}
	r.decided++
	fails, which := draw(r.Seed, r.decided)
	if fails >= r.Rate {
		return ""
	}
	return r.Kinds[which%uint64(len(r.Kinds))]
}

// draw returns a number in [0, 1) and another one, which depend on seed and n alone. It is a hash rather than math/rand,
// which is forbidden below authn.
func draw(seed int64, n int) (float64, uint64) {
	var input [16]byte
	binary.BigEndian.PutUint64(input[:8], uint64(seed))
	binary.BigEndian.PutUint64(input[8:], uint64(n))
	sum := sha256.Sum256(input[:])
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53), binary.BigEndian.Uint64(sum[8:16])
}
