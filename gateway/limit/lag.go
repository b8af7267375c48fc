package limit

import (
	scheduler "runtime/metrics"
	"time"
)

// lag knows how long what is ready to run in this process waits for a processor. What we ourselves are late by says
// nothing of a service.
type lag struct {
	sample []scheduler.Sample
	before []uint64 // the counts at the last look
}

// ours is how long nine of ten goroutines have waited at most since the last look.
func (l *lag) ours() time.Duration {
	if l.sample == nil {
		l.sample = []scheduler.Sample{{Name: "/sched/latencies:seconds"}}
	}
	scheduler.Read(l.sample)
	if l.sample[0].Value.Kind() != scheduler.KindFloat64Histogram {
		return 0 // another runtime than those we know
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
			found = max(0, h.Buckets[i]) // the first one begins before all times
		}
		seen += n - l.before[i]
		l.before[i] = n
	}
	return time.Duration(found * float64(time.Second))
}
