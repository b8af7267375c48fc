package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"wxgate/storage"
)

func imports() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"many users are imported in one transaction, in their order":       importMany,
		"an import refuses some users and takes the others":                importSome,
		"an import that fails imports nobody":                              importNobody,
		"imports of the same users at once import each of them once":       importTogether,
		"a look at an import sees its own users, and leaves nothing there": checkMany,
	}
}

// ImportUser imports one user.
func (f *fixture) ImportUser(ctx context.Context, u storage.User) (storage.User, error) {
	return one(f.ImportUsers(ctx, []storage.User{u}))
}

// one is the result of an import of one user.
func one(results []storage.Imported, err error) (storage.User, error) {
	if err != nil {
		return storage.User{}, err
	}
	return results[0].User, results[0].Err
}

// numberedUsers are users with the ids from first on.
func numberedUsers(first, n int) []storage.User {
	users := make([]storage.User, n)
	for i := range users {
		users[i] = known(int64(first+i), numberedID("o", first+i))
		users[i].Nickname, users[i].UnionID = fmt.Sprint("用户 😀 ", i), numberedID("u", first+i)
	}
	return users
}

func importMany(t *testing.T, f *fixture) {
	const n = 1234
	results, err := f.ImportUsers(f.ctx, numberedUsers(1001, n))
	f.must(err)
	want(t, "results", len(results), n)
	for i, r := range results {
		f.must(r.Err)
		want(t, "id", r.User.ID, int64(1001+i))
	}
	f.reopen()
	page, err := f.Users(f.ctx, 0, 2*n)
	f.must(err)
	want(t, "users", len(page), n)
	for i, u := range page {
		want(t, "a stored user", u, results[i].User)
	}
	people, err := f.UsersByUnionID(f.ctx, numberedID("u", 1500))
	f.must(err)
	want(t, "people of a unionid", len(people), 1)
	want(t, "the next new user", f.login(f.as("oNew", "s1")).User.ID, int64(1001+n))
	results, err = f.ImportUsers(f.ctx, nil)
	f.must(err)
	want(t, "results of nobody", len(results), 0)
}

func importSome(t *testing.T, f *fixture) {
	native := f.login(f.as("oNative", "s1")).User
	f.login(f.as("oErased", "s2"))
	f.erase(2)
	f.importUser(known(7, "oOld"))
	otherApp := known(14, "oOld")
	otherApp.AppID = "wx2"
	batch := []struct {
		user storage.User
		want error
	}{
		{known(10, "o10"), nil},
		{known(7, "oOld"), nil},
		{known(7, "oOther"), storage.ErrConflict},
		{known(11, "oOld"), storage.ErrConflict},
		{known(native.ID, "oNative"), nil},
		{known(2, "oErased"), storage.ErrConflict},
		{known(12, "oErased"), nil},
		{known(10, "o13"), storage.ErrConflict}, // an earlier one has the id
		{known(13, "o10"), storage.ErrConflict}, // and the openid
		{known(10, "o10"), nil},
		{known(13, "o13"), nil},
		{otherApp, nil},
	}
	var users []storage.User
	for _, b := range batch {
		users = append(users, b.user)
	}
	results, err := f.ImportUsers(f.ctx, users)
	f.must(err)
	for i, b := range batch {
		if got := results[i].Err; !errors.Is(got, b.want) || (got == nil) != (b.want == nil) {
			t.Errorf("%+v: got %v, want %v", b.user, got, b.want)
		}
	}
	f.wantUsers(0, 100, 1, 7, 10, 12, 13, 14)
	for _, id := range []int64{1, 13} {
		u, err := f.User(f.ctx, id)
		f.must(err)
		want(t, "native", u.Native, false)
	}
	want(t, "the next new user", f.login(f.as("oNew", "s3")).User.ID, 15)
}

func importNobody(t *testing.T, f *fixture) {
	users := append(numberedUsers(1, 300), known(0, "oNobody"))
	if _, err := f.ImportUsers(f.ctx, users); err == nil {
		t.Error("an import with the id 0: got no error")
	}
	f.wantUsers(0, 10)
	want(t, "the next new user", f.login(f.as("oNew", "s1")).User.ID, 1)
}

func importTogether(t *testing.T, f *fixture) {
	together(t, 8, func(int) error {
		results, err := f.ImportUsers(f.ctx, numberedUsers(1, 100))
		for _, r := range results {
			err = errors.Join(err, r.Err)
		}
		return err
	})
	page, err := f.Users(f.ctx, 0, 1000)
	f.must(err)
	want(t, "users", len(page), 100)
}

func checkMany(t *testing.T, f *fixture) {
	f.importUser(known(5, numberedID("o", 5)))
	users := append(numberedUsers(1, 10), known(1, "oOther"))
	results, err := f.CheckImport(f.ctx, users)
	f.must(err)
	for i, r := range results {
		if refused := errors.Is(r.Err, storage.ErrConflict); refused != (i == 10) {
			t.Errorf("%+v: got %v", users[i], r.Err)
		}
	}
	f.wantUsers(0, 10, 5)
}
