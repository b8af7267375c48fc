package input

import "testing"

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
