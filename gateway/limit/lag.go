package limit

import (
	scheduler "runtime/metrics"
	"time"
)

// lag measures how long goroutines that are ready to run wait for a processor. Lateness of our own says nothing about a
// service.
type lag struct {
	sample []scheduler.Sample
	before []uint64 // the counts at the last call
}

// ours returns the 90th percentile of that wait since the last call.
func (l *lag) ours() time.Duration {
	if l.sample == nil {
		l.sample = []scheduler.Sample{{Name: "/sched/latencies:seconds"}}
	}
	scheduler.Read(l.sample)
	if l.sample[0].Value.Kind() != scheduler.KindFloat64Histogram {
		return 0 // not a runtime that we know
	}
	h := l.sample[0].Value.Float64Histogram()
	if len(l.before) != len(h.Counts) {
		l.before = make([]uint64, len(h.Counts))
	}
	return l.highest(h)
}

func (l *lag) highest(h *scheduler.Float64Histogram) time.Duration {
	all := uint64(0)
	for i, n := range h.Counts {
		all += n - l.before[i]
	}
	seen, found := uint64(0), 0.0
	for i, n := range h.Counts {
		if seen < all-all/10 && n > l.before[i] {
			found = max(0, h.Buckets[i]) // the first bucket begins at minus infinity
		}
		seen += n - l.before[i]
		l.before[i] = n
	}
	return time.Duration(found * float64(time.Second))
}
