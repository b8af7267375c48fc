package storagetest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/storage"
)

func temporary() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"a temporary value is there until its end":           temporaryEnds,
		"a temporary value is replaced and dropped":          temporaryChanges,
		"a change of a temporary value that fails is none":   temporaryFails,
		"names of temporary values are compared bytewise":    temporaryNames,
		"of 50 who claim a temporary value at once one does": temporaryClaims,
		"a temporary value beyond the bounds is refused":     temporaryBounds,
		"what a login yielded is found for a while":          loginOfOutcome,
		"a lease is had by one opening at a time":            leaseHeld,
		"a lease that is renewed outlives its first end":     leaseRenewed,
		"a gateway knows whether it is alone":                otherGateways,
	}
}

// put records a temporary value for an hour.
func (f *fixture) put(name, value string) {
	f.t.Helper()
	f.putFor(name, value, time.Hour)
}

func (f *fixture) putFor(name, value string, life time.Duration) {
	f.t.Helper()
	f.must(f.ChangeTemporary(f.ctx, name, func([]byte) ([]byte, time.Duration, error) { return []byte(value), life, nil }))
}

// wantTemporary checks what a name holds; "-" is nothing.
func (f *fixture) wantTemporary(name, want string) {
	f.t.Helper()
	got, err := f.Temporary(f.ctx, name)
	if errors.Is(err, storage.ErrNotFound) {
		got, err = []byte("-"), nil
	}
	f.must(err)
	if string(got) != want {
		f.t.Errorf("%q holds %q, want %q", name, got, want)
	}
}

// elapse lets time pass on every clock, that of a server too, until ended reports true.
func (f *fixture) elapse(ended func() bool) {
	f.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ended(); <-ticker.C {
		f.bench.Clock.Advance(5 * time.Millisecond)
		if time.Now().After(deadline) {
			f.t.Fatal("it has not ended after 20 s")
		}
	}
}

func (f *fixture) isGone(name string) func() bool {
	return func() bool {
		_, err := f.Temporary(f.ctx, name)
		return errors.Is(err, storage.ErrNotFound)
	}
}

func temporaryEnds(_ *testing.T, f *fixture) {
	f.wantTemporary("a", "-")
	f.put("a", "stays")
	f.putFor("b", "ends", 200*time.Millisecond)
	f.reopen()
	f.wantTemporary("a", "stays")
	f.elapse(f.isGone("b"))
	f.must(f.ChangeTemporary(f.ctx, "b", func(value []byte) ([]byte, time.Duration, error) {
		if value != nil {
			f.t.Errorf("a value that has ended is %q in a change, want none", value)
		}
		return []byte("again"), time.Hour, nil
	}))
	f.wantTemporary("b", "again")
	f.must(f.Forget(f.ctx))
	f.reopen()
	f.wantTemporary("a", "stays")
	f.wantTemporary("b", "again")
}

func temporaryChanges(_ *testing.T, f *fixture) {
	f.putFor("a", "one", time.Minute)
	f.must(f.ChangeTemporary(f.ctx, "a", func(value []byte) ([]byte, time.Duration, error) {
		return append(value, " and two"...), time.Hour, nil
	}))
	f.wantTemporary("a", "one and two")
	for range 2 {
		f.must(f.ChangeTemporary(f.ctx, "a", func([]byte) ([]byte, time.Duration, error) { return nil, 0, nil }))
		f.wantTemporary("a", "-")
	}
	f.put("a", "")
	f.wantTemporary("a", "")
}

func temporaryFails(t *testing.T, f *fixture) {
	f.put("a", "one")
	errOurs := errors.New("ours")
	err := f.ChangeTemporary(f.ctx, "a", func([]byte) ([]byte, time.Duration, error) { return []byte("two"), time.Hour, errOurs })
	f.wantErr("a change that fails", err, errOurs)
	if err := f.ChangeTemporary(f.ctx, "a", func([]byte) ([]byte, time.Duration, error) { panic("ours") }); err == nil {
		t.Error("a change that panics: got no error")
	}
	f.wantTemporary("a", "one")
}

