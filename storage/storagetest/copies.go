package storagetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxgate/storage"
)

func copies() map[string]func(*testing.T, *move) {
	return map[string]func(*testing.T, *move){
		"a copy is the same data set, and a second one changes nothing": copyTwice,
		"a second copy brings what the source has done since":           copyWhatChanged,
		"a copy that is cut off serves nobody, and is continued":        copyCutOff,
		"a copy does not replace another data set":                      copyOverAnother,
		"a copy and a gateway keep out each other":                      copyWhileServing,
		"a copy does not take back what was issued on an earlier one":   copyOverUsed,
		"a store is filled by one process at a time":                    copyTwiceAtOnce,
		"who had the store open before a copy writes nothing after it":  copyUnderAFrozenGateway,
	}
}

// copy copies, and looks at the copy as a gateway does.
func (m *move) copy() storage.Copied {
	m.to.t.Helper()
	done, err := storage.Copy(m.to.ctx, m.from.Store, m.to.Store, func(int64) {})
	m.to.must(err)
	m.to.reopen()
	m.to.must(m.to.Complete())
	want(m.to.t, "the id of the data set", m.to.ID(), m.from.ID())
	return done
}

func copyTwice(t *testing.T, m *move) {
	m.from.fill()
	for range 2 {
		done := m.copy()
		want(t, "users", done.Users, 4)
		want(t, "records of users", done.Records["users"], 5)
		want(t, "users who differ", done.Differed, 0)
		want(t, "users who were erased", done.Erased, 0)
		m.to.wantMoved(m.from)
	}
	issued, err := m.to.Issued(m.to.ctx, m.from.Epoch(), m.from.now())
	m.to.must(err)
	want(t, "tokens of the source are known", issued, true)
	want(t, "the id of a new user", m.to.login(m.to.as("oNew", "new")).User.ID, 20)
}

func copyWhatChanged(t *testing.T, m *move) {
	m.from.fill()
	m.copy()
	m.from.login(m.from.as("oLater", "s6"))
	_, err := m.from.UpdateUser(m.from.ctx, 1, func(u *storage.User) error { u.Nickname = "another"; return nil })
	m.from.must(err)
	_, err = m.from.EndSession(m.from.ctx, "s1", m.from.now(), m.from.now().Add(time.Hour))
	m.from.must(err)
	m.from.erase(3)
	next, err := m.from.NextEvent(m.from.ctx, 5)
	m.from.must(err)
	m.from.must(next.Told(m.from.ctx))

	done := m.copy()
	want(t, "users who differ", done.Differed, 1)
	wantList(t, "who differ", done.DifferedID, []int64{1})
	want(t, "users who were erased", done.Erased, 1)
	_, err = m.to.User(m.to.ctx, 3)
	m.to.wantErr("the erased user", err, storage.ErrNotFound)
	_, err = m.to.Session(m.to.ctx, "s1")
	m.to.wantErr("the session that ended", err, storage.ErrNotFound)
	_, err = m.to.Session(m.to.ctx, "s3")
	m.to.wantErr("the session of the erased user", err, storage.ErrNotFound)
	_, err = m.to.NextEvent(m.to.ctx, 5)
	m.to.wantErr("the event that was told", err, storage.ErrNotFound)
	for _, id := range []int64{1, 4, 5, 20} {
		was, err := m.from.User(m.from.ctx, id)
		m.from.must(err)
		is, err := m.to.User(m.to.ctx, id)
		m.to.must(err)
		want(t, "a user", is, was)
	}
}

func copyCutOff(t *testing.T, m *move) {
	m.from.fill()
	ctx, cancel := context.WithCancel(m.to.ctx)
	_, err := storage.Copy(ctx, m.from.Store, m.to.Store, func(int64) { cancel() })
	m.to.wantErr("a copy that is cut off", err, context.Canceled)
	for range 2 {
		m.to.wantErr("serving a part of it", m.to.Complete(), storage.ErrIncomplete)
		m.to.reopen()
	}
	_, err = storage.Copy(m.to.ctx, m.to.Store, m.from.Store, func(int64) {})
	m.to.wantErr("copying a part of it", err, storage.ErrIncomplete)
	m.copy()
	m.to.wantMoved(m.from)
}

func copyWhileServing(t *testing.T, m *move) {
	m.from.fill()
	keys := [][]byte{[]byte("key")}
	m.to.must(storage.JoinGateways(m.to.ctx, m.to.Store, "gateway-1", keys))
	id := m.to.ID()
	_, err := storage.Copy(m.to.ctx, m.from.Store, m.to.Store, func(int64) {})
	m.to.wantErr("a copy while a gateway is running", err, storage.ErrServing)
	if !strings.Contains(fmt.Sprint(err), "on gateway-1: stop every gateway first; if that one was killed, wait ") {
		t.Errorf("got %v, want what to do", err)
	}
	want(t, "the id of the target", m.to.ID(), id)
	m.to.must(storage.LeaveGateways(m.to.ctx, m.to.Store))
	_, err = storage.Copy(m.to.ctx, m.from.Store, m.to.Store, func(int64) {
		m.to.wantErr("a gateway that had the store open", storage.JoinGateways(m.to.ctx, m.to.Store, "gateway-1", keys), storage.ErrIncomplete)
	})
	m.to.must(err)
	m.to.must(storage.JoinGateways(m.to.ctx, m.to.Store, "gateway-1", keys))
	_, err = storage.Copy(m.to.ctx, m.from.Store, m.to.Store, func(int64) {})
	m.to.wantErr("another copy while a gateway is running", err, storage.ErrServing)
}

