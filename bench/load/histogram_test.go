package load

import (
	"testing"
	"time"
)

func TestQuantilesAreThoseOfTheSortedLatencies(t *testing.T) {
	t.Parallel()
	h := newHistogram()
	if got := h.quantile(.99); got != 0 {
		t.Errorf("got %g, want 0 of none", got)
	}
	for i := range 98 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	h.add(3 * time.Second)
	h.add(2 * time.Second)
	for q, want := range map[float64]float64{0.01: 1, 0.5: 50, 0.98: 98, 0.99: 2e6, 1: 3e6} {
		if got := h.quantile(q); got != want {
			t.Errorf("got %g, want %g, for quantile %g", got, want, q)
		}
	}
}
