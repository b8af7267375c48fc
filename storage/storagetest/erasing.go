package storagetest

import (
	"sync"
	"testing"
	"time"

	"wxgate/storage"
)

func erasing() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"of an erased user nothing is found":                      eraseForgets,
		"erasing ends the sessions and revokes the user":          eraseRevokes,
		"an erased person comes back as a new user":               eraseAndComeBack,
		"erasing an unknown or erased user finds nobody":          eraseNobody,
		"an erased user begins no session":                        eraseAndBegin,
		"erasing one user leaves the others":                      eraseOne,
		"of 20 erasures of one user at once one finds it":         eraseAtOnce,
		"logins and erasures at once leave one user or none":      eraseWhileLoggingIn,
		"erasing a user with an imported id keeps it from others": eraseImported,
	}
}

// erase erases the user; its revocations last for an hour.
func (f *fixture) erase(id int64) []storage.Revocation {
	f.t.Helper()
	ended, err := f.EraseUser(f.ctx, id, f.now(), f.now().Add(time.Hour))
	f.must(err)
	return ended
}

// delete asks for the erasure of a user, and returns when it is due.
func (f *fixture) delete(userID int64, in time.Duration) time.Time {
	f.t.Helper()
	at, err := f.PutDeletion(f.ctx, storage.Deletion{UserID: userID, At: f.now().Add(in)})
	f.must(err)
	return at
}

// wantErased checks that nothing is found of the user.
func (f *fixture) wantErased(id int64) {
	f.t.Helper()
	_, err := f.User(f.ctx, id)
	f.wantErr("user", err, storage.ErrNotFound)
	_, err = f.UpdateUser(f.ctx, id, func(*storage.User) error { return nil })
	f.wantErr("changing the user", err, storage.ErrNotFound)
	_, err = f.SessionKeys(f.ctx, id)
	f.wantErr("session_keys", err, storage.ErrNotFound)
	f.wantSessions(id)
}

func eraseForgets(_ *testing.T, f *fixture) {
	l := f.as("oABC", "s1")
	l.Change = func(u *storage.User) error { u.Nickname, u.Bio = "小明", "b"; return nil }
	f.login(l)
	f.erase(1)
	for range 2 {
		f.wantErased(1)
		_, err := f.Session(f.ctx, "s1")
		f.wantErr("session", err, storage.ErrNotFound)
		_, err = rotate(f, "token of s1", "t2")
		f.wantErr("refreshing the session", err, storage.ErrNotFound)
		f.wantUsers(0, 10)
		f.reopen()
	}
}

func eraseRevokes(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "z"))
	from, until := f.now(), f.now().Add(time.Hour)
	ended, err := f.EraseUser(f.ctx, 1, from, until)
	f.must(err)
	wantList(t, "ended", ended, []storage.Revocation{
		{Seq: 1, Scope: storage.ScopeSession, ID: "z", From: from, Until: until},
		{Seq: 2, Scope: storage.ScopeUser, ID: "1", From: from, Until: until},
	})
	f.reopen()
	found, err := f.Revocations(f.ctx, 0, 1000)
	f.must(err)
	wantList(t, "revocations", found, ended)
	more, err := f.EndSessions(f.ctx, 1, from, until)
	f.must(err)
	want(t, "sessions that were left", len(more), 0)
}

func eraseAndComeBack(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	for i := range 3 {
		f.erase(int64(i + 1))
		if i == 1 {
			f.reopen()
		}
		in := f.login(f.as("oABC", numberedID("s", i)))
		want(t, "created", in.Created, true)
		want(t, "user", in.User, storage.User{
			ID: int64(i + 2), AppID: "wx1", OpenID: "oABC", CreatedAt: f.now(), UpdatedAt: f.now(), Native: true,
		})
		f.wantErased(int64(i + 1))
		f.wantKeys(in.User.ID, "key of "+in.Session.ID)
		f.wantSessions(in.User.ID, in.Session.ID)
	}
}

func eraseNobody(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.erase(1)
	for _, id := range []int64{-1, 0, 1, 2, 1 << 53} {
		ended, err := f.EraseUser(f.ctx, id, f.now(), f.now().Add(time.Hour))
		f.wantErr("erasing nobody", err, storage.ErrNotFound)
		want(t, "ended", len(ended), 0)
	}
	f.wantRevoked(0, "s1", "1")
	want(t, "id of the next user", f.login(f.as("oDEF", "s2")).User.ID, 2)
}

func eraseAndBegin(_ *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.erase(1)
	_, err := f.BeginSession(f.ctx, f.session(1, "s2"), 0)
	f.wantErr("a session of an erased user", err, storage.ErrNotFound)
	f.wantSessions(1)
}

func eraseOne(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	other := f.login(f.as("oDEF", "other")).User
	f.erase(1)
	read, err := f.User(f.ctx, 2)
	f.must(err)
	want(t, "the other user", read, other)
	want(t, "its login", f.login(f.as("oDEF", "again")).User, other)
	f.wantSessions(2, "again", "other")
	f.wantKeys(2, "key of again", "key of other")
}

func eraseAtOnce(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	erased := make(chan []storage.Revocation, 20)
	together(t, 20, func(int) error {
		if ended, err := f.EraseUser(f.ctx, 1, f.now(), f.now().Add(time.Hour)); err == nil {
			erased <- ended
		}
		return nil
	})
	want(t, "erasures", len(erased), 1)
	want(t, "revocations", len(<-erased), 2)
}

func eraseWhileLoggingIn(t *testing.T, f *fixture) {
	var mu sync.Mutex
	var highest int64
	created := 0
	together(t, 32, func(i int) error {
		in, err := f.Login(f.ctx, f.as("oABC", numberedID("s", i)))
		if err != nil {
			return err
		}
		mu.Lock()
		highest = max(highest, in.User.ID)
		if in.Created {
			created++
		}
		mu.Unlock()
		_, _ = f.EraseUser(f.ctx, in.User.ID, f.now(), f.now().Add(time.Hour)) // another may have been first
		return nil
	})
	want(t, "ids given", highest, int64(created))
	f.wantUsers(0, 10)
	for id := range highest {
		f.wantErased(id + 1)
	}
}

func eraseImported(t *testing.T, f *fixture) {
	f.importUser(known(500, "oABC"))
	f.erase(500)
	f.reopen()
	want(t, "id of the next user", f.login(f.as("oABC", "s1")).User.ID, 501)
	f.wantErased(500)
}
