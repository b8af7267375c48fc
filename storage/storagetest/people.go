package storagetest

import (
	"testing"
	"time"

	"wxgate/storage"
)

func people() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"a phone number is kept for its user and goes with them": phoneNumbers,
		"a user is found by openid in one mini-program":          byOpenID,
		"a unionid finds a person in all mini-programs":          byUnionID,
		"a server token is kept until it expires":                serverTokens,
		"a later login is known by its key or its session":       loggedInSince,
	}
}

func phoneNumbers(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	phone := storage.Phone{Number: "13580006666", PureNumber: "13580006666", CountryCode: "86"}
	_, err := f.Phone(f.ctx, 1)
	f.wantErr("a phone number before there is one", err, storage.ErrNotFound)
	f.must(f.SetPhone(f.ctx, 1, phone))
	f.reopen()
	got, err := f.Phone(f.ctx, 1)
	f.must(err)
	want(t, "phone number", got, phone)
	f.wantErr("a phone number of nobody", f.SetPhone(f.ctx, 9, phone), storage.ErrNotFound)
	for _, there := range []bool{true, false} {
		forgotten, err := f.ForgetPhone(f.ctx, 1)
		f.must(err)
		want(t, "there was one", forgotten, there)
		_, err = f.Phone(f.ctx, 1)
		f.wantErr("a phone number that was forgotten", err, storage.ErrNotFound)
	}
	_, err = f.ForgetPhone(f.ctx, 9)
	f.wantErr("forgetting that of nobody", err, storage.ErrNotFound)
	f.must(f.SetPhone(f.ctx, 1, phone))
	_, err = f.EraseUser(f.ctx, 1, f.now(), f.now().Add(time.Hour))
	f.must(err)
	_, err = f.Phone(f.ctx, 1)
	f.wantErr("the phone number of an erased user", err, storage.ErrNotFound)
}

func byOpenID(t *testing.T, f *fixture) {
	l := f.as("oABC", "s1")
	f.login(l)
	got, err := f.UserByOpenID(f.ctx, l.AppID, "oABC")
	f.must(err)
	want(t, "user", got.ID, 1)
	for _, other := range [][2]string{{l.AppID, "oabc"}, {"wxOther", "oABC"}, {"", ""}} {
		_, err = f.UserByOpenID(f.ctx, other[0], other[1])
		f.wantErr(other[0]+" "+other[1], err, storage.ErrNotFound)
	}
}

func loggedInSince(t *testing.T, f *fixture) {
	knows := func(what, openID string, since time.Time, known bool) {
		t.Helper()
		got, err := f.LoggedInSince(f.ctx, "wx1", openID, since)
		f.must(err)
		want(t, what, got, known)
	}
	start := f.now()
	knows("of nobody", "oABC", start, false)
	f.login(f.as("oABC", "with a key"))
	cloud := f.as("oCloud", "without a key")
	cloud.SessionKey = storage.SessionKey{}
	f.login(cloud)
	for _, openID := range []string{"oABC", "oCloud"} {
		knows("a login since", openID, start, true)
		knows("a login before", openID, start.Add(time.Millisecond), false)
	}
	knows("of another mini-program", "oabc", start, false)
	for _, id := range []string{"with a key", "without a key"} {
		_, err := f.EndSession(f.ctx, id, f.now(), f.now().Add(time.Hour))
		f.must(err)
	}
	knows("a login whose session has ended", "oABC", start, true)
	knows("one of which nothing is left", "oCloud", start, false)
	f.erase(1)
	knows("of somebody who was erased", "oABC", start, false)
}

func byUnionID(t *testing.T, f *fixture) {
	login := func(appID, openID, unionID string) int64 {
		l := f.as(openID, openID+unionID)
		l.AppID, l.UnionID = appID, unionID
		return f.login(l).User.ID
	}
	found := func(unionID string) (ids []int64) {
		users, err := f.UsersByUnionID(f.ctx, unionID)
		f.must(err)
		for _, u := range users {
			ids = append(ids, u.ID)
		}
		return ids
	}
	login("wx1", "oA", "") // the unionid arrives later
	wantList(t, "before it arrives", found("u1"), nil)
	login("wx1", "oA", "u1")
	login("wx2", "oB", "u1")
	login("wx2", "oC", "u11")
	wantList(t, "one person in two mini-programs", found("u1"), []int64{1, 2})
	login("wx1", "oA", "u2")
	wantList(t, "after it changed", found("u1"), []int64{2})
	wantList(t, "the new one", found("u2"), []int64{1})
	f.reopen()
	_, err := f.EraseUser(f.ctx, 2, f.now(), f.now().Add(time.Hour))
	f.must(err)
	wantList(t, "after erasing", found("u1"), nil)
}

func serverTokens(t *testing.T, f *fixture) {
	token, _, err := f.ServerToken(f.ctx, "wx1")
	f.must(err)
	want(t, "token before there is one", token, "")
	expires := f.now().Add(time.Hour)
	f.must(f.SaveServerToken(f.ctx, "wx1", "old", expires))
	f.must(f.SaveServerToken(f.ctx, "wx1", "new", expires))
	f.reopen()
	token, until, err := f.ServerToken(f.ctx, "wx1")
	f.must(err)
	want(t, "token", token, "new")
	want(t, "its end", until.Equal(expires), true)
	token, _, err = f.ServerToken(f.ctx, "wx2")
	f.must(err)
	want(t, "token of another mini-program", token, "")
}
