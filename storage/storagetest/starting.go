package storagetest

import (
	"testing"
	"time"

	"wxgate/storage"
)

func startingSessions() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"a session begins without a login":                       beginOne,
		"a session that began before is found as it is now":      beginTwice,
		"of 50 beginnings of one session at once all find it":    beginAtOnce,
		"an ended session is not started again":                  beginEnded,
		"an expired session is not started again":                beginExpired,
		"a session needs an id and a user":                       beginIncomplete,
		"the session of another user is not found":               beginForeign,
		"a session that begins makes room, one that is found no": beginMakesRoom,
	}
}

// session is one of the user that lives for an hour.
func (f *fixture) session(userID int64, sid string) storage.Session {
	s := f.as("", sid).Session
	s.UserID = userID
	return s
}

func (f *fixture) begin(s storage.Session, most int) storage.SessionResult {
	f.t.Helper()
	begun, err := f.BeginSession(f.ctx, s, most)
	f.must(err)
	return begun
}

func beginOne(t *testing.T, f *fixture) {
	f.importUser(known(7, "oABC"))
	begun := f.begin(f.session(7, "s1"), 0)
	want(t, "begun", begun.Session, f.session(7, "s1"))
	want(t, "ended", len(begun.Ended), 0)
	f.reopen()
	read, err := f.Session(f.ctx, "s1")
	f.must(err)
	want(t, "session", read, begun.Session)
	f.wantSessions(7, "s1")
}

func beginTwice(t *testing.T, f *fixture) {
	f.importUser(known(1, "oABC"))
	f.begin(f.session(1, "s1"), 0)
	changed, err := rotate(f, "token of s1", "t2")
	f.must(err)
	f.bench.Clock.Advance(time.Minute)
	want(t, "begun again", f.begin(f.session(1, "s1"), 0).Session, changed)
	read, err := f.Session(f.ctx, "s1")
	f.must(err)
	want(t, "session", read, changed)
}

func beginAtOnce(t *testing.T, f *fixture) {
	f.importUser(known(1, "oABC"))
	tokens := make(chan string, 50)
	together(t, 50, func(i int) error {
		s := f.session(1, "s1")
		s.TokenID = numberedID("t", i)
		begun, err := f.BeginSession(f.ctx, s, 1)
		tokens <- begun.Session.TokenID
		return err
	})
	read, err := f.Session(f.ctx, "s1")
	f.must(err)
	close(tokens)
	for token := range tokens {
		want(t, "token", token, read.TokenID)
	}
	f.wantSessions(1, "s1")
	f.wantRevoked(0)
}

func beginEnded(_ *testing.T, f *fixture) {
	f.importUser(known(1, "oABC"))
	f.begin(f.session(1, "s1"), 0)
	_, err := f.EndSession(f.ctx, "s1", f.now(), f.now().Add(time.Hour))
	f.must(err)
	for range 2 {
		_, err = f.BeginSession(f.ctx, f.session(1, "s1"), 0)
		f.wantErr("an ended session", err, storage.ErrNotFound)
		f.wantSessions(1)
		f.reopen()
	}
}

func beginExpired(_ *testing.T, f *fixture) {
	f.importUser(known(1, "oABC"))
	f.begin(f.session(1, "s1"), 0)
	f.bench.Clock.Advance(time.Hour)
	_, err := f.BeginSession(f.ctx, f.session(1, "s1"), 0)
	f.wantErr("an expired session", err, storage.ErrNotFound)
}

func beginIncomplete(t *testing.T, f *fixture) {
	f.importUser(known(1, "oABC"))
	if _, err := f.BeginSession(f.ctx, f.session(1, ""), 0); err == nil {
		t.Error("a session without an id: got no error")
	}
	for _, id := range []int64{-1, 0, 2} {
		_, err := f.BeginSession(f.ctx, f.session(id, "s1"), 0)
		f.wantErr("a session of nobody", err, storage.ErrNotFound)
	}
	_, err := f.Session(f.ctx, "s1")
	f.wantErr("session", err, storage.ErrNotFound)
}

func beginForeign(_ *testing.T, f *fixture) {
	f.importUser(known(1, "oABC"))
	f.importUser(known(2, "oDEF"))
	f.begin(f.session(1, "s1"), 0)
	_, err := f.BeginSession(f.ctx, f.session(2, "s1"), 1)
	f.wantErr("the session of another", err, storage.ErrNotFound)
	f.wantSessions(1, "s1")
	f.wantSessions(2)
}

func beginMakesRoom(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.bench.Clock.Advance(time.Second)
	f.login(f.as("oABC", "s2"))
	f.bench.Clock.Advance(time.Second)
	wantList(t, "ended", idsOf(f.begin(f.session(1, "s3"), 2).Ended), []string{"s1"})
	wantList(t, "ended by finding", idsOf(f.begin(f.session(1, "s2"), 1).Ended), nil)
	f.wantSessions(1, "s2", "s3")
}
