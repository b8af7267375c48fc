package load

import (
	"math"
	"slices"
	"time"
)

// histogram counts latencies: exactly to the microsecond up to half a second, and one by one above.
type histogram struct {
	micros []uint32
	slow   []time.Duration
	count  int64
	max    time.Duration
}

func newHistogram() *histogram { return &histogram{micros: make([]uint32, 500_000)} }

func (h *histogram) add(d time.Duration) {
	h.count++
	h.max = max(h.max, d)
	if i := int(d / time.Microsecond); i < len(h.micros) {
		h.micros[max(0, i)]++
		return
	}
	h.slow = append(h.slow, d)
}

// quantile returns the latency in µs that a share q of all does not exceed, 0 if there are none.
func (h *histogram) quantile(q float64) float64 {
	rank, counted := int64(math.Ceil(q*float64(h.count))), int64(0)
	for micros, n := range h.micros {
		if counted += int64(n); n > 0 && counted >= rank {
			return float64(micros)
		}
	}
	if len(h.slow) == 0 {
		return 0
	}
	slices.Sort(h.slow)
	return float64(h.slow[max(0, min(int(rank-counted), len(h.slow))-1)].Microseconds())
}
