package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/storage"
)

// RunMoves moves data sets from one driver to another, or the same. Both seal with the same key.
func RunMoves(t *testing.T, from, to func(t *testing.T) Bench) {
	suites := []map[string]func(*testing.T, *move){moves(), copies()}
	for _, suite := range suites {
		for name, test := range suite {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, &move{newFixture(t, from(t)), newFixture(t, to(t))})
			})
		}
	}
}

func moves() map[string]func(*testing.T, *move) {
	return map[string]func(*testing.T, *move){
		"a snapshot that is loaded is the same data set":  moveEverything,
		"loading again changes nothing":                   loadTwice,
		"an openid keeps its id":                          loadAnotherID,
		"an id keeps its openid":                          loadAnotherOpenID,
		"an erased user does not come back":               loadErased,
		"a revocation is not replaced by another":         loadAnotherRevocation,
		"links move with their accounts":                  moveLinks,
		"a damaged record is refused":                     loadDamaged,
		"a snapshot is of one moment":                     snapshotWhileOthersWrite,
		"a snapshot ends with the error of who takes it":  snapshotRefused,
		"a snapshot of nothing is a header":               snapshotOfNothing,
		"more than a page of everything is in a snapshot": snapshotOfPages,
	}
}

// move is from one store to another.
type move struct{ from, to *fixture }

func (f *fixture) snapshot() (all []storage.Record) {
	f.t.Helper()
	f.must(f.Snapshot(f.ctx, func(r storage.Record) error {
		all = append(all, r)
		return nil
	}))
	return all
}

// content is what a snapshot has but a header and epochs, which are of a process too.
func content(records []storage.Record) (lines []string) {
	for _, r := range records {
		if r.Kind != storage.KindHeader && r.Kind != storage.KindEpoch {
			lines = append(lines, fmt.Sprintf("%v %q %q", r.Kind, r.Name, r.Data))
		}
	}
	return lines
}

func headerOf(t *testing.T, records []storage.Record) (h storage.Header) {
	t.Helper()
	if len(records) == 0 || records[0].Kind != storage.KindHeader {
		t.Fatalf("got no header first of %d records", len(records))
	}
	if err := records[0].Decode(&h); err != nil {
		t.Fatal(err)
	}
	return h
}

// fill writes something of every kind: 5 users, of whom 2 was erased and 4 is banned.
func (f *fixture) fill() {
	f.t.Helper()
	f.RecordEvents(true)
	for i, openID := range []string{"oABC", "oGone", "oabc", "oBanned", "oUnion"} {
		l := f.as(openID, fmt.Sprint("s", i+1))
		l.Change = func(u *storage.User) error {
			u.Nickname, u.Bio = "小明 👋\x00\"}", strings.Repeat("字", 500)
			return nil
		}
		if i == 4 {
			l.UnionID, l.SessionKey.Key, l.Change = "union", "", nil
		}
		f.login(l)
	}
	f.must(f.SetPhone(f.ctx, 1, storage.Phone{Number: "13580006666", PureNumber: "13580006666", CountryCode: "86"}))
	f.must(f.SaveServerToken(f.ctx, "wx1", "token", f.now().Add(time.Hour)))
	f.erase(2)
	_, err := f.Revoke(f.ctx, f.revocation(storage.ScopeUser, "4"))
	f.must(err)
	_, err = rotate(f, "token of s1", "rotated")
	f.must(err)
	_, err = f.EndSession(f.ctx, "s4", f.now(), f.now().Add(time.Hour))
	f.must(err)
	_, err = f.ReserveUserIDs(f.ctx, 20)
	f.must(err)
	f.delete(3, time.Hour)
	f.delete(5, time.Hour)
	back := f.as("oUnion", "s5b")
	back.TakeBack = true
	f.login(back)
}

