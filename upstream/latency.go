package upstream

import (
	"math"
	"time"
)

// latencyDecay is how long a latency takes to fade to 37 %: a slow endpoint is tried again after a few times that.
const latencyDecay = 10 * time.Second

// failureLatency is what a failure counts at least: one that fails fast must not look fast.
const failureLatency = time.Second

// latency is a peak-sensitive moving average: a higher value counts at once, lower ones bring it down over time.
type latency struct {
	value float64 // seconds
	at    time.Time
}

func (l *latency) observe(now time.Time, took time.Duration) {
	seconds := took.Seconds()
	old := l.value
	if seconds >= old {
		l.value = seconds
	} else if since := now.Sub(l.at); since > 0 {
		l.value = seconds + (old-seconds)*fade(since)
	}
	l.at = now
}

// now is the average as it has faded since the last observation.
func (l *latency) now(now time.Time) float64 {
	if l.value == 0 {
		return 0
	}
	return l.value * fade(now.Sub(l.at))
}

func fade(since time.Duration) float64 {
	return math.Exp(-float64(max(since, 0)) / float64(latencyDecay))
}
