package storagetest

import (
	"fmt"
	"testing"

	"wxgate/storage"
)

func nicknames() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"users are found by a part of the nickname, of whatever letters": findByNickname,
		"a look for a nickname is bounded, and says where to go on":      findFarAway,
	}
}

// nicknamed imports users with nicknames, under ids from 1 on.
func (f *fixture) nicknamed(names ...string) {
	f.t.Helper()
	for i, name := range names {
		u := known(int64(i+1), fmt.Sprint("o", i+1))
		u.Nickname = name
		f.importUser(u)
	}
}

// wantNicknamed checks one page of a look.
func (f *fixture) wantNicknamed(text string, after int64, limit int, wantNext int64, wantIDs ...int64) {
	f.t.Helper()
	page, next, err := f.UsersByNickname(f.ctx, text, after, limit)
	f.must(err)
	var got []int64
	for _, u := range page {
		got = append(got, u.ID)
	}
	wantList(f.t, fmt.Sprintf("%d users with %q after %d", limit, text, after), got, wantIDs)
	want(f.t, fmt.Sprintf("where to go on for %q after %d", text, after), next, wantNext)
}

func findByNickname(_ *testing.T, f *fixture) {
	f.nicknamed("Alice", "malice", "小爱同学", "100%", "a_b", `a\b`, "aXb", "", `'; DROP TABLE wxgate_users; --`, "ÉCLAIR", "😀 smile", "小爱")
	for _, look := range []struct {
		text string
		ids  []int64
	}{
		{"alice", []int64{1, 2}},
		{"ALI", []int64{1, 2}},
		{"小爱", []int64{3, 12}},
		{"%", []int64{4}},
		{"_", []int64{5, 9}},
		{`\`, []int64{6}},
		{"a_b", []int64{5}},
		{"x", []int64{7, 9}},
		{"'; drop", []int64{9}},
		{"éclair", []int64{10}},
		{"😀", []int64{11}},
		{"nobody", nil},
	} {
		f.wantNicknamed(look.text, 0, 100, 0, look.ids...)
	}
	f.wantNicknamed("alice", 0, 1, 1, 1)
	f.wantNicknamed("alice", 1, 1, 2, 2)
	f.wantNicknamed("alice", 2, 1, 0)
	f.wantNicknamed("小爱", 3, 100, 0, 12)
	f.wantNicknamed("alice", -5, 100, 0, 1, 2)
	f.erase(2)
	f.wantNicknamed("alice", 0, 100, 0, 1)
	f.reopen()
	f.wantNicknamed("alice", 0, 100, 0, 1)
}

func findFarAway(t *testing.T, f *fixture) {
	const many, some = 6000, 500
	for first := int64(1); first <= many; first += some {
		users := make([]storage.User, some)
		for i := range users {
			users[i] = known(first+int64(i), fmt.Sprint("o", first+int64(i)))
			users[i].Nickname = "somebody"
		}
		users[some-1].Nickname = fmt.Sprint("the last of ", first)
		_, err := f.ImportUsers(f.ctx, users)
		f.must(err)
	}
	f.wantNicknamed("THE LAST OF 5501", 0, 10, 5000)
	f.wantNicknamed("THE LAST OF 5501", 5000, 10, 0, many)
	page, next, err := f.UsersByNickname(f.ctx, "somebody", 0, 1000)
	f.must(err)
	want(t, "users of a full page", len(page), 1000)
	want(t, "where the page ends", next, page[999].ID)
}
