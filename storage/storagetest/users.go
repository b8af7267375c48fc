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

func users() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"a first login makes user 1":                              firstLogin,
		"a second login finds the user":                           secondLogin,
		"64 first logins at once make one user":                   firstLoginsAtOnce,
		"1000 logins of 100 openids make the ids 1 to 100":        denseIDs,
		"openids are compared bytewise":                           openIDsBytewise,
		"an appid and an openid cannot be read as two others":     openIDsDoNotRunTogether,
		"a login needs an appid and an openid":                    incompleteLogins,
		"a login without a session begins none":                   loginWithoutSession,
		"an empty unionid never clears a known one":               unionIDStays,
		"change at a login touches the profile alone":             changeAtLoginIsLimited,
		"emoji, NUL and nothing come back as they were":           oddText,
		"an unknown user is not found":                            unknownUser,
		"100 changes at once all count":                           updatesAtOnce,
		"a change that returns an error changes nothing":          updateError,
		"a change that panics is an error and changes nothing":    updatePanic,
		"a change cannot move a user to another id or openid":     updateKeepsIdentity,
		"a change stamps updated_at, a change of nothing doesn't": updateStamps,
		"a login that fails leaves no user and takes no id":       failedLogin,
		"a login whose change is refused leaves no trace":         refusedLogin,
		"a refused login leaves a known user as it was":           refusedLoginOfKnown,
		"a context that has ended is honoured":                    endedContext,
		"each mini-program of the users is listed once":           appIDs,
	}
}

func firstLogin(t *testing.T, f *fixture) {
	l := f.as("oABC", "s1")
	in := f.login(l)
	want(t, "created", in.Created, true)
	want(t, "user", in.User, storage.User{ID: 1, AppID: "wx1", OpenID: "oABC", CreatedAt: f.now(), UpdatedAt: f.now(), Native: true})
	l.Session.UserID = 1
	want(t, "session", in.Session, l.Session)
	read, err := f.User(f.ctx, 1)
	f.must(err)
	want(t, "user read back", read, in.User)
}

func appIDs(t *testing.T, f *fixture) {
	list := func(limit int) []string {
		t.Helper()
		ids, err := f.AppIDs(f.ctx, limit)
		f.must(err)
		slices.Sort(ids)
		return ids
	}
	want(t, "of nobody", len(list(10)), 0)
	for i, app := range []string{"wx1", "wx1", "wx11", "w", "wx1\xc3\xbf", "gone", "wx1"} {
		l := f.as(numberedID("o\xf4\x8f\xbf\xbf", i), numberedID("s", i))
		l.AppID = app
		f.login(l)
	}
	_, err := f.EraseUser(f.ctx, 6, f.now(), f.now().Add(time.Hour))
	f.must(err)
	want(t, "appids", fmt.Sprintf("%q", list(10)), `["w" "wx1" "wx11" "wx1ÿ"]`)
	want(t, "at most 2", len(list(2)), 2)
}

func secondLogin(t *testing.T, f *fixture) {
	first := f.login(f.as("oABC", "s1"))
	f.bench.Clock.Advance(time.Minute)
	second := f.login(f.as("oABC", "s2"))
	want(t, "created", second.Created, false)
	want(t, "user", second.User, first.User)
}

func firstLoginsAtOnce(t *testing.T, f *fixture) {
	var mu sync.Mutex
	created, ids := 0, map[int64]bool{}
	together(t, 64, func(i int) error {
		in, err := f.Login(f.ctx, f.as("oABC", numberedID("s", i)))
		mu.Lock()
		defer mu.Unlock()
		ids[in.User.ID] = true
		if in.Created {
			created++
		}
		return err
	})
	want(t, "users created", created, 1)
	want(t, "ids given", fmt.Sprint(ids), "map[1:true]")
	living, err := f.sessions(1)
	f.must(err)
	want(t, "sessions", len(living), 64)
}

