package storagetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"wxgate/storage"
)

func events() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"nothing is recorded unless asked for":                    nothingRecorded,
		"a first login is one event, and survives":                firstLoginIsAnEvent,
		"changes wait as one event behind the first":              changesWaitAsOne,
		"counters, repeated logins and imports are no events":     silentChanges,
		"an erasure is all that is left to tell":                  erasureReplacesEvents,
		"an event that was told twice ends only itself":           toldTwice,
		"an event is delivered by one opening at a time":          deliveredByOne,
		"a login that was held is the first one in the end":       heldLoginIsNew,
		"users with events are listed in pages":                   usersWithEvents,
		"telling again is an event for everybody but the erased":  tellAgain,
		"a held login starts no session until the event was told": heldLogin,
		"a change that fails records nothing":                     failedChangeRecordsNothing,
	}
}

// next is the next event of a user, or a zero one.
func (f *fixture) next(userID int64) *storage.Delivery {
	f.t.Helper()
	next, err := f.NextEvent(f.ctx, userID)
	if errors.Is(err, storage.ErrNotFound) {
		return new(storage.Delivery)
	}
	f.must(err)
	return next
}

// tell returns the types of all events of a user, and notes each as told.
func (f *fixture) tell(userID int64) (types []storage.EventType) {
	f.t.Helper()
	for {
		next := f.next(userID)
		if next.ID == "" {
			return types
		}
		types = append(types, next.Type)
		f.must(next.Told(f.ctx))
	}
}

func (f *fixture) rename(userID int64, nickname string) {
	f.t.Helper()
	_, err := f.UpdateUser(f.ctx, userID, func(u *storage.User) error { u.Nickname = nickname; return nil })
	f.must(err)
}

func nothingRecorded(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.rename(1, "a")
	f.RecordEvents(true)
	f.RecordEvents(false)
	f.rename(1, "b")
	wantTypes(t, f.tell(1))
	ids, err := f.UsersToTell(f.ctx, 0, 10)
	f.must(err)
	want(t, "users to tell about", len(ids), 0)
}

func wantTypes(t *testing.T, got []storage.EventType, wanted ...storage.EventType) {
	t.Helper()
	if !slices.Equal(got, wanted) {
		t.Errorf("events are %v, want %v", got, wanted)
	}
}

func firstLoginIsAnEvent(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	l := f.as("oABC", "s1")
	l.Change = func(u *storage.User) error { u.Nickname = "小红"; return nil }
	f.login(l)
	want(t, "who is news", <-f.News(), 1)
	before := f.next(1)
	want(t, "nickname of the event", before.User.Nickname, "小红")
	f.must(before.GiveUp(f.ctx))
	f.reopen()
	want(t, "event after a restart", f.next(1).Event, before.Event)
	wantTypes(t, f.tell(1), storage.EventCreated)
}

func changesWaitAsOne(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.as("oABC", "s1"))
	first := f.next(1)
	for _, nickname := range []string{"a", "b", "c"} {
		f.rename(1, nickname)
	}
	f.must(f.SetPhone(f.ctx, 1, storage.Phone{PureNumber: "13800000000"}))
	again := f.next(1)
	want(t, "the first event after the changes", again.ID, first.ID)
	want(t, "the user that it is delivered with", again.User.Nickname, "c")
	wantTypes(t, f.tell(1), storage.EventCreated, storage.EventUpdated)
	l := f.as("oABC", "s2")
	l.UnionID = "union"
	f.login(l)
	wantTypes(t, f.tell(1), storage.EventUpdated)
}

func silentChanges(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.as("oABC", "s1"))
	f.tell(1)
	f.login(f.as("oABC", "s2"))
	_, err := f.UpdateUser(f.ctx, 1, func(u *storage.User) error { u.RecipeCount++; return nil })
	f.must(err)
	wantTypes(t, f.tell(1))
	f.importUser(known(42, "oOld"))
	wantTypes(t, f.tell(42))
}

func erasureReplacesEvents(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.as("oABC", "s1"))
	first := f.next(1)
	f.rename(1, "a")
	_, err := f.EraseUser(f.ctx, 1, f.now(), f.now())
	f.must(err)
	f.must(first.Told(f.ctx)) // it was on its way
	next := f.next(1)
	want(t, "type", next.Type, storage.EventErased)
	want(t, "user", next.User, storage.User{ID: 1})
	wantTypes(t, f.tell(1), storage.EventErased)
}

