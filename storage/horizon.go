package storage

import "time"

// Horizon is a cautious estimate of the time. A store deletes ended records by it and never by the clock alone: a clock
// that is ahead for a while would bring back whoever was logged out or banned.
//
// It advances with the time that passes while a process runs. A wall clock that disagrees, because the process was down
// or because the clock is wrong, moves it only after a week of running, and only by as much as the clock was off
// throughout. Whatever a restart loses of that week makes the store keep records for longer.
type Horizon struct {
	At    time.Time     // the time that is believed
	Lead  time.Duration // how far the wall clock is ahead of it, negative for behind: the least since Doubt began
	Doubt time.Duration // how long that has been so, in time of running
}

const (
	// horizonTrust is how long a clock must be off before it is believed.
	horizonTrust = 7 * 24 * time.Hour
	// horizonMargin is how much longer than needed everything is kept: more than a clock set for another time zone is off.
	horizonMargin = 25 * time.Hour
)

// Advance returns the horizon after a process has run for elapsed, by a monotonic clock, with wall being the wall clock
// at the end.
func (h Horizon) Advance(elapsed time.Duration, wall time.Time) Horizon {
	elapsed = max(0, elapsed)
	if !wall.Before(h.At) { // one that was ahead waits for the clock
		h.At = h.At.Add(elapsed)
	}
	lead := wall.Sub(h.At)
	if h.Doubt == 0 || (lead < 0) != (h.Lead < 0) {
		h.Lead, h.Doubt = lead, 0
	}
	if lead.Abs() < h.Lead.Abs() {
		h.Lead = lead
	}
	if h.Doubt += elapsed; h.Doubt >= horizonTrust {
		h.At, h.Lead, h.Doubt = h.At.Add(h.Lead), 0, 0
	}
	return h
}

// Past returns the time before which ended records may be deleted: they have ended by the horizon and by the wall
// clock.
func (h Horizon) Past(wall time.Time) time.Time {
	if wall.After(h.At) {
		wall = h.At
	}
	return wall.Add(-horizonMargin)
}
