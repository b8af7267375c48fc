package breaker_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wxgate/breaker"
)

// newBreaker is a breaker as an upstream has it by default.
func newBreaker() *breaker.Breaker {
	b := new(breaker.Breaker)
	b.Configure(breaker.Config{Failures: 0.5, MinRequests: 20, Window: 10 * time.Second, Open: 5 * time.Second, Probes: 3})
	return b
}

// openAt is a breaker that opened at a moment.
func openAt(now time.Time) *breaker.Breaker {
	b := newBreaker()
	for range 20 {
		_ = send(b, breaker.Failure, now)
	}
	return b
}

// send sends one request through b.
func send(b *breaker.Breaker, r breaker.Result, now time.Time) error {
	pass, err := b.Allow(now)
	if err == nil {
		b.Record(pass, r, now)
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
		b := newBreaker()
		for range c.success {
			_ = send(b, breaker.Success, now)
		}
		for range c.failure {
			_ = send(b, breaker.Failure, now)
			_ = send(b, breaker.Neutral, now)
		}
		if b.IsOpen() != c.open {
			t.Errorf("%s: open is %v", c.says, b.IsOpen())
		}
	}
}

func TestOldFailuresDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	b, now := newBreaker(), time.Unix(1e9, 0)
	for i := range 100 {
		_ = send(b, breaker.Failure, now.Add(time.Duration(i)*time.Second))
	}
	if b.IsOpen() {
		t.Error("one failure a second, ten in the window, has opened it")
	}
}

func TestAnOpenBreakerIsClosedByThreeGoodRequests(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	b := openAt(now)
	if err := send(b, breaker.Success, now.Add(4*time.Second)); !errors.Is(err, breaker.ErrOpen) {
		t.Fatalf("after 4 s: %v, want ErrOpen", err)
	}
	now = now.Add(5 * time.Second)
	var probes [3]breaker.Pass
	for i := range probes {
		var err error
		if probes[i], err = b.Allow(now); err != nil {
			t.Fatalf("after 5 s: %v, want a probe", err)
		}
	}
	if _, err := b.Allow(now); !errors.Is(err, breaker.ErrOpen) {
		t.Fatalf("a fourth probe: %v, want ErrOpen", err)
	}
	b.Record(probes[0], breaker.Success, now)
	b.Record(probes[1], breaker.Neutral, now) // its client left: another one may try
	b.Record(probes[2], breaker.Success, now)
	if !b.IsOpen() {
		t.Fatal("two good ones have closed it")
	}
	if err := send(b, breaker.Success, now); err != nil || b.IsOpen() {
		t.Errorf("after the third: %v, open %v", err, b.IsOpen())
	}
}

func TestAFailedProbeOpensTheBreakerAgain(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	b := openAt(now)
	now = now.Add(6 * time.Second)
	if err := send(b, breaker.Failure, now); err != nil {
		t.Fatal(err)
	}
	if err := send(b, breaker.Success, now.Add(4*time.Second)); !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("4 s after the failed probe: %v, want ErrOpen", err)
	}
}

// An exchange of before the breaker opened ends while its probe is under way: that of one probe, as of a login's
// breaker.
func TestAnOldExchangeIsNoProbe(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	for _, old := range []breaker.Result{breaker.Neutral, breaker.Success, breaker.Failure} {
		b := new(breaker.Breaker)
		b.Configure(breaker.Config{Failures: 0.5, MinRequests: 20, Window: 10 * time.Second, Open: 5 * time.Second})
		late, _ := b.Allow(now)
		for range 20 {
			_ = send(b, breaker.Failure, now)
		}
		now = now.Add(5 * time.Second)
		probe, err := b.Allow(now)
		if err != nil {
			t.Fatal(err)
		}
		b.Record(late, old, now)
		if _, err := b.Allow(now); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("after the end (%d) of an old exchange: %v, want ErrOpen while the probe is under way", old, err)
		}
		if b.Record(probe, breaker.Success, now); b.IsOpen() {
			t.Errorf("after the end (%d) of an old exchange the probe did not close it", old)
		}
	}
}

// A probe that ends when the breaker has opened again after another one, and is half-open once more.
func TestAProbeOfBeforeIsNoProbe(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	b := openAt(now)
	now = now.Add(5 * time.Second)
	late, err := b.Allow(now)
	if err != nil || send(b, breaker.Failure, now) != nil {
		t.Fatal("it let no two probes through")
	}
	now = now.Add(5 * time.Second)
	probe, err := b.Allow(now)
	if err != nil {
		t.Fatal(err)
	}
	b.Record(late, breaker.Success, now)
	b.Record(probe, breaker.Success, now)
	if err := send(b, breaker.Success, now); err != nil || !b.IsOpen() {
		t.Errorf("after two probes and an old one: %v, open %v; want it open for a third", err, b.IsOpen())
	}
	if err := send(b, breaker.Success, now); err != nil || b.IsOpen() {
		t.Errorf("after the third: %v, open %v", err, b.IsOpen())
	}
}

// What was let through before the breaker opened, and fails when it is closed again, is no failure of the service of
// now.
func TestOldFailuresDoNotOpenAClosedBreakerAgain(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	b := newBreaker()
	var late [30]breaker.Pass
	for i := range late {
		late[i], _ = b.Allow(now)
	}
	for range 20 {
		_ = send(b, breaker.Failure, now)
	}
	now = now.Add(5 * time.Second)
	for range 3 {
		_ = send(b, breaker.Success, now)
	}
	for _, pass := range late {
		b.Record(pass, breaker.Failure, now)
	}
	if b.IsOpen() {
		t.Error("old exchanges that failed have opened it again")
	}
}

func TestAWindowCountsWhatIsWithinIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := breaker.NewWindow(10 * time.Second)
		now := time.Unix(1e9, 0)
		var at []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause")) * time.Millisecond)
			w.Add(now, 1, 0)
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
		if got, _ := w.Sums(now); got < least || got > most {
			t.Fatalf("it counts %d, want %d to %d", got, least, most)
		}
	})
}
