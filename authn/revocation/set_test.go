package revocation

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"runtime"
	"testing"
	"time"

	"wxgate/storage"
)

// endedSession is the revocation of an ended session with a random id.
func endedSession(until time.Time) storage.Revocation {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return storage.Revocation{Scope: storage.ScopeSession, ID: base64.RawURLEncoding.EncodeToString(id[:]), From: until.Add(-time.Hour), Until: until}
}

// TestAnEndedSessionTakesFewBytes is not parallel: it measures the heap.
func TestAnEndedSessionTakesFewBytes(t *testing.T) {
	const many = 300_000
	r := NewSet(func() time.Time { return time.Time{} })
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for range many {
		r.Add(endedSession(time.Now()))
	}
	each := (heap() - before) / many
	t.Logf("%d bytes", each)
	if r.Len() != many || each > 48 {
		t.Errorf("%d ended sessions take %d bytes each, want %d at 48 at most", r.Len(), each, many)
	}
	runtime.KeepAlive(r)
}

func TestAnEndedSessionIsRememberedUntilItIsOverWhateverComesBesideIt(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	past := now
	r := NewSet(func() time.Time { return past })
	end := endedSession(now.Add(time.Hour))
	end.Seq = 2
	later := end
	later.Seq, later.Until = 3, now.Add(2*time.Hour+time.Millisecond)
	rotation := end
	rotation.Seq, rotation.Before, rotation.Until = 4, now, now.Add(time.Minute)
	k, _ := newKey(end.Scope, end.ID)
	for _, order := range [][]storage.Revocation{{end, later, rotation}, {rotation, later, end}, {later, rotation, end}} {
		r.Add(order...)
		if !r.covers(k, now.Add(-1000*time.Hour)) || r.Len() != 1 {
			t.Errorf("in the order %v: refused is %t, %d are held; want true, 1", order, r.covers(k, now), r.Len())
		}
	}
	for _, c := range []struct {
		past time.Time
		want bool
	}{{later.Until, true}, {later.Until.Add(time.Minute), false}} {
		past = c.past
		for range r.shards {
			r.Add(endedSession(c.past.Add(time.Hour)))
		}
		if got := r.covers(k, now); got != c.want {
			t.Errorf("when %v is past: refused is %t, want %t", c.past, got, c.want)
		}
	}
}

// BenchmarkRevoked measures a request's look at a set of a million live revocations.
func BenchmarkRevoked(b *testing.B) {
	for _, live := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			r := NewSet(func() time.Time { return time.Time{} })
			now := time.Now()
			for range live {
				r.Add(endedSession(now.Add(time.Hour)))
			}
			v, ok := NewToken(7, endedSession(now).ID, endedSession(now).ID, 0, false)
			if !ok {
				b.Fatal("the ids have another form")
			}
			b.ReportAllocs()
			for b.Loop() {
				if r.Refuses(&v, now) {
					b.Fatal("refused")
				}
			}
		})
	}
}