func toldTwice(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.as("oABC", "s1"))
	first := f.next(1)
	f.rename(1, "a")
	for range 2 {
		f.must(first.Told(f.ctx))
	}
	wantTypes(t, f.tell(1), storage.EventUpdated)
}

func deliveredByOne(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	f.login(f.as("o1", "s1"))
	f.login(f.as("o2", "s2"))
	f.must(f.next(1).GiveUp(f.ctx))
	stopped := f.next(2)
	if left := stopped.Left(); left <= 0 || left > 10*time.Second {
		t.Errorf("an event is ours for %v", left)
	}
	f.reopen()
	f.RecordEvents(true)
	_, err := f.NextEvent(f.ctx, 2)
	f.wantLeased("an event that another opening delivers", err)
	leases, err := f.Temporaries(f.ctx, "lease ", 10)
	f.must(err)
	want(t, "whether leases are kept", len(leases) > 0, f.bench.Shared)
	wantTypes(t, f.tell(1), storage.EventCreated)
	f.elapse(func() bool { _, err := f.NextEvent(f.ctx, 2); return err == nil })
	again := f.next(2)
	want(t, "id of the event", again.ID, stopped.ID)
	wantTypes(t, f.tell(2), storage.EventCreated)
}

func heldLoginIsNew(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	in := func(sid string) storage.LoginResult {
		l := f.as("oABC", sid)
		l.Hold = true
		return f.login(l)
	}
	want(t, "the user is new", in("s1").Created, true)
	want(t, "at the second attempt too", in("s2").Held, true)
	f.tell(1)
	f.reopen()
	f.RecordEvents(true)
	want(t, "new at the first login that succeeds", in("s3").Created, true)
	want(t, "new at the one after it", in("s4").Created, false)
	wantList(t, "sessions that ended", idsOf(in("s5").Ended), nil)
	f.wantSessions(1, "s3", "s4", "s5")
}

func usersWithEvents(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	for _, openID := range []string{"o1", "o2", "o3", "o4", "o5"} {
		f.login(f.as(openID, "s"+openID))
	}
	f.tell(3)
	first, err := f.UsersToTell(f.ctx, 0, 3)
	f.must(err)
	rest, err := f.UsersToTell(f.ctx, 4, 3)
	f.must(err)
	if !slices.Equal(first, []int64{1, 2, 4}) || !slices.Equal(rest, []int64{5}) {
		t.Errorf("the pages are %v and %v, want [1 2 4] and [5]", first, rest)
	}
}

func tellAgain(t *testing.T, f *fixture) {
	for _, openID := range []string{"o1", "o2", "o3"} {
		f.login(f.as(openID, "s"+openID))
	}
	_, err := f.EraseUser(f.ctx, 2, f.now(), f.now())
	f.must(err)
	ids, err := f.TellAgain(f.ctx, 0, 10)
	f.must(err)
	if !slices.Equal(ids, []int64{1, 3}) {
		t.Errorf("got %v, want [1 3]", ids)
	}
	wantTypes(t, f.tell(3), storage.EventUpdated)
}

func heldLogin(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	held := func(sid string) storage.LoginResult {
		l := f.as("oABC", sid)
		l.Hold = true
		return f.login(l)
	}
	first, again := held("s1"), held("s2")
	want(t, "held", first.Held && again.Held, true)
	want(t, "the same user", again.User.ID, first.User.ID)
	sessions, err := f.sessions(1)
	f.must(err)
	want(t, "sessions", len(sessions), 0)
	untold, err := f.Untold(f.ctx, 1)
	f.must(err)
	want(t, "untold", untold, true)
	want(t, "the id of somebody else", f.login(f.as("oOther", "s3")).User.ID, 2)
	f.tell(1)
	f.rename(1, "a") // a change holds nobody
	last := held("s4")
	want(t, "held after it was told", last.Held, false)
	want(t, "session", last.Session.ID, "s4")
}

func failedChangeRecordsNothing(t *testing.T, f *fixture) {
	f.RecordEvents(true)
	l := f.as("oABC", "s1")
	l.Change = func(*storage.User) error { return errors.New("refused") }
	if _, err := f.Login(f.ctx, l); err == nil {
		t.Fatal("the login was not refused")
	}
	ids, err := f.UsersToTell(f.ctx, 0, 10)
	f.must(err)
	want(t, "users to tell about", len(ids), 0)
}