func temporaryNames(t *testing.T, f *fixture) {
	for _, name := range []string{"a", "A", "a ", "a\x00", "ab", "a%", "b", "\xff\xfe"} {
		f.put(name, "value of "+name)
	}
	f.putFor("a over", "", time.Millisecond)
	f.elapse(f.isGone("a over"))
	for _, name := range []string{"a", "A", "a ", "a\x00", "\xff\xfe"} {
		f.wantTemporary(name, "value of "+name)
	}
	f.wantTemporary("á", "-")
	for prefix, want := range map[string][]string{
		"a": {"a", "a\x00", "a ", "a%", "ab"}, "a%": {"a%"}, "a_": nil, "\xff": {"\xff\xfe"}, "A": {"A"},
	} {
		names, err := f.Temporaries(f.ctx, prefix, 100)
		f.must(err)
		wantList(t, fmt.Sprintf("names with %q", prefix), names, want)
	}
	some, err := f.Temporaries(f.ctx, "a", 2)
	f.must(err)
	wantList(t, "two names", some, []string{"a", "a\x00"})
}

func temporaryClaims(t *testing.T, f *fixture) {
	var won atomic.Int64
	errTaken := errors.New("taken")
	together(t, 50, func(i int) error {
		err := f.ChangeTemporary(f.ctx, "a", func(value []byte) ([]byte, time.Duration, error) {
			if value != nil {
				return nil, 0, errTaken
			}
			return fmt.Append(nil, i), time.Hour, nil
		})
		if errors.Is(err, errTaken) {
			return nil
		}
		won.Add(1)
		return err
	})
	want(t, "who won", won.Load(), 1)
}

func temporaryBounds(t *testing.T, f *fixture) {
	for what, put := range map[string]func() (name string, value []byte, life time.Duration){
		"no name":             func() (string, []byte, time.Duration) { return "", nil, time.Hour },
		"a long name":         func() (string, []byte, time.Duration) { return strings.Repeat("n", 129), nil, time.Hour },
		"a long value":        func() (string, []byte, time.Duration) { return "a", make([]byte, 4097), time.Hour },
		"a long life":         func() (string, []byte, time.Duration) { return "a", nil, 7*day + 1 },
		"a life that is over": func() (string, []byte, time.Duration) { return "a", nil, -time.Hour },
	} {
		name, value, life := put()
		if err := f.ChangeTemporary(f.ctx, name, func([]byte) ([]byte, time.Duration, error) { return value, life, nil }); err == nil {
			t.Errorf("%s: got no error", what)
		}
	}
	f.wantTemporary("a", "-")
	name, value := strings.Repeat("n", 128), strings.Repeat("v", 4096)
	f.putFor(name, value, 7*day)
	f.wantTemporary(name, value)
}

func leaseHeld(t *testing.T, f *fixture) {
	lease := storage.NewLease(f.Store, "backup", 300*time.Millisecond)
	want(t, "left before", lease.Left(), 0)
	f.must(lease.Take(f.ctx))
	f.must(lease.Take(f.ctx))
	if left := lease.Left(); left <= 0 || left > 300*time.Millisecond {
		t.Errorf("%v of 300ms are left", left)
	}
	want(t, "whether other processes may be there", f.Shared(), f.bench.Shared)
	f.reopen()
	other := storage.NewLease(f.Store, "backup", time.Hour)
	if !f.bench.Shared { // who had it is gone
		f.must(other.Take(f.ctx))
		f.wantTemporary("lease backup", "-")
		f.must(other.Release(f.ctx))
		want(t, "left of a lease that was released", other.Left(), 0)
		return
	}
	f.wantErr("a lease of another", other.Take(f.ctx), storage.ErrLeased)
	f.must(other.Release(f.ctx))
	f.wantErr("a lease of another that was not ours to release", other.Take(f.ctx), storage.ErrLeased)
	want(t, "left of a lease of another", other.Left(), 0)
	f.must(storage.NewLease(f.Store, "another", time.Hour).Take(f.ctx))
	f.elapse(func() bool { return other.Take(f.ctx) == nil })
	want(t, "left of a lease that is over", lease.Left(), 0)
	f.must(other.Release(f.ctx))
	want(t, "left of a lease that was released", other.Left(), 0)
	f.reopen()
	f.must(storage.NewLease(f.Store, "backup", time.Hour).Take(f.ctx))
}

