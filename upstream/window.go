package upstream

import "time"

// windowParts is in how many steps a window moves on.
const windowParts = 10

// window counts two things over the last length of time, to a tenth of it.
type window struct {
	length time.Duration
	epoch  time.Time // when it was first used: times since then ignore changes of the clock
	parts  [windowParts]windowPart
}

type windowPart struct {
	at       int64 // which tenth of length since the epoch, from 1
	all, odd int
}

func (w *window) add(now time.Time, all, odd int) {
	at := w.at(now)
	p := &w.parts[at%windowParts]
	if p.at != at {
		*p = windowPart{at: at}
	}
	p.all += all
	p.odd += odd
}

func (w *window) sums(now time.Time) (all, odd int) {
	at := w.at(now)
	for i := range w.parts {
		if p := &w.parts[i]; p.at > at-windowParts && p.at <= at {
			all += p.all
			odd += p.odd
		}
	}
	return all, odd
}

func (w *window) at(now time.Time) int64 {
	if w.epoch.IsZero() {
		w.epoch = now
	}
	return max(0, int64(now.Sub(w.epoch)/max(w.length/windowParts, 1))) + 1
}
