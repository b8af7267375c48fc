package storage

import (
	"testing"
	"time"
)

const day = 24 * time.Hour

// clocks is a process whose wall clock a test may set.
type clocks struct {
	horizon Horizon
	truth   time.Time
	off     time.Duration // of the wall clock
}

func newClocks() *clocks {
	truth := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	return &clocks{horizon: Horizon{At: truth}, truth: truth}
}

func (c *clocks) wall() time.Time { return c.truth.Add(c.off) }

// run lets the process run, with a look at the clock every minute.
func (c *clocks) run(d time.Duration) {
	for ; d > 0; d -= time.Minute {
		c.truth = c.truth.Add(time.Minute)
		c.horizon = c.horizon.Advance(time.Minute, c.wall())
	}
}

// down is a time in which the process does not run; what it knew of the week of doubt is kept.
func (c *clocks) down(d time.Duration) {
	c.truth = c.truth.Add(d)
	c.horizon = c.horizon.Advance(0, c.wall())
}

// wantPast checks that nothing is forgotten before its time, and that at most lag is remembered too long.
func (c *clocks) wantPast(t *testing.T, when string, lag time.Duration) {
	t.Helper()
	past, newest := c.horizon.Past(c.wall()), c.truth.Add(-horizonMargin)
	if past.After(newest) {
		t.Errorf("%s: forgets up to %v, want nothing after %v", when, past, newest)
	}
	if past.Before(newest.Add(-lag)) {
		t.Errorf("%s: forgets up to %v, want at most %v before %v", when, past, lag, newest)
	}
}

func TestAClockThatIsOffForAWhileMakesNothingForgotten(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{
		"an hour ahead": time.Hour, "an hour behind": -time.Hour, "8 days ahead": 8 * day, "8 days behind": -8 * day,
		"in 2038": 12 * 365 * day, "in 2040": 14 * 365 * day, "in 1970": -56 * 365 * day,
	} {
		for _, kind := range []string{"while running", "across a start"} {
			c := newClocks()
			c.run(day)
			c.wantPast(t, name+", before", 0)
			c.off = off
			if kind == "across a start" {
				c.down(0)
			}
			c.run(2 * day)
			c.wantPast(t, name+", "+kind, 60*365*day)
			c.off = 0
			if kind == "across a start" {
				c.down(0)
			}
			c.wantPast(t, name+", set right, "+kind, 3*day)
			c.run(8 * day)
			c.wantPast(t, name+", a week later, "+kind, 0)
		}
	}
}

func TestAClockThatGoesBackAndForthIsNeverBelieved(t *testing.T) {
	t.Parallel()
	c := newClocks()
	for range 20 {
		for _, off := range []time.Duration{8 * day, -8 * day, 0, time.Hour, 14 * 365 * day} {
			c.off = off
			c.run(time.Hour)
			c.wantPast(t, "back and forth", 60*365*day)
		}
	}
}

func TestALongTimeOffIsCaughtUpWithAfterAWeekOfRunning(t *testing.T) {
	t.Parallel()
	c := newClocks()
	c.down(30 * day)
	c.run(6 * day)
	c.wantPast(t, "six days after a month off", 30*day)
	c.run(2 * day)
	c.wantPast(t, "eight days after a month off", 0)
}

func TestAProcessThatRunsAnHourADayForgetsToo(t *testing.T) {
	t.Parallel()
	c := newClocks()
	for range 400 {
		c.down(23 * time.Hour)
		c.run(time.Hour)
	}
	c.wantPast(t, "400 days of an hour each", 400*day)
	if lag := c.truth.Sub(c.horizon.At); lag > 340*day {
		t.Errorf("the horizon is %v behind after 400 days, want it to follow", lag)
	}
}

func TestAStoreThatWasMadeWithAWrongClockFindsTheTime(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-56 * 365 * day, 14 * 365 * day} {
		c := newClocks()
		c.horizon.At = c.truth.Add(off)
		c.run(8 * day)
		c.wantPast(t, "made with a clock off by "+off.String(), 0)
	}
}
