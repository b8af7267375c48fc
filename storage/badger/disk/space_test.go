package disk

import "testing"

func TestWatermarkFitsTheDisk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ totalMB, want uint64 }{
		{20, 10}, {64, 32}, {96, 48}, {200, 48}, {1000, 100}, {10_000, 256}, {1_000_000, 256},
	} {
		if got := (Space{Total: c.totalMB << 20}).Watermark() >> 20; got != c.want {
			t.Errorf("watermark of a disk of %d MB: got %d MB, want %d", c.totalMB, got, c.want)
		}
	}
}