func moveEverything(t *testing.T, m *move) {
	m.from.fill()
	all := m.from.snapshot()
	kinds := map[storage.Kind]bool{}
	for _, r := range all {
		kinds[r.Kind] = true
	}
	for _, kind := range storage.Kinds() {
		want(t, fmt.Sprintf("a snapshot has %v", kind), kinds[kind], true)
	}
	want(t, "the records are in the order of their kinds", slices.IsSortedFunc(all, func(a, b storage.Record) int {
		return slices.Index(storage.Kinds(), a.Kind) - slices.Index(storage.Kinds(), b.Kind)
	}), true)
	h := headerOf(t, all)
	want(t, "id of the store", h.StoreID, m.from.ID())
	want(t, "users", h.Users, 19)

	m.to.must(m.to.Load(m.to.ctx, all))
	for range 2 {
		wantList(t, "what was loaded", content(m.to.snapshot()), content(all))
		m.to.wantMoved(m.from)
		m.to.reopen()
	}
	want(t, "the id of a new user", m.to.login(m.to.as("oGone", "new")).User.ID, 20)
	recorded, err := m.to.Revoke(m.to.ctx, m.to.revocation(storage.ScopeToken, "x"))
	m.to.must(err)
	want(t, "the Seq of a new revocation", recorded[0].Seq, h.Revocations+1)
}

// wantMoved looks at the store as a gateway does.
func (f *fixture) wantMoved(from *fixture) {
	f.t.Helper()
	for _, openID := range []string{"oABC", "oabc", "oBanned", "oUnion"} {
		was, err := from.UserByOpenID(f.ctx, "wx1", openID)
		f.must(err)
		is, err := f.UserByOpenID(f.ctx, "wx1", openID)
		f.must(err)
		want(f.t, "user "+openID, is, was)
		wasSessions, err := from.sessions(was.ID)
		f.must(err)
		isSessions, err := f.sessions(is.ID)
		f.must(err)
		wantList(f.t, "sessions of "+openID, isSessions, wasSessions)
		wasKeys, err := from.SessionKeys(f.ctx, was.ID)
		f.must(err)
		isKeys, err := f.SessionKeys(f.ctx, is.ID)
		f.must(err)
		wantList(f.t, "session_keys of "+openID, isKeys, wasKeys)
		want(f.t, "event of "+openID, f.waiting(is.ID), from.waiting(was.ID))
	}
	f.wantErased(2)
	phone, err := f.Phone(f.ctx, 1)
	f.must(err)
	want(f.t, "phone number", phone.PureNumber, "13580006666")
	token, _, err := f.ServerToken(f.ctx, "wx1")
	f.must(err)
	want(f.t, "server token", token, "token")
	union, err := f.UsersByUnionID(f.ctx, "union")
	f.must(err)
	want(f.t, "users of a person", len(union), 1)
	was, err := from.Revocations(f.ctx, 0, 1000)
	f.must(err)
	is, err := f.Revocations(f.ctx, 0, 1000)
	f.must(err)
	wantList(f.t, "revocations", is, was)
	issued, err := f.Issued(f.ctx, from.Epoch(), from.now())
	f.must(err)
	want(f.t, "tokens of before are known", issued, true)
	issued, err = f.Issued(f.ctx, from.Epoch(), from.now().Add(time.Hour))
	f.must(err)
	want(f.t, "tokens of after are not", issued, false)
}

// waiting is the event that a service must be told next about a user, and leaves it to others.
func (f *fixture) waiting(userID int64) storage.Event {
	f.t.Helper()
	next, err := f.NextEvent(f.ctx, userID)
	f.must(err)
	f.must(next.GiveUp(f.ctx))
	return next.Event
}

func loadTwice(t *testing.T, m *move) {
	m.from.fill()
	all := m.from.snapshot()
	m.to.must(m.to.Load(m.to.ctx, all))
	once := m.to.snapshot()
	m.to.must(m.to.Load(m.to.ctx, all))
	twice := m.to.snapshot()
	wantList(t, "records", content(twice), content(once))
	want(t, "number of records", len(twice), len(once))
}

