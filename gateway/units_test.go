package gateway

import (
	"testing"
	"time"
)

func TestSizesReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{"0": 0, "512": 512, "1KiB": 1 << 10, "64KiB": 64 << 10, "4MiB": 4 << 20, "2GiB": 2 << 30} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("%d is written %q, want %q", got, got, text)
		}
	}
	for _, text := range []string{"", "-1", "4MB", "4 mib", "1.5MiB", "9999999GiB", "MiB"} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

func TestRatesReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{"10/s": {10, time.Second}, "60/m": {60, time.Minute}, "1000/h": {1000, time.Hour}} {
		var got Rate
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "60", "60/d", "0/s", "-1/s", "x/m", "1/2/s"} {
		var got Rate
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}