func denseIDs(t *testing.T, f *fixture) {
	var mu sync.Mutex
	idOf := map[string]int64{}
	together(t, 50, func(worker int) error {
		for i := range 20 {
			openID := numberedID("o", (worker*20+i)%100)
			in, err := f.Login(f.ctx, f.as(openID, fmt.Sprintf("s-%d-%d", worker, i)))
			if err != nil {
				return err
			}
			mu.Lock()
			if known, ok := idOf[openID]; ok && known != in.User.ID {
				err = fmt.Errorf("%s is %d and %d", openID, known, in.User.ID)
			}
			idOf[openID] = in.User.ID
			mu.Unlock()
			if err != nil {
				return err
			}
		}
		return nil
	})
	ids := make([]int64, 0, len(idOf))
	for _, id := range idOf {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for i, id := range ids {
		want(t, "id in order", id, int64(i+1))
	}
	want(t, "users", len(ids), 100)
}

func openIDsBytewise(t *testing.T, f *fixture) {
	for i, openID := range []string{"oABC", "oabc", "oABC ", " oABC", "OABC", "oABÇ", "oABC\x00"} {
		in := f.login(f.as(openID, numberedID("s", i)))
		want(t, fmt.Sprintf("id of %q", openID), in.User.ID, int64(i+1))
		want(t, "openid", in.User.OpenID, openID)
	}
}

func openIDsDoNotRunTogether(t *testing.T, f *fixture) {
	one, other := f.as("bc", "s1"), f.as("c", "s2")
	one.AppID, other.AppID = "a", "ab"
	want(t, "id", f.login(one).User.ID, int64(1))
	want(t, "id of the other", f.login(other).User.ID, int64(2))
}

func incompleteLogins(t *testing.T, f *fixture) {
	for name, spoil := range map[string]func(*storage.Login){
		"appid":  func(l *storage.Login) { l.AppID = "" },
		"openid": func(l *storage.Login) { l.OpenID = "" },
	} {
		l := f.as("oABC", "s1")
		spoil(&l)
		if in, err := f.Login(f.ctx, l); err == nil {
			t.Errorf("a login without %s: got %+v, want an error", name, in)
		}
	}
	_, err := f.User(f.ctx, 1)
	f.wantErr("user 1", err, storage.ErrNotFound)
}

func loginWithoutSession(t *testing.T, f *fixture) {
	l := f.as("oABC", "s1")
	l.Session = storage.Session{}
	in := f.login(l)
	want(t, "user", in.User.ID, int64(1))
	sessions, err := f.sessions(1)
	f.must(err)
	want(t, "sessions", len(sessions), 0)
}

func unionIDStays(t *testing.T, f *fixture) {
	l := f.as("oABC", "s1")
	l.UnionID = "u1"
	want(t, "unionid", f.login(l).User.UnionID, "u1")
	want(t, "unionid after a login without", f.login(f.as("oABC", "s2")).User.UnionID, "u1")
}

func changeAtLoginIsLimited(t *testing.T, f *fixture) {
	l := f.as("oABC", "s1")
	l.Change = func(u *storage.User) error {
		*u = storage.User{ID: 77, OpenID: "oOther", Nickname: "小明", Avatar: "a", Bio: "b", RecipeCount: 9}
		return nil
	}
	in := f.login(l)
	want(t, "user", in.User, storage.User{
		ID: 1, AppID: "wx1", OpenID: "oABC", Nickname: "小明", Avatar: "a", Bio: "b",
		CreatedAt: f.now(), UpdatedAt: f.now(), Native: true,
	})
	read, err := f.User(f.ctx, 1)
	f.must(err)
	want(t, "user read back", read, in.User)
}

func oddText(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	for _, text := range []string{"", "👩‍👩‍👧‍👦 家", "a\x00b", `"<&>'\`, strings.Repeat("长", 2000)} {
		changed, err := f.UpdateUser(f.ctx, 1, func(u *storage.User) error {
			u.Nickname, u.Bio = text, text
			return nil
		})
		f.must(err)
		read, err := f.User(f.ctx, 1)
		f.must(err)
		want(t, "nickname", read.Nickname, text)
		want(t, "user", read, changed)
	}
}

func unknownUser(_ *testing.T, f *fixture) {
	for _, id := range []int64{-1, 0, 1, 1 << 53} {
		_, err := f.User(f.ctx, id)
		f.wantErr(fmt.Sprint("user ", id), err, storage.ErrNotFound)
		_, err = f.UpdateUser(f.ctx, id, func(*storage.User) error { return nil })
		f.wantErr(fmt.Sprint("changing user ", id), err, storage.ErrNotFound)
		_, err = f.SessionKeys(f.ctx, id)
		f.wantErr(fmt.Sprint("session_keys of user ", id), err, storage.ErrNotFound)
	}
}

func updatesAtOnce(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	together(t, 100, func(int) error {
		_, err := f.UpdateUser(f.ctx, 1, func(u *storage.User) error { u.RecipeCount++; return nil })
		return err
	})
	read, err := f.User(f.ctx, 1)
	f.must(err)
	want(t, "recipe_count", read.RecipeCount, 100)
}

func updateError(t *testing.T, f *fixture) {
	before := f.login(f.as("oABC", "s1")).User
	refused := errors.New("refused")
	_, err := f.UpdateUser(f.ctx, 1, func(u *storage.User) error { u.Nickname = "x"; return refused })
	f.wantErr("a refused change", err, refused)
	read, err := f.User(f.ctx, 1)
	f.must(err)
	want(t, "user", read, before)
}

func updatePanic(t *testing.T, f *fixture) {
	before := f.login(f.as("oABC", "s1")).User
	_, err := f.UpdateUser(f.ctx, 1, func(u *storage.User) error { u.Nickname = "x"; panic("oops") })
	if err == nil || errors.Is(err, storage.ErrDamaged) {
		t.Errorf("a change that panics: got %v, want an error that is not damage", err)
	}
	read, err := f.User(f.ctx, 1)
	f.must(err)
	want(t, "user", read, before)
}

func updateKeepsIdentity(t *testing.T, f *fixture) {
	before := f.login(f.as("oABC", "s1")).User
	changed, err := f.UpdateUser(f.ctx, 1, func(u *storage.User) error {
		u.ID, u.AppID, u.OpenID, u.CreatedAt, u.Native, u.Nickname = 2, "wx2", "oX", time.Time{}, false, "n"
		return nil
	})
	f.must(err)
	before.Nickname = "n"
	want(t, "user", changed, before)
	want(t, "user of the next login", f.login(f.as("oABC", "s2")).User, before)
}

func updateStamps(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	made := f.now()
	f.bench.Clock.Advance(time.Minute)
	same, err := f.UpdateUser(f.ctx, 1, func(*storage.User) error { return nil })
	f.must(err)
	want(t, "updated_at after nothing", same.UpdatedAt, made)
	changed, err := f.UpdateUser(f.ctx, 1, func(u *storage.User) error { u.Bio = "b"; return nil })
	f.must(err)
	want(t, "updated_at after a change", changed.UpdatedAt, f.now())
	want(t, "created_at", changed.CreatedAt, made)
}

func failedLogin(t *testing.T, f *fixture) {
	l := f.as("oBad", "s1")
	l.Change = func(*storage.User) error { panic("oops") }
	if _, err := f.Login(f.ctx, l); err == nil {
		t.Error("a login whose change panics: got no error")
	}
	want(t, "id of the next user", f.login(f.as("oGood", "s2")).User.ID, 1)
	_, err := f.Session(f.ctx, "s1")
	f.wantErr("session of the failed login", err, storage.ErrNotFound)
}

// refuse is a change that changes and then refuses.
func refuse(u *storage.User) error {
	u.Nickname = "refused"
	return errRefused
}

var errRefused = errors.New("refused")

func refusedLogin(t *testing.T, f *fixture) {
	l := f.as("oBad", "s1")
	l.Change = refuse
	_, err := f.Login(f.ctx, l)
	f.wantErr("a refused login", err, errRefused)
	_, err = f.User(f.ctx, 1)
	f.wantErr("its user", err, storage.ErrNotFound)
	_, err = f.Session(f.ctx, "s1")
	f.wantErr("its session", err, storage.ErrNotFound)
	in := f.login(f.as("oGood", "s1"))
	want(t, "id of the next user", in.User.ID, 1)
}

func refusedLoginOfKnown(t *testing.T, f *fixture) {
	before := f.login(f.as("oABC", "s1")).User
	l := f.as("oABC", "s2")
	l.UnionID, l.Change, l.MaxSessions = "u", refuse, 1
	_, err := f.Login(f.ctx, l)
	f.wantErr("a refused login", err, errRefused)
	f.reopen()
	read, err := f.User(f.ctx, 1)
	f.must(err)
	want(t, "user", read, before)
	f.wantSessions(1, "s1")
	f.wantKeys(1, "key of s1")
	f.wantRevoked(0)
}

func endedContext(_ *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err := f.Login(ended, f.as("oABC", "s2"))
	f.wantErr("login", err, context.Canceled)
	_, err = f.User(ended, 1)
	f.wantErr("user", err, context.Canceled)
	_, err = f.Revocations(ended, 0, 1000)
	f.wantErr("revocations", err, context.Canceled)
}
