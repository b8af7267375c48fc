package upstream

import (
	"math"
	"time"
)

const (
	latencyRise   = 0.3              // how much of the way a higher value takes it up: one hiccup is not the rule
	latencyFall   = time.Second      // how long lower values take to bring it down to 37 %
	latencyForget = 10 * time.Second // the same while there are none: who is slow is tried again after a few times that
)

// failureLatency is what a failure counts at least: one that fails fast must not look fast.
const failureLatency = time.Second

// latency is a moving average that rises fast and falls slowly.
type latency struct {
	value float64 // seconds
	at    time.Time
}

func (l *latency) observe(now time.Time, took time.Duration) {
	seconds := took.Seconds()
	switch {
	case l.at.IsZero():
		l.value = seconds
	case seconds >= l.value:
		l.value += latencyRise * (seconds - l.value)
	default:
		l.value = seconds + (l.value-seconds)*decay(now.Sub(l.at), latencyFall)
	}
	l.at = now
}

// fail records a failure: it counts in full.
func (l *latency) fail(now time.Time, took time.Duration) {
	l.value, l.at = max(l.value, took.Seconds(), failureLatency.Seconds()), now
}

// now is the average as it has faded since the last observation.
func (l *latency) now(now time.Time) float64 { return l.value * decay(now.Sub(l.at), latencyForget) }

func decay(since, scale time.Duration) float64 {
	return math.Exp(-float64(max(since, 0)) / float64(scale))
}
