package limit

import (
	"testing"
	"time"
)

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
