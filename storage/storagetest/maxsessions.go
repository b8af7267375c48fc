package storagetest

import (
	"slices"
	"testing"
	"time"

	"wxgate/storage"
)

func maxSessions() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"the oldest session ends when one too many begins":       oldestEnds,
		"without a limit no session ends":                        noLimit,
		"a lower limit ends several sessions, oldest first":      lowerLimit,
		"ended and expired sessions take no room":                roomOfTheDead,
		"the session that begins stays, however old it looks":    newestByClockOnly,
		"the limit is for each user":                             limitForEach,
		"the same login again ends no more":                      limitTwice,
		"of 64 logins at once with room for one, one is left":    oneOfMany,
		"of 64 logins at once with room for five, five are left": fiveOfMany,
	}
}

// loginMax logs oABC in, a second later than before, with room for so many sessions, and returns what ended.
func (f *fixture) loginMax(sid string, most int) []storage.Revocation {
	f.t.Helper()
	f.bench.Clock.Advance(time.Second)
	l := f.as("oABC", sid)
	l.MaxSessions = most
	return f.login(l).Ended
}

func idsOf(revoked []storage.Revocation) (ids []string) {
	for _, r := range revoked {
		ids = append(ids, r.ID)
	}
	return ids
}

func oldestEnds(t *testing.T, f *fixture) {
	for _, sid := range []string{"z", "a"} {
		wantList(t, "ended", f.loginMax(sid, 2), nil)
	}
	first, err := f.Session(f.ctx, "z")
	f.must(err)
	ended := f.loginMax("m", 2)
	wantList(t, "ended", ended, []storage.Revocation{
		{Seq: 1, Scope: storage.ScopeSession, ID: "z", From: f.now(), Until: first.ExpiresAt},
	})
	f.reopen()
	f.wantSessions(1, "a", "m")
	f.wantRevoked(0, "z")
	_, err = rotate(f, "token of z", "t2")
	f.wantErr("refreshing what ended", err, storage.ErrNotFound)
}

func noLimit(t *testing.T, f *fixture) {
	for i := range 20 {
		wantList(t, "ended", f.loginMax(numberedID("s", i), 0), nil)
	}
	living, err := f.sessions(1)
	f.must(err)
	want(t, "sessions", len(living), 20)
}

func lowerLimit(t *testing.T, f *fixture) {
	for _, sid := range []string{"d", "c", "b", "a"} {
		f.loginMax(sid, 0)
	}
	wantList(t, "ended", idsOf(f.loginMax("new", 2)), []string{"d", "c", "b"})
	f.wantSessions(1, "a", "new")
	wantList(t, "ended with room for one", idsOf(f.loginMax("newer", 1)), []string{"a", "new"})
	f.wantSessions(1, "newer")
}

func roomOfTheDead(t *testing.T, f *fixture) {
	f.loginMax("expires", 2)
	f.bench.Clock.Advance(time.Hour)
	f.loginMax("ends", 2)
	_, err := f.EndSession(f.ctx, "ends", f.now(), f.now().Add(time.Hour))
	f.must(err)
	wantList(t, "ended", f.loginMax("s1", 2), nil)
	wantList(t, "ended", f.loginMax("s2", 2), nil)
	f.wantSessions(1, "s1", "s2")
}

func newestByClockOnly(t *testing.T, f *fixture) {
	f.loginMax("s1", 1)
	l := f.as("oABC", "old")
	l.Session.CreatedAt, l.MaxSessions = f.now().Add(-time.Hour), 1
	wantList(t, "ended", idsOf(f.login(l).Ended), []string{"s1"})
	f.wantSessions(1, "old")
}

func limitForEach(t *testing.T, f *fixture) {
	f.loginMax("s1", 1)
	other := f.as("oDEF", "other")
	other.MaxSessions = 1
	wantList(t, "ended", f.login(other).Ended, nil)
	f.wantSessions(1, "s1")
	f.wantSessions(2, "other")
}

func limitTwice(t *testing.T, f *fixture) {
	f.loginMax("s1", 2)
	f.loginMax("s2", 2)
	wantList(t, "ended", f.loginMax("s2", 2), nil)
	wantList(t, "ended with the oldest again", idsOf(f.loginMax("s1", 1)), []string{"s2"})
	f.wantSessions(1, "s1")
}

func oneOfMany(t *testing.T, f *fixture) { someOfMany(t, f, 1) }

func fiveOfMany(t *testing.T, f *fixture) { someOfMany(t, f, 5) }

// someOfMany checks that each of 64 sessions either lives or was ended by exactly one login.
func someOfMany(t *testing.T, f *fixture, most int) {
	const n = 64
	endedBy := make(chan []storage.Revocation, n)
	together(t, n, func(i int) error {
		l := f.as("oABC", numberedID("s", i))
		l.MaxSessions = most
		in, err := f.Login(f.ctx, l)
		endedBy <- in.Ended
		return err
	})
	living, err := f.sessions(1)
	f.must(err)
	want(t, "living sessions", len(living), most)
	var all []string
	for _, s := range living {
		all = append(all, s.ID)
	}
	close(endedBy)
	for ended := range endedBy {
		all = append(all, idsOf(ended)...)
	}
	slices.Sort(all)
	for i := range n {
		want(t, "living or ended", all[i], numberedID("s", i))
	}
	want(t, "living and ended", len(all), n)
}