// another is a second opening of the target, beside the first; where there can be none, it is refused.
func (m *move) another() (*storage.Store, bool) {
	m.to.t.Helper()
	other, err := m.to.bench.Open()
	if !m.to.bench.Shared {
		m.to.wantErr("opening it twice", err, storage.ErrLocked)
		return nil, false
	}
	m.to.must(err)
	m.to.t.Cleanup(func() { m.to.must(other.Close()) })
	return other, true
}

func copyTwiceAtOnce(_ *testing.T, m *move) {
	m.from.fill()
	refused := func(when string) {
		other, opened := m.another()
		if !opened {
			return
		}
		_, err := storage.Copy(m.to.ctx, m.from.Store, other, func(int64) {})
		m.to.wantErr(when+" a copy of the same", err, storage.ErrFilling)
		_, err = storage.BeginFill(m.to.ctx, other, "backup 1")
		m.to.wantErr(when+" a restore", err, storage.ErrFilling)
	}
	_, err := storage.Copy(m.to.ctx, m.from.Store, m.to.Store, func(int64) { refused("during a copy") })
	m.to.must(err)
	m.to.reopen()
	m.to.wantMoved(m.from)
	if other, opened := m.another(); opened {
		_, err = storage.Copy(m.to.ctx, m.from.Store, other, func(int64) {})
		m.to.must(err)
	}
}

func copyUnderAFrozenGateway(t *testing.T, m *move) {
	m.from.fill()
	gateway, opened := m.another()
	if !opened {
		return
	}
	keys := [][]byte{[]byte("key")}
	m.to.must(storage.BeginServing(m.to.ctx, gateway))
	m.to.must(storage.JoinGateways(m.to.ctx, gateway, "gateway-1", keys))
	m.to.must(storage.LeaveGateways(m.to.ctx, gateway)) // as if it had not said for 90 s that it is there
	wantNothing := func(when string) {
		t.Helper()
		_, err := gateway.Login(m.to.ctx, m.to.as("oFrozen", "frozen"))
		m.to.wantErr(when+" a login", err, storage.ErrReplaced)
		m.to.wantErr(when+" a login", err, storage.ErrUnavailable)
		m.to.wantErr(when+" a lease", storage.NewLease(gateway, "backup", time.Hour).Take(m.to.ctx), storage.ErrReplaced)
	}
	_, err := storage.Copy(m.to.ctx, m.from.Store, m.to.Store, func(int64) { wantNothing("during the copy") })
	m.to.must(err)
	wantNothing("after the copy")
	m.to.wantErr("joining again", storage.JoinGateways(m.to.ctx, gateway, "gateway-1", keys), storage.ErrReplaced)
	m.to.reopen()
	m.to.wantMoved(m.from)
	m.to.must(storage.BeginServing(m.to.ctx, m.to.Store))
	wantNothing("once another one serves")
	want(t, "the id of a new user", m.to.login(m.to.as("oNew", "new")).User.ID, 20)
}

func copyOverAnother(t *testing.T, m *move) {
	m.from.fill()
	m.to.login(m.to.as("oOther", "other"))
	id, before := m.to.ID(), content(m.to.snapshot())
	_, err := storage.Copy(m.to.ctx, m.from.Store, m.to.Store, func(int64) {})
	m.to.wantErr("a copy over another data set", err, storage.ErrNotEmpty)
	want(t, "the id of the target", m.to.ID(), id)
	wantList(t, "the target", content(m.to.snapshot()), before)
}

func copyOverUsed(t *testing.T, m *move) {
	m.from.fill()
	m.copy()
	m.copy()
	m.to.must(storage.BeginServing(m.to.ctx, m.to.Store))
	for name, use := range map[string]func() error{ // none of which issues a token
		"nothing": func() error { return nil },
		"a profile": func() error {
			_, err := m.to.UpdateUser(m.to.ctx, 1, func(u *storage.User) error { u.Nickname = "on the copy"; return nil })
			return err
		},
		"a ban": func() error {
			_, err := m.to.Revoke(m.to.ctx, m.to.revocation(storage.ScopeUser, "5"))
			return err
		},
	} {
		m.to.must(use())
		m.to.reopen()
		before := content(m.to.snapshot())
		if _, err := storage.Copy(m.to.ctx, m.from.Store, m.to.Store, func(int64) {}); !errors.Is(err, storage.ErrNotEmpty) {
			t.Errorf("a copy over one that has served, and changed %s: got %v, want a conflict", name, err)
		}
		m.to.must(storage.BeginServing(m.to.ctx, m.to.Store))
		want(t, "the id of the target", m.to.ID(), m.from.ID())
		wantList(t, "the target", content(m.to.snapshot()), before)
	}
}
