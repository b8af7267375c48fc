package limit

import (
	"testing"
	"time"
)

func TestPressureIsFewSlotsLeftOrALateProcess(t *testing.T) {
	t.Parallel()
	var load Load
	var late time.Duration
	p, now := NewPressure(&load), time.Now()
	p.ours = func() time.Duration { return late }
	want := func(what string, most int, want bool) {
		t.Helper()
		if got := p.High(now, most); got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	for range 7 {
		load.inFlight.acquire(10, 100)
	}
	want("7 of 10 slots", 10, false)
	load.inFlight.acquire(10, 100)
	want("8 of 10 slots", 10, true)
	want("8 slots without a limit", 0, false)
	late = pressureLag
	want("late, between two looks", 0, false)
	now = now.Add(pressureLook)
	want("late", 0, true)
	late = pressureLag - 1
	want("late before, between two looks", 0, true)
	now = now.Add(pressureLook)
	want("in time again", 0, false)
}

// TestPressureLooksAtThisProcess reads the real scheduler.
func TestPressureLooksAtThisProcess(t *testing.T) {
	t.Parallel()
	p := NewPressure(new(Load))
	p.High(time.Now(), 0)
	if p.looked.IsZero() {
		t.Error("nothing was looked at")
	}
}