func leaseRenewed(_ *testing.T, f *fixture) {
	f.must(storage.NewLease(f.Store, "backup", 100*time.Millisecond).Take(f.ctx))
	f.must(storage.NewLease(f.Store, "other", 100*time.Millisecond).Take(f.ctx))
	f.must(storage.NewLease(f.Store, "backup", time.Hour).Take(f.ctx))
	f.reopen()
	f.elapse(func() bool { return storage.NewLease(f.Store, "other", time.Hour).Take(f.ctx) == nil })
	f.wantLeased("a lease that was renewed", storage.NewLease(f.Store, "backup", time.Hour).Take(f.ctx))
}

// wantLeased checks that a lease of the opening before still holds, where that may be another process.
func (f *fixture) wantLeased(what string, err error) {
	f.t.Helper()
	var want error
	if f.bench.Shared {
		want = storage.ErrLeased
	}
	f.wantErr(what, err, want)
}

func otherGateways(t *testing.T, f *fixture) {
	wantAlone := func(when string, wanted bool) {
		t.Helper()
		alone, err := f.Alone(f.ctx)
		f.must(err)
		want(t, when, alone, wanted || !f.bench.Shared)
	}
	keys := [][]byte{[]byte("key")}
	wantAlone("alone before anybody has joined", true)
	f.must(storage.JoinGateways(f.ctx, f.Store, "one", keys))
	wantAlone("alone with oneself", true)
	f.reopen()
	wantAlone("alone beside another", false)
	f.must(storage.JoinGateways(f.ctx, f.Store, "two", keys))
	wantAlone("alone as one of two", false)
	f.must(storage.LeaveGateways(f.ctx, f.Store))
	wantAlone("alone after leaving another", false)
}

func loginOfOutcome(t *testing.T, f *fixture) {
	in := func(outcome, sid string, life time.Duration) storage.LoginResult {
		l := f.as("oABC", sid)
		l.Outcome = storage.Outcome{Name: outcome, Life: life}
		return f.login(l)
	}
	first := in("one", "s1", time.Hour)
	in("two", "s2", 200*time.Millisecond)
	_, err := f.LoginOf(f.ctx, "three")
	f.wantErr("no such login", err, storage.ErrNotFound)
	f.rename(1, "a")
	f.reopen()
	found, err := f.LoginOf(f.ctx, "one")
	f.must(err)
	want(t, "session", found.Session, first.Session)
	want(t, "created", found.Created, true)
	want(t, "the user as they are now", found.User.Nickname, "a")
	f.elapse(func() bool { _, err := f.LoginOf(f.ctx, "two"); return errors.Is(err, storage.ErrNotFound) })
	_, err = f.EndSession(f.ctx, "s1", f.now(), f.now().Add(time.Hour))
	f.must(err)
	_, err = f.LoginOf(f.ctx, "one")
	f.wantErr("a login whose session has ended", err, storage.ErrNotFound)
	withoutSession := f.as("oDEF", "")
	withoutSession.Outcome = storage.Outcome{Name: "four", Life: time.Hour}
	f.login(withoutSession)
	found, err = f.LoginOf(f.ctx, "four")
	f.must(err)
	want(t, "the user of a login without a session", found.User.OpenID, "oDEF")
	want(t, "its session", found.Session.ID, "")
	_, err = f.EraseUser(f.ctx, found.User.ID, f.now(), f.now())
	f.must(err)
	_, err = f.LoginOf(f.ctx, "four")
	f.wantErr("a login of an erased user", err, storage.ErrNotFound)
}