// loadUsers loads users as they would be in a snapshot.
func (f *fixture) loadUsers(users ...storage.UserRecord) error {
	f.t.Helper()
	var all []storage.Record
	for _, u := range users {
		r, err := storage.NewRecord(storage.KindUser, u)
		f.must(err)
		all = append(all, r)
	}
	return f.Load(f.ctx, all)
}

func recordOf(id int64, openID string) storage.UserRecord {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return storage.UserRecord{User: storage.User{ID: id, AppID: "wx1", OpenID: openID, CreatedAt: at, UpdatedAt: at}}
}

func loadAnotherID(_ *testing.T, m *move) {
	m.to.login(m.to.as("oABC", "s1"))
	m.to.wantErr("an openid under another id", m.to.loadUsers(recordOf(7, "oOther"), recordOf(8, "oABC")), storage.ErrConflict)
	_, err := m.to.User(m.to.ctx, 7)
	m.to.wantErr("what was loaded with it", err, storage.ErrNotFound)
	m.to.must(m.to.loadUsers(recordOf(7, "oOther"), recordOf(8, "oabc")))
}

func loadAnotherOpenID(_ *testing.T, m *move) {
	m.to.login(m.to.as("oABC", "s1"))
	m.to.wantErr("another openid under an id", m.to.loadUsers(recordOf(1, "oOther")), storage.ErrConflict)
	_, err := m.to.UserByOpenID(m.to.ctx, "wx1", "oABC")
	m.to.must(err)
}

func loadErased(t *testing.T, m *move) {
	u := m.to.login(m.to.as("oABC", "s1")).User
	m.to.erase(1)
	m.to.wantErr("an erased user", m.to.loadUsers(storage.UserRecord{User: u}), storage.ErrConflict)
	m.to.wantErased(1)
	m.to.must(m.to.loadUsers(storage.UserRecord{User: storage.User{ID: 1}, Erased: true}, storage.UserRecord{User: storage.User{ID: 9}, Erased: true}))
	m.to.wantErased(9)
	want(t, "the id of a new user", m.to.login(m.to.as("oABC", "s2")).User.ID, 10)
}

func loadAnotherRevocation(t *testing.T, m *move) {
	_, err := m.from.Revoke(m.from.ctx, m.from.revocation(storage.ScopeToken, "a"))
	m.from.must(err)
	_, err = m.to.Revoke(m.to.ctx, m.to.revocation(storage.ScopeToken, "b"))
	m.to.must(err)
	m.to.wantErr("another under the same Seq", m.to.Load(t.Context(), m.from.snapshot()), storage.ErrConflict)
	m.to.wantRevoked(0, "b")
}

func moveLinks(t *testing.T, m *move) {
	f := m.from
	f.login(f.through("wx1", "u", "s1"))
	f.login(f.through("wx2", "u", "s2"))
	f.login(f.through("wx3", "u", "s3"))
	_, err := f.Unlink(f.ctx, 3)
	f.must(err)
	f.RecordEvents(true)
	f.login(f.through("wx4", "u", "s4"))
	all := f.snapshot()
	m.to.must(m.to.Load(m.to.ctx, all))
	wantList(t, "what was loaded", content(m.to.snapshot()), content(all))
	m.to.RecordEvents(true)
	m.to.wantUser("a login", m.to.login(m.to.through("wx2", "u", "s5")), 1, 2)
	m.to.wantUser("one of who was unlinked", m.to.login(m.to.through("wx3", "u", "s6")), 3, 3)
	m.to.must(m.to.next(4).Told(t.Context())) // created
	_, err = m.to.next(4).Linked(t.Context(), storage.Linking{})
	m.to.must(err)
	m.to.wantSessions(1, "s1", "s2", "s5")
	m.to.erase(1)
	for _, id := range []int64{1, 2, 4} {
		m.to.wantErased(id)
	}
}

