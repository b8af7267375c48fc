package limit

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// busy is a service of so many workers with a line before it, in a time of its own.
type busy struct {
	Adaptive
	base    Baseline
	now     time.Time
	workers []time.Time // when each is free again
	under   []arrival   // by the time of their answers
	places  int64       // limits.in_flight
}

type arrival struct{ came, answered time.Time }

func newBusy(workers int) *busy {
	return &busy{Adaptive: Adaptive{ours: func() time.Duration { return 0 }}, now: time.Unix(1_000_000, 0), workers: make([]time.Time, workers), places: 1000}
}

// run sends requests at a rate for a while and returns how long those took that were let in, and how many were refused.
func (l *busy) run(rate int, length time.Duration, work func() time.Duration) (took []time.Duration, refused int) {
	for end := l.now.Add(length); l.now.Before(end); l.now = l.now.Add(time.Second / time.Duration(rate)) {
		for len(l.under) > 0 && !l.under[0].answered.After(l.now) {
			took = append(took, l.answer())
		}
		if !l.acquire(l.places, 100, true) {
			refused++
			continue
		}
		first := 0
		for i, free := range l.workers {
			if free.Before(l.workers[first]) {
				first = i
			}
		}
		begins := l.workers[first]
		if begins.Before(l.now) {
			begins = l.now
		}
		l.workers[first] = begins.Add(work())
		at, _ := slices.BinarySearchFunc(l.under, l.workers[first], func(a arrival, t time.Time) int { return a.answered.Compare(t) })
		l.under = slices.Insert(l.under, at, arrival{l.now, l.workers[first]})
	}
	return took, refused
}

func (l *busy) answer() time.Duration {
	a := l.under[0]
	l.under = l.under[1:]
	l.release(true)
	l.Answered(&l.base, a.answered.Sub(a.came), a.answered, l.places)
	return a.answered.Sub(a.came)
}

func constant(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

func percentile(all []time.Duration, percent int) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[min(len(all)-1, len(all)*percent/100)]
}

// TestAClientWithManyRequestsIsRefusedBeforeOthers: a flood of one fills its places, not those of the others.
func TestAClientWithManyRequestsIsRefusedBeforeOthers(t *testing.T) {
	t.Parallel()
	var p Adaptive
	for p.acquire(100, 100, false) { // one client takes what there is
	}
	p.slots.Store(50) // and makes its service late
	for i := range 50 {
		if !p.acquire(100, 100, true) {
			t.Fatalf("of 50 others with few requests, number %d is refused", i+1)
		}
	}
	if p.acquire(100, 100, true) || p.acquire(100, 100, false) {
		t.Error("more than the service bears are let in")
	}
	for range 50 {
		p.release(true)
	}
	for range 100 {
		p.release(false)
	}
	if p.inFlight.Load() != 0 || p.light.Load() != 0 {
		t.Errorf("%d places are held by nobody, %d of light requests", p.inFlight.Load(), p.light.Load())
	}
}

// TestTwiceTheLoadIsShed is the figure of docs/limits.md for services of many sizes: the admitted stay under a second,
// the service stays busy, and soon afterwards nobody is refused.
func TestTwiceTheLoadIsShed(t *testing.T) {
	t.Parallel()
	for _, of := range []struct {
		workers int
		work    time.Duration
	}{
		{1, time.Millisecond},
		{1, 10 * time.Millisecond},
		{2, 5 * time.Millisecond},
		{4, 20 * time.Millisecond},
		{10, 20 * time.Millisecond},
		{5, 50 * time.Millisecond},
		{10, 100 * time.Millisecond},
		{60, 100 * time.Millisecond},
	} {
		bears := int(float64(of.workers) / of.work.Seconds())
		l := newBusy(of.workers)
		if _, refused := l.run(bears/2, 5*time.Second, constant(of.work)); refused > 0 {
			t.Errorf("%+v: at half the load %d are refused", of, refused)
		}
		took, _ := l.run(2*bears, 30*time.Second, constant(of.work))
		if got := percentile(took, 99); got >= time.Second {
			t.Errorf("%+v: at twice the load p99 is %v", of, got)
		}
		if got := len(took); got < bears*28 {
			t.Errorf("%+v: at twice the load %d are served in 30 s, want %d or nearly", of, got, bears*30)
		}
		l.run(bears/2, 5*time.Second, constant(of.work))
		if _, refused := l.run(bears/2, 5*time.Second, constant(of.work)); refused > 0 {
			t.Errorf("%+v: 5 s later %d are refused", of, refused)
		}
	}
}

