package storagetest

import (
	"fmt"
	"testing"
	"time"

	"wxgate/storage"
)

const day = 24 * time.Hour

func clocks() map[string]func(*testing.T, *fixture) {
	all := map[string]func(*testing.T, *fixture){
		"a session that ended and one that expired are forgotten in the end": forgetSessions,
		"a restart a minute after the other forgets nothing":                 restartOften,
	}
	for name, off := range map[string]time.Duration{
		"an hour": time.Hour, "8 days": 8 * day, "12 years": 12 * 365 * day, "14 years": 14 * 365 * day,
	} {
		all["a clock that is "+name+" ahead while running forgets nothing"] = clockOff(off, false)
		all["a clock that is "+name+" ahead at a start forgets nothing"] = clockOff(off, true)
		all["a clock that is "+name+" behind while running forgets nothing"] = clockOff(-off, false)
		all["a clock that is "+name+" behind at a start forgets nothing"] = clockOff(-off, true)
	}
	return all
}

// clockOff sets the clock, lets a day pass, and sets it right: whoever was banned or logged out still is, and who was not
// still has a session.
func clockOff(off time.Duration, restart bool) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) {
		f.login(f.as("oABC", "ended"))
		alive := f.as("oABC", "alive")
		alive.Session.ExpiresAt = f.now().Add(14 * day)
		f.login(alive)
		until := f.now().Add(3 * day)
		_, err := f.EndSession(f.ctx, "ended", f.now(), until)
		f.must(err)
		_, err = f.Revoke(f.ctx, storage.Revocation{Scope: storage.ScopeUser, ID: "1", From: f.now(), Until: until})
		f.must(err)
		f.bench.Clock.Set(off)
		if restart {
			f.reopen()
		}
		f.wantRevoked(0, "ended", "1")
		f.pass(day)
		f.wantRevoked(0, "ended", "1")
		f.bench.Clock.Set(-off)
		if restart {
			f.reopen()
		}
		f.must(f.Forget(f.ctx))
		f.wantRevoked(0, "ended", "1")
		f.wantSessions(1, "alive")
		_, err = f.BeginSession(f.ctx, f.session(1, "ended"), 0)
		f.wantErr("beginning an ended session", err, storage.ErrNotFound)
		f.wantPast(t, f.now())
	}
}

// wantPast checks that nothing is forgotten that ended a day ago or later.
func (f *fixture) wantPast(t *testing.T, now time.Time) {
	t.Helper()
	if past := f.Past(); past.After(now.Add(-day)) {
		t.Errorf("forgets up to %v, want nothing after %v", past, now.Add(-day))
	}
}

func forgetSessions(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "ends"))
	f.login(f.as("oABC", "expires"))
	_, err := f.EndSession(f.ctx, "ends", f.now(), f.now().Add(time.Hour))
	f.must(err)
	f.pass(3 * day)
	f.wantRevoked(0)
	begun := f.begin(f.session(1, "ends"), 0) // only an id that is forgotten can begin again
	want(t, "session", begun.Session.ID, "ends")
	f.wantSessions(1, "ends")
}

func restartOften(_ *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	_, err := f.EndSession(f.ctx, "s1", f.now(), f.now().Add(time.Hour))
	f.must(err)
	for range 20 {
		f.bench.Clock.Set(10 * day) // each start sees the clock further ahead
		f.reopen()
		f.must(f.Forget(f.ctx))
	}
	f.wantRevoked(0, "s1")
}

func epochs() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"tokens of this and earlier openings were issued":      issuedBefore,
		"an epoch that nobody knows has issued nothing":        issuedElsewhere,
		"an opening that issued no token leaves no trace":      issuedNothing,
		"an epoch is known as long as one of its sessions":     epochForgotten,
		"what a closed epoch issued ends with its last commit": issuedLater,
	}
}

// wantIssued checks whether the store issued tokens in that epoch at that time.
func (f *fixture) wantIssued(what, epoch string, at time.Time, want bool) {
	f.t.Helper()
	got, err := f.Issued(f.ctx, epoch, at)
	f.must(err)
	if got != want {
		f.t.Errorf("%s: issued is %t, want %t", what, got, want)
	}
}

func issuedBefore(_ *testing.T, f *fixture) {
	var known []string
	var times []time.Time
	for i := range 4 {
		f.login(f.as("oABC", numberedID("s", i)))
		known, times = append(known, f.Epoch()), append(times, f.now())
		f.bench.Clock.Advance(time.Minute)
		f.reopen()
		for i, epoch := range known {
			f.wantIssued(fmt.Sprint("epoch ", i), epoch, times[i], true)
		}
	}
}

func issuedElsewhere(_ *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.wantIssued("an unknown epoch", "EPOCHOFOTHERS", f.now(), false)
	f.wantIssued("no epoch", "", f.now(), false)
}

func issuedNothing(_ *testing.T, f *fixture) {
	silent := f.Epoch()
	f.reopen()
	f.wantIssued("an epoch without tokens", silent, f.now(), false)
	f.login(f.as("oABC", "s1"))
	f.wantIssued("the epoch of now", f.Epoch(), f.now(), true)
}

func issuedLater(_ *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	epoch, at := f.Epoch(), f.now()
	f.bench.Clock.Advance(time.Hour)
	f.reopen()
	f.login(f.as("oABC", "s2"))
	f.wantIssued("when it issued its last", epoch, at, true)
	f.wantIssued("a second after", epoch, at.Add(time.Second), false)
	f.reopen()
	f.wantIssued("a second after, reopened", epoch, at.Add(time.Second), false)
}

func epochForgotten(_ *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1")) // lives for an hour
	first, at := f.Epoch(), f.now()
	f.reopen()
	f.login(f.as("oABC", "s2"))
	f.pass(24 * time.Hour)
	f.wantIssued("a day later", first, at, true)
	f.pass(5 * day)
	f.reopen()
	f.wantIssued("six days later", first, at, false)
}
