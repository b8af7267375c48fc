package badger

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"wxgate/storage"
)

// TestARevocationIsReadAsEncodingJSONReadsIt compares both readings of what lies on disks, and of what nobody writes.
func TestARevocationIsReadAsEncodingJSONReadsIt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 29, 8, 30, 0, 123_456_789, time.UTC)
	var payloads []string
	for _, r := range []storage.Revocation{
		{},
		{Seq: 1, Scope: storage.ScopeSession, ID: "AAECAwQFBgcICQoLDA0ODw", From: at, Until: at.Add(time.Hour)},
		{Seq: 1 << 63, Scope: storage.ScopeUser, ID: "7", From: at.Truncate(time.Second), Until: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		{Seq: 2, Scope: storage.ScopeSession, ID: "a", From: at, Until: at, Before: at.Add(-time.Second), Spare: at.Add(-time.Minute)},
		{Seq: 3, Scope: storage.ScopeSession, ID: "a", From: at, Until: at, Spare: at},
		{Seq: 4, Scope: storage.ScopeToken, ID: "a\"b\\c<d>,}é", From: at.In(time.FixedZone("", 8*3600)), Until: at},
	} {
		text, err := json.Marshal(r)
		must(t, err)
		payloads = append(payloads, string(text))
	}
	whole := payloads[3]
	for i := range whole {
		payloads = append(payloads, whole[:i], whole[:i]+"x"+whole[i:], whole[:i]+" "+whole[i:], whole[:i]+whole[i+1:])
	}
	payloads = append(payloads, whole+" ", whole+"}", `{"id":"a","seq":1}`, `null`, `{"seq":-1,"scope":"user"}`)
	for _, payload := range payloads {
		wantRevocationOf(t, payload)
	}
}

func wantRevocationOf(t *testing.T, payload string) {
	t.Helper()
	var want storage.Revocation
	wantErr := json.Unmarshal([]byte(payload), &want)
	got, err := decodeRevocation([]byte(payload))
	if (err == nil) != (wantErr == nil) || err != nil && !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("%s: got %v, want %v", payload, err, wantErr)
	}
	if wantErr == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", payload, got, want)
	}
}

func BenchmarkRevocations(b *testing.B) {
	s := openIn(b, b.TempDir())
	now := time.Now()
	for i := range 100 {
		list := make([]storage.Revocation, 1000)
		for n := range list {
			list[n] = storage.Revocation{Scope: storage.ScopeSession, ID: fmt.Sprintf("%022d", 1000*i+n), From: now, Until: now.Add(time.Hour)}
		}
		if _, err := s.Revoke(b.Context(), list...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		found, err := s.Revocations(b.Context(), 0, 100_000)
		if err != nil || len(found) != 100_000 {
			b.Fatalf("got %d revocations, %v", len(found), err)
		}
	}
}
