package storagetest

import (
	"errors"
	"testing"
	"time"

	"wxgate/storage"
)

func sessions() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"a session comes back as it began":                      sessionRoundTrip,
		"sessions are listed oldest first, of one user":         sessionsInOrder,
		"a long list comes in pages":                            sessionsInPages,
		"a session has one revocation of its replaced tokens":   rotationsInOne,
		"an ended session has no other revocation":              rotationEnds,
		"a session is gone when it expires":                     sessionExpires,
		"a session that is extended lives longer":               sessionExtended,
		"a session and its revocations change together":         updateSessionRevokes,
		"a refused change of a session changes nothing":         updateSessionError,
		"of 50 rotations of one token at once one wins":         rotateAtOnce,
		"an ended session is gone and revoked":                  endOne,
		"ending a session that is gone revokes it all the same": endTwice,
		"an ended session cannot be changed or started again":   endedStaysEnded,
		"a session that ended before it began cannot begin":     endedBeforeItBegan,
		"ending all sessions of a user leaves the others'":      endAll,
		"the same login again is the same session":              loginTwice,
		"a login cannot take the session of another user":       loginForeignSession,
	}
}

func sessionRoundTrip(t *testing.T, f *fixture) {
	in := f.login(f.as("oABC", "s1"))
	read, err := f.Session(f.ctx, "s1")
	f.must(err)
	want(t, "session", read, in.Session)
	_, err = f.Session(f.ctx, "s2")
	f.wantErr("an unknown session", err, storage.ErrNotFound)
	_, err = f.Session(f.ctx, "")
	f.wantErr("no session", err, storage.ErrNotFound)
}

// wantSessions checks the sessions of the user.
func (f *fixture) wantSessions(userID int64, want ...string) {
	f.t.Helper()
	living, err := f.sessions(userID)
	f.must(err)
	var got []string
	for _, s := range living {
		got = append(got, s.ID)
	}
	wantList(f.t, "sessions", got, want)
}

func sessionsInOrder(_ *testing.T, f *fixture) {
	for _, sid := range []string{"z", "a", "m"} {
		f.login(f.as("oABC", sid))
		f.bench.Clock.Advance(time.Second)
	}
	f.login(f.as("oDEF", "other"))
	f.wantSessions(1, "z", "a", "m")
	f.wantSessions(2, "other")
	f.wantSessions(3)
}

func sessionsInPages(t *testing.T, f *fixture) {
	var all, got []string
	for i := range 25 {
		if i%3 == 0 { // some began in the same moment
			f.bench.Clock.Advance(time.Second)
		}
		all = append(all, numberedID("s", i))
		f.login(f.as("oABC", all[i]))
	}
	var after storage.SessionCursor
	for range 6 {
		page, err := f.Sessions(f.ctx, 1, after, 6)
		f.must(err)
		for _, s := range page {
			got, after = append(got, s.ID), s.Cursor()
		}
	}
	wantList(t, "all pages", got, all)
	_, err := f.EndSession(f.ctx, all[5], f.now(), f.now().Add(time.Hour))
	f.must(err)
	fifth := f.as("", all[5]).Session
	fifth.CreatedAt = f.now().Add(-7 * time.Second)
	page, err := f.Sessions(f.ctx, 1, fifth.Cursor(), 3) // the place stays when the session is gone
	f.must(err)
	want(t, "the page behind a session that is gone", page[0].ID, all[6])
}

// rotateAt replaces the token of the session as a refresh does.
func (f *fixture) rotateAt(id string, from time.Time) {
	f.t.Helper()
	_, err := f.UpdateSession(f.ctx, id, func(s *storage.Session) ([]storage.Revocation, error) {
		replaced := f.revocation(storage.ScopeSession, id)
		replaced.Before, replaced.Spare, replaced.From = f.now(), s.RefreshedAt, from
		s.RefreshedAt = f.now()
		return []storage.Revocation{replaced}, nil
	})
	f.must(err)
}

func rotationsInOne(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.login(f.as("oABC", "s2"))
	for range 50 {
		f.bench.Clock.Advance(time.Second)
		f.rotateAt("s1", f.now())
		f.rotateAt("s2", f.now())
	}
	for range 2 {
		found, err := f.Revocations(f.ctx, 0, 1000)
		f.must(err)
		want(t, "revocations", len(found), 2)
		want(t, "the newest of s1", found[0].Seq, uint64(99))
		want(t, "before", found[0].Before, f.now())
		f.reopen()
	}
}

func rotationEnds(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.bench.Clock.Advance(time.Second)
	f.rotateAt("s1", f.now())
	_, err := f.EndSession(f.ctx, "s1", f.now(), f.now().Add(time.Hour))
	f.must(err)
	found, err := f.Revocations(f.ctx, 0, 1000)
	f.must(err)
	want(t, "revocations", len(found), 1)
	want(t, "before", found[0].Before.IsZero(), true)
}

func sessionExpires(_ *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.bench.Clock.Advance(59 * time.Minute)
	f.wantSessions(1, "s1")
	f.bench.Clock.Advance(time.Minute)
	f.wantSessions(1)
	_, err := f.Session(f.ctx, "s1")
	f.wantErr("an expired session", err, storage.ErrNotFound)
}

func sessionExtended(_ *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	_, err := f.UpdateSession(f.ctx, "s1", func(s *storage.Session) ([]storage.Revocation, error) {
		s.ExpiresAt = s.ExpiresAt.Add(time.Hour)
		return nil, nil
	})
	f.must(err)
	f.bench.Clock.Advance(90 * time.Minute)
	f.wantSessions(1, "s1")
	f.bench.Clock.Advance(time.Hour)
	f.wantSessions(1)
}

