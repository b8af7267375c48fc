package answer

import (
	"encoding/json"
	"testing"
	"time"

	"wxgate/message"
)

// FuzzRefusalsAreWhatPackageJSONWrites compares the body of a refusal with the one that package json makes of it.
func FuzzRefusalsAreWhatPackageJSONWrites(f *testing.F) {
	for _, text := range []string{"请先登录", "a\"b", "\\", "\x00", "\xff", "\u2028", "<&>", "\x7f", "…", ""} {
		f.Add(text, "id", "")
		f.Add("message", text, text)
	}
	shape := newShape(f, DefaultConfig())
	f.Fuzz(func(t *testing.T, text, id, _ string) {
		now := time.UnixMilli(1_700_000_000_123)
		f := Failure{Status: 401, Reason: "token_invalid", Message: text}
		var got message.Response
		shape.Refuse(&got, &Refusal{Failure: f, Message: text, RequestID: id, Now: now})
		want, err := f.Answer("", id, now)
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Body) != string(want.Body) || !json.Valid(got.Body) {
			t.Errorf("%q, %q:\n got %s\nwant %s", text, id, got.Body, want.Body)
		}
	})
}

func TestRequestIDsAreAllDifferent(t *testing.T) {
	t.Parallel()
	var ids RequestIDs
	seen := make(map[string]bool)
	for range 1000 {
		id := ids.Next()
		if len(id) != 16 || seen[id] {
			t.Fatalf("%q has %d characters, or was there before", id, len(id))
		}
		seen[id] = true
	}
}

func TestATimestampHasMilliseconds(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		time.UnixMilli(0), time.UnixMilli(1_700_000_000_001), time.Unix(1_700_000_000, 999_999_999), time.Date(2026, 2, 3, 4, 5, 6, 70_000_000, time.FixedZone("", 8*3600)),
	} {
		if got, want := timestamp(at), at.UTC().Format(timestampFormat); got != want {
			t.Errorf("%v: got %s, want %s", at, got, want)
		}
	}
}
