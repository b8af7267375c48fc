package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"wxgate/storage"
)

func directory() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"users are listed in pages by id, without the erased":         listInPages,
		"no users are an empty list":                                  listNothing,
		"an imported user keeps its id and its profile":               importKeeps,
		"imports come in any order, and new users get ids above them": importInAnyOrder,
		"an imported user logs in as itself":                          importedLogsIn,
		"importing the same user again leaves it as it is":            importTwice,
		"a user who logged in before the import is imported by it":    importOfNative,
		"an import of an id or openid of another conflicts":           importConflicts,
		"an import of an erased id conflicts":                         importErased,
		"an import needs an id below 2^53, an appid and an openid":    importIncomplete,
		"a look at an import changes nothing":                         checkImport,
		"imports and first logins at once share no id":                importsAtOnce,
		"reserved ids are nobody's but an import's":                   reservedIDs,
		"a first login gets the first id that it asks for":            firstIDOfALogin,
	}
}

func reservedIDs(t *testing.T, f *fixture) {
	for _, step := range []struct{ ask, want int64 }{{1_000_000, 1_000_000}, {7, 1_000_000}, {1, 1_000_000}} {
		got, err := f.ReserveUserIDs(f.ctx, step.ask)
		f.must(err)
		want(t, fmt.Sprint("the next id after asking for ", step.ask), got, step.want)
	}
	f.importUser(known(41, "oOld"))
	f.reopen()
	want(t, "the first new user", f.login(f.as("oNew", "s1")).User.ID, 1_000_000)
	f.importUser(known(999_999, "oOther"))
	want(t, "the second new user", f.login(f.as("oNext", "s2")).User.ID, 1_000_001)
	for _, bad := range []int64{0, -1, 1 << 53} {
		if got, err := f.ReserveUserIDs(f.ctx, bad); err == nil {
			t.Errorf("reserving from %d gave %d, want an error", bad, got)
		}
	}
}

func firstIDOfALogin(t *testing.T, f *fixture) {
	for i, step := range []struct{ first, want int64 }{{500, 500}, {500, 501}, {0, 502}, {100, 503}, {1000, 1000}} {
		l := f.as(fmt.Sprint("o", i), fmt.Sprint("s", i))
		l.FirstID = step.first
		want(t, fmt.Sprintf("login %d, from %d on", i, step.first), f.login(l).User.ID, step.want)
	}
	again := f.as("o0", "again")
	again.FirstID = 9999
	want(t, "a known user", f.login(again).User.ID, 500)
}

// known is a user of an existing backend.
func known(id int64, openID string) storage.User {
	return storage.User{ID: id, AppID: "wx1", OpenID: openID}
}

func (f *fixture) importUser(u storage.User) storage.User {
	f.t.Helper()
	imported, err := f.ImportUser(f.ctx, u)
	f.must(err)
	return imported
}

// checkImport returns the error of a look at an import, which says of a user who can come what an import would store.
func (f *fixture) checkImport(u storage.User) error {
	f.t.Helper()
	would, err := one(f.CheckImport(f.ctx, []storage.User{u}))
	if err == nil && (would.ID != u.ID || would.OpenID != u.OpenID || would.Native || would.CreatedAt.IsZero()) {
		f.t.Errorf("a look at the import of %+v says %+v", u, would)
	}
	return err
}

// wantUsers checks the ids of one page of the list.
func (f *fixture) wantUsers(after int64, limit int, want ...int64) {
	f.t.Helper()
	page, err := f.Users(f.ctx, after, limit)
	f.must(err)
	var got []int64
	for _, u := range page {
		got = append(got, u.ID)
	}
	wantList(f.t, fmt.Sprintf("%d users after %d", limit, after), got, want)
}

