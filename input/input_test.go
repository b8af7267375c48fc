package input_test

import (
	"strings"
	"testing"
	"time"

	"wxgate/input"
)

func TestDurationsMayHaveDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "500ms": 500 * time.Millisecond, "72h": 72 * time.Hour, "1h30m": 90 * time.Minute, "-1h": -time.Hour,
		"7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0, "100000d": 100_000 * 24 * time.Hour,
	} {
		if got, err := input.Duration(text); got != want || err != nil {
			t.Errorf("%s: got %v and %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"30": "has no unit: write 30s", "3 days": "is not a duration", "": "is not a duration", "d": "is not a duration", "1.5d": "is not a duration",
		"-7d": "is not a duration", "+7d": "is not a duration", "7d-1h": "is not a duration", "7d12": "is not a duration", "100001d": "is not a duration",
		"07d": "is not a duration", "1w": "is not a duration", "7D": "is not a duration", "1h7d": "is not a duration", "9999999999h": "is not a duration",
	} {
		if got, err := input.Duration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v and %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestIDsAndNumbersAreDecimalAndNothingElse(t *testing.T) {
	t.Parallel()
	if id, err := input.UserID("9007199254740991"); id != input.LargestID || err != nil {
		t.Errorf("got %d and %v", id, err)
	}
	if n, err := input.Count("0"); n != 0 || err != nil {
		t.Errorf("got %d and %v", n, err)
	}
	for _, text := range []string{"", "+1", "-1", "010", "0x10", "1_000", "1e3", "1.0", " 1", "1 ", "１", "9223372036854775808", "alice"} {
		if id, err := input.UserID(text); err == nil {
			t.Errorf("%q is the user %d", text, id)
		}
		if n, err := input.Count(text); err == nil {
			t.Errorf("%q is the number %d", text, n)
		}
	}
	for _, text := range []string{"0", "9007199254740992"} {
		if id, err := input.UserID(text); err == nil {
			t.Errorf("%q is the user %d", text, id)
		}
	}
}

func TestTimesHaveTheirZone(t *testing.T) {
	t.Parallel()
	if at, err := input.Time("2026-12-31T08:00:00+08:00"); err != nil || !at.Equal(time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %v and %v", at, err)
	}
	for _, text := range []string{"", "tomorrow", "2026-12-31", "2026-12-31 08:00:00", "2026-12-31T08:00:00", "1798675200"} {
		if at, err := input.Time(text); err == nil || !strings.Contains(err.Error(), "such as 2026") {
			t.Errorf("%q: got %v and %v, want an error that shows the form", text, at, err)
		}
	}
}
