package upstream

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// breakerOf is a breaker at its defaults.
func breakerOf() *breaker {
	b := new(breaker)
	b.configure(DefaultConfig().Breaker)
	return b
}

// pass sends one request through b.
func pass(b *breaker, v result, now time.Time) error {
	probe, err := b.allow(now)
	if err == nil {
		b.record(probe, v, now)
	}
	return err
}

func TestTheBreakerOpensAtItsShareOfEnoughRequests(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	for _, c := range []struct {
		says             string
		success, failure int
		open             bool
	}{
		{"nineteen failures are too few", 0, 19, false},
		{"twenty are enough", 0, 20, true},
		{"just half is enough", 10, 10, true},
		{"less than half is not", 11, 10, false},
	} {
		b := breakerOf()
		for range c.success {
			_ = pass(b, success, now)
		}
		for range c.failure {
			_ = pass(b, failure, now)
			_ = pass(b, neutral, now)
		}
		if b.isOpen() != c.open {
			t.Errorf("%s: open is %v", c.says, b.isOpen())
		}
	}
}

func TestOldFailuresDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	b, now := breakerOf(), time.Unix(1e9, 0)
	for i := range 100 {
		_ = pass(b, failure, now.Add(time.Duration(i)*time.Second))
	}
	if b.isOpen() {
		t.Error("one failure a second, ten in the window, has opened it")
	}
}

func TestAnOpenBreakerIsClosedByThreeGoodRequests(t *testing.T) {
	t.Parallel()
	b, now := breakerOf(), time.Unix(1e9, 0)
	for range 20 {
		_ = pass(b, failure, now)
	}
	if err := pass(b, success, now.Add(4*time.Second)); !errors.Is(err, ErrBreakerOpen) {
		t.Fatalf("after 4 s: %v, want ErrBreakerOpen", err)
	}
	now = now.Add(5 * time.Second)
	for range 3 {
		if probe, err := b.allow(now); err != nil || !probe {
			t.Fatalf("after 5 s: %v, %v, want a probe", probe, err)
		}
	}
	if _, err := b.allow(now); !errors.Is(err, ErrBreakerOpen) {
		t.Fatalf("a fourth probe: %v, want ErrBreakerOpen", err)
	}
	b.record(true, success, now)
	b.record(true, neutral, now) // its client left: another one may try
	b.record(true, success, now)
	if !b.isOpen() {
		t.Fatal("two good ones have closed it")
	}
	if err := pass(b, success, now); err != nil || b.isOpen() {
		t.Errorf("after the third: %v, open %v", err, b.isOpen())
	}
}

func TestAFailedProbeOpensTheBreakerAgain(t *testing.T) {
	t.Parallel()
	b, now := breakerOf(), time.Unix(1e9, 0)
	for range 20 {
		_ = pass(b, failure, now)
	}
	now = now.Add(6 * time.Second)
	if err := pass(b, failure, now); err != nil {
		t.Fatal(err)
	}
	if err := pass(b, success, now.Add(4*time.Second)); !errors.Is(err, ErrBreakerOpen) {
		t.Errorf("4 s after the failed probe: %v, want ErrBreakerOpen", err)
	}
}

func TestAWindowCountsWhatIsWithinIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := window{length: 10 * time.Second}
		now := time.Unix(1e9, 0)
		var at []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause")) * time.Millisecond)
			w.add(now, 1, 0)
			at = append(at, now)
		}
		now = now.Add(time.Duration(rapid.IntRange(0, 12000).Draw(t, "pause")) * time.Millisecond)
		least, most := 0, 0
		for _, when := range at {
			if now.Sub(when) < 9*time.Second {
				least++
			}
			if now.Sub(when) <= 10*time.Second {
				most++
			}
		}
		if got, _ := w.sums(now); got < least || got > most {
			t.Fatalf("it counts %d, want %d to %d", got, least, most)
		}
	})
}

func TestASlowStartOfZeroBeginsWithTheFullShare(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	if got := (&endpoint{slowStart: now}).weightFactor(now, 0); got != 1 {
		t.Errorf("it begins with %v of its share, want all", got)
	}
}
