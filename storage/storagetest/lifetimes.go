package storagetest

import (
	"testing"
	"time"

	"wxgate/storage"
)

func lifetimes() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"everything is there after the store was reopened": reopenKeepsAll,
		"numbers go on after the store was reopened":       reopenGoesOn,
		"a closed store is unavailable":                    closedStore,
		"an open store is ready":                           openStore,
	}
}

func reopenKeepsAll(t *testing.T, f *fixture) {
	id := f.ID()
	in := f.login(f.as("oABC", "s1"))
	_, err := f.Revoke(f.ctx, f.revocation(storage.ScopeToken, "t"))
	f.must(err)
	for range 2 {
		f.reopen()
		want(t, "id of the store", f.ID(), id)
		read, err := f.User(f.ctx, 1)
		f.must(err)
		want(t, "user", read, in.User)
		session, err := f.Session(f.ctx, "s1")
		f.must(err)
		want(t, "session", session, in.Session)
		f.wantSessions(1, "s1")
		f.wantKeys(1, "key of s1")
		f.wantRevoked(0, "t")
	}
}

func reopenGoesOn(t *testing.T, f *fixture) {
	for i := range 5 {
		want(t, "id", f.login(f.as(numberedID("o", i), numberedID("s", i))).User.ID, int64(i+1))
		recorded, err := f.Revoke(f.ctx, f.revocation(storage.ScopeToken, "t"))
		f.must(err)
		want(t, "seq", recorded[0].Seq, uint64(i+1))
		f.reopen()
	}
}

func closedStore(_ *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.must(f.Close())
	f.must(f.Close())
	_, err := f.Login(f.ctx, f.as("oABC", "s2"))
	f.wantErr("login", err, storage.ErrUnavailable)
	_, err = f.User(f.ctx, 1)
	f.wantErr("user", err, storage.ErrUnavailable)
	_, err = f.EndSession(f.ctx, "s1", f.now(), f.now().Add(time.Hour))
	f.wantErr("ending a session", err, storage.ErrUnavailable)
	_, err = f.Revocations(f.ctx, 0, 1000)
	f.wantErr("revocations", err, storage.ErrUnavailable)
	f.wantErr("ready", f.Ready(f.ctx), storage.ErrUnavailable)
}

func openStore(_ *testing.T, f *fixture) { f.must(f.Ready(f.ctx)) }
