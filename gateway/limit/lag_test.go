package limit

import (
	scheduler "runtime/metrics"
	"testing"
	"time"
)

func TestTheLagIsThatOfNineOfTenSinceTheLastLook(t *testing.T) {
	t.Parallel()
	var l lag
	h := &scheduler.Float64Histogram{Counts: []uint64{50, 0, 0, 0}, Buckets: []float64{-1, 0.001, 0.01, 0.1, 1}}
	l.before = make([]uint64, 4)
	for i, row := range []struct {
		counts []uint64
		want   time.Duration
	}{
		{[]uint64{50, 0, 0, 0}, 0},
		{[]uint64{50, 0, 0, 0}, 0}, // nothing ran
		{[]uint64{51, 9, 0, 0}, time.Millisecond},
		{[]uint64{52, 9, 0, 9}, 100 * time.Millisecond},
		{[]uint64{61, 9, 0, 10}, 0}, // one of ten is none of nine
	} {
		h.Counts = row.counts
		if got := l.highest(h); got != row.want {
			t.Errorf("look %d: got %v, want %v", i, got, row.want)
		}
	}
	if got := new(lag).ours(); got < 0 || got > time.Minute {
		t.Errorf("this process is late by %v", got)
	}
}