// TestABurstDoesNotStarveThoseWhoComeAfterIt: while a long line was worked off every answer was late, and each of them
// took places away, until nearly everybody was refused by a service that had little to do.
func TestABurstDoesNotStarveThoseWhoComeAfterIt(t *testing.T) {
	t.Parallel()
	l := newBusy(50) // 5,000 a second
	l.places = 10_000
	l.run(1000, 5*time.Second, constant(10*time.Millisecond))
	l.run(20_000, time.Second, constant(10*time.Millisecond))
	const fair = 5000 / 10 // what is answered in half of 200 ms
	for range 300 {
		l.run(2000, 10*time.Millisecond, constant(10*time.Millisecond))
		if got := l.Adaptive.slots.Load(); got < fair {
			t.Fatalf("while the line goes down there are %d places, want %d at least", got, fair)
		}
	}
	if _, refused := l.run(2000, 5*time.Second, constant(10*time.Millisecond)); refused > 0 {
		t.Errorf("3 s later %d are refused, want none", refused)
	}
}

// TestPlacesAreNotTakenTwiceForOneLine: those that came in before they were taken stay late whatever is done.
func TestPlacesAreNotTakenTwiceForOneLine(t *testing.T) {
	t.Parallel()
	for what, light := range map[string]bool{"of clients with few requests": true, "of clients with many": false} {
		l := newBusy(1)
		for range 500 {
			l.join(light)
		}
		l.Adaptive.slots.Store(100)
		l.judged, l.least, l.answers = l.now, time.Second, 20
		if l.judge(l.now.Add(judgeEvery), 1000); l.Adaptive.slots.Load() != 100 {
			t.Errorf("with 500 %s in line for 100 places: got %d places, want 100", what, l.Adaptive.slots.Load())
		}
		for range 400 {
			l.release(light)
		}
		if l.judge(l.now.Add(judgeEvery), 1000); l.Adaptive.slots.Load() >= 100 {
			t.Errorf("with 100 %s that are late: got %d places, want fewer", what, l.Adaptive.slots.Load())
		}
	}
}

func TestAServiceThatIsUnevenIsNotTakenForAFullOne(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]func() time.Duration{
		"one quick answer in a hundred": func() time.Duration {
			if rand.IntN(100) == 0 {
				return time.Millisecond
			}
			return 400 * time.Millisecond
		},
		"one to nine seconds": func() time.Duration { return time.Second + time.Duration(rand.Int64N(int64(8*time.Second))) },
		"always two seconds":  constant(2 * time.Second),
	} {
		if _, refused := newBusy(1000).run(100, time.Minute, work); refused > 0 {
			t.Errorf("%s: %d are refused, want none", name, refused)
		}
	}
}

func TestPollsThatWaitForTheirEventAreNotLate(t *testing.T) {
	t.Parallel()
	l := newBusy(1000)
	l.run(10, time.Minute, func() time.Duration { return []time.Duration{50 * time.Millisecond, 30 * time.Second}[rand.IntN(2)] })
	if _, refused := l.run(10, 2*time.Minute, constant(30*time.Second)); refused > 0 {
		t.Errorf("in a quiet hour %d are refused", refused)
	}
}

func TestAServiceThatBecameSlowerByItselfIsLetGoOn(t *testing.T) {
	t.Parallel()
	l := newBusy(1000)
	l.run(200, 10*time.Second, constant(20*time.Millisecond))
	l.run(200, 15*time.Second, constant(700*time.Millisecond))
	if _, refused := l.run(200, 10*time.Second, constant(700*time.Millisecond)); refused > 0 {
		t.Errorf("%d are refused, want none once its time is known", refused)
	}
}

func TestRequestsWithoutATokenFillAPartOfThePlaces(t *testing.T) {
	t.Parallel()
	const share = 75
	var p Adaptive
	for i := range share {
		if !p.acquire(100, share, true) {
			t.Fatalf("the %dth is refused", i+1)
		}
	}
	if p.acquire(100, share, true) {
		t.Error("without a token one more is let in")
	}
	for i := range 25 {
		if !p.acquire(100, 100, true) {
			t.Fatalf("with a token, the %dth is refused", i+1)
		}
	}
	if p.acquire(100, 100, true) || p.inFlight.Load() != 100 {
		t.Errorf("got %d places taken, want 100", p.inFlight.Load())
	}
}

// TestAServiceWhoseFirstRequestIsAnUploadIsNotFullAfterIt answers a request that took no place while its body was to
// come. One place was left then, and who had no token was refused until others had made more.
func TestAServiceWhoseFirstRequestIsAnUploadIsNotFullAfterIt(t *testing.T) {
	t.Parallel()
	const share = 75
	l := newBusy(1)
	l.join(true)
	l.release(true)
	l.Answered(&l.base, time.Millisecond, l.now, l.places)
	for n := range l.places * share / 100 {
		if !l.acquire(l.places, share, true) {
			t.Fatalf("%d places are taken of %d, and there is no more", n, l.places)
		}
	}
}