func loadDamaged(t *testing.T, m *move) {
	for _, kind := range storage.Kinds() {
		if kind != storage.KindSecret {
			m.to.wantErr(fmt.Sprint(kind), m.to.Load(t.Context(), []storage.Record{{Kind: kind, Data: []byte(`{"id":`)}}), storage.ErrDamaged)
		}
	}
	m.to.wantErr("an unknown kind", m.to.Load(t.Context(), []storage.Record{{Kind: '?', Data: []byte("{}")}}), storage.ErrNewerSchema)
	m.to.wantErr("a user without an id", m.to.loadUsers(recordOf(0, "oABC")), storage.ErrDamaged)
	want(t, "what was loaded", len(content(m.to.snapshot())), 0)
}

// snapshotWhileOthersWrite takes a snapshot that is slow, and looks whether it is as if nobody had written meanwhile.
func snapshotWhileOthersWrite(t *testing.T, m *move) {
	f := m.from
	for i := range 600 {
		f.login(f.as(numberedID("before", i), numberedID("sb", i)))
	}
	logins, stop := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for i := 0; ; i++ {
			if _, err := f.Login(context.WithoutCancel(f.ctx), f.as(numberedID("during", i), numberedID("sd", i))); err != nil {
				t.Errorf("a login during a snapshot: %v", err)
				return
			}
			select {
			case <-stop:
				return
			case logins <- struct{}{}:
			}
		}
	})
	<-logins
	var ids []int64
	counts := map[storage.Kind]int{}
	var h storage.Header
	f.must(f.Snapshot(f.ctx, func(r storage.Record) error {
		switch counts[r.Kind]++; r.Kind {
		case storage.KindHeader:
			return r.Decode(&h)
		case storage.KindUser:
			var u storage.UserRecord
			if err := r.Decode(&u); err != nil {
				return err
			}
			ids = append(ids, u.ID)
			if u.ID%50 == 0 {
				<-logins // one more has happened
			}
		}
		return nil
	}))
	close(stop)
	group.Wait()
	want(t, "users counted in the header", h.Users, uint64(len(ids)))
	want(t, "the last of the users", ids[len(ids)-1], int64(len(ids)))
	want(t, "secrets", counts[storage.KindSecret], len(ids))
	want(t, "sessions", counts[storage.KindSession], len(ids))
	now, err := f.Users(f.ctx, int64(len(ids)), 1000)
	f.must(err)
	if len(now) < 5 {
		t.Errorf("got %d users who came during the snapshot, want some: nothing was tested", len(now))
	}
}

func snapshotRefused(t *testing.T, m *move) {
	m.from.login(m.from.as("oABC", "s1"))
	enough := errors.New("enough")
	seen := 0
	err := m.from.Snapshot(t.Context(), func(storage.Record) error {
		seen++
		return enough
	})
	m.from.wantErr("the error", err, enough)
	want(t, "records", seen, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.from.wantErr("a context that has ended", m.from.Snapshot(ctx, func(storage.Record) error { return nil }), context.Canceled)
}

func snapshotOfNothing(t *testing.T, m *move) {
	want(t, "records", len(m.from.snapshot()), 1)
	m.to.must(m.to.Load(t.Context(), nil))
}

func snapshotOfPages(t *testing.T, m *move) {
	const many = 1100
	for i := range many {
		m.from.login(m.from.as(numberedID("o", i), numberedID("s", i)))
	}
	for i := range many {
		_, err := m.from.Revoke(m.from.ctx, m.from.revocation(storage.ScopeToken, fmt.Sprint(i)))
		m.from.must(err)
	}
	all := m.from.snapshot()
	want(t, "records", len(content(all)), 4*many)
	m.to.must(m.to.Load(t.Context(), all))
	wantList(t, "what was loaded", content(m.to.snapshot()), content(all))
}