func listInPages(t *testing.T, f *fixture) {
	for i := range 7 {
		f.login(f.as(numberedID("o", i), numberedID("s", i)))
	}
	f.importUser(known(300, "oFar")) // past a byte of the number
	f.erase(2)
	f.erase(4)
	for range 2 {
		f.wantUsers(0, 3, 1, 3, 5)
		f.wantUsers(5, 3, 6, 7, 300)
		f.wantUsers(300, 3)
		f.wantUsers(2, 100, 3, 5, 6, 7, 300)
		f.wantUsers(-5, 1, 1)
		f.wantUsers(1<<53, 3)
		f.wantUsers(0, 0)
		counted, err := f.CountUsers(f.ctx)
		f.must(err)
		want(t, "users", counted, 6)
		f.reopen()
	}
	page, err := f.Users(f.ctx, 2, 1)
	f.must(err)
	user, err := f.User(f.ctx, 3)
	f.must(err)
	want(t, "user in the list", page[0], user)
}

func listNothing(_ *testing.T, f *fixture) {
	f.wantUsers(0, 10)
	f.login(f.as("oABC", "s1"))
	f.erase(1)
	f.wantUsers(0, 10)
}

func importKeeps(t *testing.T, f *fixture) {
	made := f.now().Add(-1000 * time.Hour)
	u := storage.User{
		ID: 1<<53 - 1, AppID: "wx1", OpenID: "oABC", UnionID: "u", Nickname: "小明", Avatar: "a", Bio: "b",
		RecipeCount: 1, FollowerCount: 2, FollowingCount: 3, FavoriteCount: 4, CreatedAt: made,
	}
	imported := f.importUser(u)
	u.UpdatedAt = f.now()
	want(t, "imported", imported, u)
	f.reopen()
	read, err := f.User(f.ctx, u.ID)
	f.must(err)
	want(t, "user read back", read, u)
	if in, err := f.Login(f.ctx, f.as("oDEF", "s1")); err == nil {
		t.Errorf("a first login beyond the last id: got user %d, want an error", in.User.ID)
	}
	want(t, "created_at of one without", f.importUser(known(1, "oDEF")).CreatedAt, f.now())
}

func importInAnyOrder(t *testing.T, f *fixture) {
	for _, id := range []int64{5, 3, 9, 4} {
		want(t, "id", f.importUser(known(id, fmt.Sprint("o", id))).ID, id)
	}
	f.wantUsers(0, 10, 3, 4, 5, 9)
	want(t, "id of a new user", f.login(f.as("oNew", "s1")).User.ID, 10)
	f.importUser(known(7, "o7"))
	f.reopen()
	want(t, "id of the next user", f.login(f.as("oNext", "s2")).User.ID, 11)
	f.wantUsers(0, 10, 3, 4, 5, 7, 9, 10, 11)
}

func importedLogsIn(t *testing.T, f *fixture) {
	imported := f.importUser(known(42, "oABC"))
	in := f.login(f.as("oABC", "s1"))
	want(t, "created", in.Created, false)
	want(t, "user", in.User, imported)
	f.wantSessions(42, "s1")
}

func importTwice(t *testing.T, f *fixture) {
	first := f.importUser(known(42, "oABC"))
	f.bench.Clock.Advance(time.Minute)
	again := known(42, "oABC")
	again.Nickname, again.RecipeCount = "other", 7
	want(t, "imported again", f.importUser(again), first)
	read, err := f.User(f.ctx, 42)
	f.must(err)
	want(t, "user", read, first)
}

func importOfNative(t *testing.T, f *fixture) {
	native := f.login(f.as("oABC", "s1")).User
	want(t, "native", native.Native, true)
	native.Native = false
	want(t, "imported", f.importUser(known(1, "oABC")), native)
	f.reopen()
	want(t, "user of the next login", f.login(f.as("oABC", "s2")).User, native)
	said := known(7, "oDEF")
	said.Native = true
	want(t, "native, as an import says", f.importUser(said).Native, false)
}

