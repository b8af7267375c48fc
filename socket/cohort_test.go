package socket

import (
	"testing"
	"time"
)

func TestACohortWaitsOnlyInAProcessThatIsShortOfCPU(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	at := func(wall, cpu time.Duration) usage { return usage{time.Hour + cpu, begin.Add(wall)} }
	for _, test := range []struct {
		name string
		now  usage
		cpus int
		want bool
	}{
		{"one CPU in use", at(10*time.Millisecond, 9*time.Millisecond), 1, true},
		{"a fifth left", at(10*time.Millisecond, 8*time.Millisecond), 1, true},
		{"a third left", at(9*time.Millisecond, 6*time.Millisecond), 1, false},
		{"one of two in use", at(10*time.Millisecond, 10*time.Millisecond), 2, false},
		{"both in use", at(10*time.Millisecond, 19*time.Millisecond), 2, true},
		{"idle for long", at(time.Hour, 10*time.Millisecond), 1, false},
	} {
		c := Cohort{last: at(0, 0)}
		c.short.Store(!test.want)
		if c.look(test.now, test.cpus); c.short.Load() != test.want {
			t.Errorf("%s: short is %v, want %v", test.name, !test.want, test.want)
		}
	}
}

func TestACohortPausesAfterALongYield(t *testing.T) {
	t.Parallel()
	c := Cohort{last: usage{time.Hour, time.Now()}}
	busy := func() {
		c.look(usage{c.last.cpu + 9*time.Millisecond, c.last.at.Add(10 * time.Millisecond)}, 1)
	}
	busy()
	if !c.short.Load() {
		t.Fatal("a busy process is not short of CPU")
	}
	c.pause()
	for i := range cohortPause {
		if busy(); c.short.Load() {
			t.Fatalf("it yields again after %d looks, want %d", i+1, cohortPause)
		}
	}
	if busy(); !c.short.Load() {
		t.Error("it never yields again")
	}
}

// TestACohortLooksAsItJoins also measures the real process: the time of its CPU goes on.
func TestACohortLooksAsItJoins(t *testing.T) {
	t.Parallel()
	var c Cohort
	for range 3 * cohortLook {
		c.Join()
	}
	if c.last.at.IsZero() {
		t.Error("nothing was looked at")
	}
	if now := processCPU(); c.last.cpu > now {
		t.Errorf("%v of CPU time were used, and now %v", c.last.cpu, now)
	}
}

func BenchmarkCohort(b *testing.B) {
	var c Cohort
	b.ReportAllocs()
	for b.Loop() {
		c.Join()
	}
}