// errLost is what the losers of a rotation get; nothing changes it.
var errLost = errors.New("another token is current")

// rotate replaces the token of the session and revokes the old one, unless another token is current.
func rotate(f *fixture, current, next string) (storage.Session, error) {
	return f.UpdateSession(f.ctx, "s1", func(s *storage.Session) ([]storage.Revocation, error) {
		if s.TokenID != current {
			return nil, errLost
		}
		s.PreviousTokenID, s.TokenID = s.TokenID, next
		s.ID, s.UserID = "other", 99
		return []storage.Revocation{f.revocation(storage.ScopeToken, current)}, nil
	})
}

func updateSessionRevokes(t *testing.T, f *fixture) {
	l := f.as("oABC", "s1")
	f.login(l)
	changed, err := rotate(f, "token of s1", "t2")
	f.must(err)
	expected := l.Session
	expected.UserID, expected.TokenID, expected.PreviousTokenID = 1, "t2", "token of s1"
	want(t, "session", changed, expected)
	read, err := f.Session(f.ctx, "s1")
	f.must(err)
	want(t, "session read back", read, expected)
	f.wantRevoked(0, "token of s1")
}

func updateSessionError(t *testing.T, f *fixture) {
	in := f.login(f.as("oABC", "s1"))
	_, err := f.UpdateSession(f.ctx, "s1", func(s *storage.Session) ([]storage.Revocation, error) {
		s.TokenID = "x"
		return []storage.Revocation{f.revocation(storage.ScopeToken, "x")}, errLost
	})
	f.wantErr("a refused change", err, errLost)
	read, err := f.Session(f.ctx, "s1")
	f.must(err)
	want(t, "session", read, in.Session)
	f.wantRevoked(0)
}

func rotateAtOnce(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	won := make(chan string, 50)
	together(t, 50, func(i int) error {
		s, err := rotate(f, "token of s1", numberedID("t", i))
		if errors.Is(err, errLost) {
			return nil
		}
		won <- s.TokenID
		return err
	})
	want(t, "winners", len(won), 1)
	read, err := f.Session(f.ctx, "s1")
	f.must(err)
	want(t, "token", read.TokenID, <-won)
}

func endOne(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.login(f.as("oABC", "s2"))
	until := f.now().Add(time.Hour)
	ended, err := f.EndSession(f.ctx, "s1", f.now(), until)
	f.must(err)
	want(t, "revocation", ended,
		storage.Revocation{Seq: 1, Scope: storage.ScopeSession, ID: "s1", From: f.now(), Until: until})
	f.wantSessions(1, "s2")
	f.wantRevoked(0, "s1")
	_, err = f.Session(f.ctx, "s1")
	f.wantErr("an ended session", err, storage.ErrNotFound)
}

func endTwice(t *testing.T, f *fixture) {
	for i := range 2 {
		ended, err := f.EndSession(f.ctx, "never was", f.now(), f.now().Add(time.Hour))
		f.must(err)
		want(t, "seq", ended.Seq, uint64(i+1))
	}
	f.wantRevoked(0, "never was", "never was")
}

func endedStaysEnded(t *testing.T, f *fixture) {
	l := f.as("oABC", "s1")
	f.login(l)
	_, err := f.EndSession(f.ctx, "s1", f.now(), f.now().Add(time.Hour))
	f.must(err)
	_, err = rotate(f, "token of s1", "t2")
	f.wantErr("changing an ended session", err, storage.ErrNotFound)
	if _, err := f.Login(f.ctx, l); err == nil {
		t.Error("a login with an ended session: got no error")
	}
	f.reopen()
	f.wantSessions(1)
}

func endedBeforeItBegan(_ *testing.T, f *fixture) {
	_, err := f.EndSession(f.ctx, "s1", f.now(), f.now().Add(2*time.Hour))
	f.must(err)
	f.bench.Clock.Advance(90 * time.Minute)
	f.reopen()
	if _, err := f.Login(f.ctx, f.as("oABC", "s1")); err == nil {
		f.t.Error("a login with an ended session: got no error")
	}
	f.login(f.as("oABC", "s2"))
	_, err = f.BeginSession(f.ctx, f.session(1, "s1"), 0)
	f.wantErr("beginning an ended session", err, storage.ErrNotFound)
	f.wantSessions(1, "s2")
}

func endAll(t *testing.T, f *fixture) {
	for _, sid := range []string{"s1", "s2", "s3"} {
		f.login(f.as("oABC", sid))
	}
	f.login(f.as("oDEF", "other"))
	ended, err := f.EndSessions(f.ctx, 1, f.now(), f.now().Add(time.Hour))
	f.must(err)
	want(t, "ended", len(ended), 3)
	f.wantSessions(1)
	f.wantSessions(2, "other")
	f.wantRevoked(0, "s1", "s2", "s3")
	ended, err = f.EndSessions(f.ctx, 1, f.now(), f.now().Add(time.Hour))
	f.must(err)
	want(t, "ended again", len(ended), 0)
}

func loginTwice(t *testing.T, f *fixture) {
	l := f.as("oABC", "s1")
	first := f.login(l)
	second := f.login(l)
	want(t, "created", second.Created, false)
	want(t, "session", second.Session, first.Session)
	f.wantSessions(1, "s1")
	f.wantKeys(1, "key of s1")
}

func loginForeignSession(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	if in, err := f.Login(f.ctx, f.as("oDEF", "s1")); err == nil {
		t.Errorf("a login with the session of another: got %+v, want an error", in)
	}
	f.wantSessions(1, "s1")
}
