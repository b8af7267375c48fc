package limit

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// clock is a time that a test moves.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Unix(1_000_000, 0)} }

func (c *clock) read() time.Time { return c.now }

func TestABucketGivesItsBurstThenItsRate(t *testing.T) {
	t.Parallel()
	at := newClock()
	l := NewBuckets(at.read).New("test", BucketConfig{"user", Rate{60, time.Minute}, 3})
	const alice, bob = 1, 2
	for i, want := range []bool{true, true, true, false} {
		if got := l.Take(alice).passed; got != want {
			t.Errorf("request %d: got %v, want %v", i+1, got, want)
		}
	}
	if !l.Take(bob).passed {
		t.Error("another client is refused")
	}
	at.now = at.now.Add(time.Second)
	if !l.Take(alice).passed || l.Take(alice).passed {
		t.Error("a second later one more request should pass, and only one")
	}
}

// TestABucketIsWhatItsPlainModelIs compares with a bucket that counts its tokens.
func TestABucketIsWhatItsPlainModelIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := newClock()
		rate := Rate{rapid.IntRange(1, 50).Draw(t, "count"), time.Minute}
		interval := rate.Per / time.Duration(rate.Count)
		burst := rapid.IntRange(1, 20).Draw(t, "burst")
		b := NewBuckets(at.read)
		l := b.New("test", BucketConfig{"user", rate, burst})
		tokens, most := time.Duration(burst)*interval, time.Duration(burst)*interval
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			pause := time.Duration(rapid.Int64Range(0, int64(3*interval)).Draw(t, "pause"))
			at.now = at.now.Add(pause)
			tokens = min(most, tokens+pause)
			if rapid.Bool().Draw(t, "sweep") {
				b.sweep()
			}
			v := l.Take(7)
			want := tokens >= interval
			if want {
				tokens -= interval
			}
			if v.passed != want || most-v.ahead != tokens {
				t.Fatalf("got %v with %v left, want %v with %v", v.passed, most-v.ahead, want, tokens)
			}
		}
	})
}

func TestALimitThatAReloadDidNotChangeGoesOn(t *testing.T) {
	t.Parallel()
	b := NewBuckets(newClock().read)
	one := func(what string, burst int) bool {
		return b.New(what, BucketConfig{"ip", Rate{1, time.Hour}, burst}).Take(1).Passed()
	}
	if !one("a", 1) || one("a", 1) {
		t.Error("the same limit made again gives another token")
	}
	if !one("b", 1) {
		t.Error("two limits share a bucket")
	}
	if !one("a", 2) {
		t.Error("a limit that was changed should begin anew")
	}
}

func TestOneSubscriberIsOneBucket(t *testing.T) {
	t.Parallel()
	b := NewBuckets(newClock().read)
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"10.0.0.1", "10.0.0.2", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		same := b.OfAddress(netip.MustParseAddr(row.a)) == b.OfAddress(netip.MustParseAddr(row.b))
		if same != row.same {
			t.Errorf("%s and %s: got %v, want %v", row.a, row.b, same, row.same)
		}
	}
}

// TestAMillionClientsFitAndAreForgotten is a figure of docs/limits.md: a million keys under 100 MB, and they go away.
func TestAMillionClientsFitAndAreForgotten(t *testing.T) {
	before := heap()
	at := newClock()
	b := NewBuckets(at.read)
	l := b.New("test", BucketConfig{"user", Rate{60, time.Minute}, 30})
	for client := range uint64(1_000_000) {
		l.Take(client)
	}
	full := heap() - before
	if b.Held() != 1_000_000 || full > 100<<20 {
		t.Errorf("%d clients take %d MB, want 1,000,000 under 100", b.Held(), full>>20)
	}
	at.now = at.now.Add(time.Second)
	b.sweep()
	empty := heap() - before
	if b.Held() != 0 || empty > 1<<20 {
		t.Errorf("when their buckets are full, %d clients take %d KB, want none", b.Held(), empty>>10)
	}
	t.Logf("1,000,000 clients: %.1f MB; forgotten: %d KB", float64(full)/(1<<20), empty>>10)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTooManyClientsForgetTheQuietOnesFirst(t *testing.T) {
	t.Parallel()
	at := newClock()
	b := NewBuckets(at.read)
	b.most = 64
	l := b.New("test", BucketConfig{"user", Rate{1, time.Minute}, 100})
	const flooder = 1_000_000_000
	for range 101 {
		l.Take(flooder)
	}
	for client := range uint64(100_000) {
		l.Take(client)
		if client%1000 == 0 {
			l.Take(flooder)
		}
	}
	if most := 64 * len(b.shards); b.Held() > most {
		t.Errorf("%d buckets are held, want %d at most", b.Held(), most)
	}
	if l.Take(flooder).passed {
		t.Error("the one who floods was forgotten")
	}
}

func BenchmarkLimit(b *testing.B) {
	l := NewBuckets(time.Now).New("test", BucketConfig{"user", Rate{1000, time.Second}, 1000})
	b.ReportAllocs()
	client := uint64(0)
	for b.Loop() {
		client++
		l.Take(client % 100_000)
	}
}
