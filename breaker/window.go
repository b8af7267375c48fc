package breaker

import "time"

// windowParts is in how many steps a window moves on.
const windowParts = 10

// Window counts two things over the last length of time, to a tenth of it. It is not safe for concurrent use.
type Window struct {
	length time.Duration
	epoch  time.Time // when it was first used: times since then ignore changes of the clock
	parts  [windowParts]windowPart
}

type windowPart struct {
	at       int64 // which tenth of length since the epoch, from 1
	all, odd int
}

// NewWindow makes a window that has counted nothing.
func NewWindow(length time.Duration) Window { return Window{length: length} }

// Add adds to both counts.
func (w *Window) Add(now time.Time, all, odd int) {
	at := w.at(now)
	p := &w.parts[at%windowParts]
	if p.at != at {
		*p = windowPart{at: at}
	}
	p.all += all
	p.odd += odd
}

// Sums returns both counts.
func (w *Window) Sums(now time.Time) (all, odd int) {
	at := w.at(now)
	for i := range w.parts {
		if p := &w.parts[i]; p.at > at-windowParts && p.at <= at {
			all += p.all
			odd += p.odd
		}
	}
	return all, odd
}

func (w *Window) at(now time.Time) int64 {
	if w.epoch.IsZero() {
		w.epoch = now
	}
	return max(0, int64(now.Sub(w.epoch)/max(w.length/windowParts, 1))) + 1
}