func importConflicts(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.importUser(known(7, "oDEF"))
	otherApp := known(7, "oDEF")
	otherApp.AppID = "wx2"
	for name, u := range map[string]storage.User{
		"the id of a user with another openid":       known(1, "oNew"),
		"the id of an import with another openid":    known(7, "oNew"),
		"the id of an import with another appid":     otherApp,
		"the openid of a user under another id":      known(50, "oABC"),
		"the openid of an import under another id":   known(50, "oDEF"),
		"the id of one and the openid of another":    known(1, "oDEF"),
		"the openid of one and the id of the import": known(7, "oABC"),
	} {
		f.wantErr("a look at "+name, f.checkImport(u), storage.ErrConflict)
		_, err := f.ImportUser(f.ctx, u)
		f.wantErr(name, err, storage.ErrConflict)
	}
	f.wantUsers(0, 10, 1, 7)
	want(t, "id of a new user", f.login(f.as("oNew", "s2")).User.ID, 8)
}

func checkImport(t *testing.T, f *fixture) {
	native := f.login(f.as("oABC", "s1")).User
	f.must(f.checkImport(known(7, "oNew")))
	f.must(f.checkImport(known(native.ID, "oABC")))
	f.wantUsers(0, 10, native.ID)
	got, err := f.User(f.ctx, native.ID)
	f.must(err)
	want(t, "native, after a look at the import", got.Native, true)
	want(t, "the next new user", f.login(f.as("oNew", "s2")).User.ID, native.ID+1)
	if f.checkImport(known(0, "oDEF")) == nil {
		t.Error("a look at the import of the id 0: got no error")
	}
}

func importErased(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.erase(1)
	f.wantErr("a look at the erased user itself", f.checkImport(known(1, "oABC")), storage.ErrConflict)
	_, err := f.ImportUser(f.ctx, known(1, "oABC"))
	f.wantErr("the erased user itself", err, storage.ErrConflict)
	_, err = f.ImportUser(f.ctx, known(1, "oNew"))
	f.wantErr("another user", err, storage.ErrConflict)
	if _, err := f.ImportUser(f.ctx, storage.User{ID: 1}); err == nil {
		t.Error("importing what is left of an erased user: got no error")
	}
	want(t, "the openid under another id", f.importUser(known(5, "oABC")).ID, 5)
	want(t, "its login", f.login(f.as("oABC", "s2")).User.ID, 5)
}

func importIncomplete(t *testing.T, f *fixture) {
	withoutApp := known(3, "oABC")
	withoutApp.AppID = ""
	for _, u := range []storage.User{
		known(0, "oABC"), known(-1, "oABC"), known(1<<53, "oABC"), known(3, ""), known(3, "o\xff"), withoutApp,
	} {
		if _, err := f.ImportUser(f.ctx, u); err == nil {
			t.Errorf("importing %+v: got no error", u)
		}
	}
	f.wantUsers(0, 10)
	want(t, "id of a new user", f.login(f.as("oABC", "s1")).User.ID, 1)
}

func importsAtOnce(t *testing.T, f *fixture) {
	const n = 64
	var mu sync.Mutex
	idOf := map[string]int64{}
	together(t, n, func(i int) error {
		openID := numberedID("o", i)
		id, err := f.importOrLogin(i, openID)
		if errors.Is(err, storage.ErrConflict) {
			return nil // a new user was first
		}
		mu.Lock()
		defer mu.Unlock()
		idOf[openID] = id
		return err
	})
	for openID, id := range idOf {
		u, err := f.User(f.ctx, id)
		f.must(err)
		want(t, fmt.Sprint("openid of user ", id), u.OpenID, openID)
	}
	page, err := f.Users(f.ctx, 0, 1000)
	f.must(err)
	want(t, "users", len(page), len(idOf))
}

// importOrLogin makes every other user an import, of an id near those of the others.
func (f *fixture) importOrLogin(i int, openID string) (id int64, err error) {
	if i%2 == 0 {
		u, err := f.ImportUser(f.ctx, known(int64(10+i), openID))
		return u.ID, err
	}
	in, err := f.Login(f.ctx, f.as(openID, numberedID("s", i)))
	return in.User.ID, err
}
