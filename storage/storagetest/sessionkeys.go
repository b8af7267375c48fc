package storagetest

import (
	"fmt"
	"testing"
	"time"

	"wxgate/storage"
)

func sessionKeys() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"the last three session_keys are kept, newest first":  ringOfThree,
		"an older session_key never displaces a newer":        ringOutOfOrder,
		"a session_key that comes again takes one place":      ringWithoutCopies,
		"an empty session_key brings none and displaces none": emptySessionKey,
		"session_keys belong to their user":                   ringsApart,
		"a reseal looks at every secret once":                 resealOfAll,
	}
}

// bring logs openID in with a session_key that was begun after seconds.
func (f *fixture) bring(openID, key string, after int) {
	f.t.Helper()
	l := f.as(openID, openID+key)
	l.SessionKey = storage.SessionKey{Key: key, At: f.now().Add(time.Duration(after) * time.Second)}
	f.login(l)
}

// wantKeys checks the session_keys of the user, newest first.
func (f *fixture) wantKeys(userID int64, want ...string) {
	f.t.Helper()
	ring, err := f.SessionKeys(f.ctx, userID)
	f.must(err)
	var got []string
	for _, k := range ring {
		got = append(got, k.Key)
	}
	wantList(f.t, "session_keys", got, want)
}

func ringOfThree(t *testing.T, f *fixture) {
	for i, key := range []string{"a", "b", "c", "d", "e"} {
		f.bring("oABC", key, i)
	}
	f.wantKeys(1, "e", "d", "c")
	ring, err := f.SessionKeys(f.ctx, 1)
	f.must(err)
	want(t, "the time of the newest", ring[0].At.Equal(f.now().Add(4*time.Second)), true)
}

func ringOutOfOrder(_ *testing.T, f *fixture) {
	f.bring("oABC", "at 5", 5)
	f.bring("oABC", "at 9", 9)
	f.bring("oABC", "at 7", 7)
	f.wantKeys(1, "at 9", "at 7", "at 5")
	f.bring("oABC", "at 1", 1)
	f.wantKeys(1, "at 9", "at 7", "at 5")
	f.bring("oABC", "at 6", 6)
	f.wantKeys(1, "at 9", "at 7", "at 6")
}

func ringWithoutCopies(_ *testing.T, f *fixture) {
	f.bring("oABC", "a", 1)
	f.bring("oABC", "b", 2)
	for i := range 5 {
		f.bring("oABC", "a", 3+i)
	}
	f.wantKeys(1, "a", "b")
	f.bring("oABC", "a", 0)
	f.wantKeys(1, "a", "b")
}

func emptySessionKey(_ *testing.T, f *fixture) {
	f.bring("oABC", "", 1)
	f.wantKeys(1)
	f.bring("oABC", "a", 2)
	f.login(f.as("oOther", "s"))
	l := f.as("oABC", "again")
	l.SessionKey = storage.SessionKey{}
	f.login(l)
	f.wantKeys(1, "a")
}

func ringsApart(_ *testing.T, f *fixture) {
	f.bring("oABC", "a", 1)
	f.bring("oDEF", "d", 2)
	f.wantKeys(1, "a")
	f.wantKeys(2, "d")
}

// resealOfAll has more secrets than a transaction looks at, and some of an erased user.
func resealOfAll(t *testing.T, f *fixture) {
	const users = 130
	for i := range users {
		f.bring(fmt.Sprintf("oUser%d", i), "key", 0)
		f.must(f.SetPhone(f.ctx, int64(i+1), storage.Phone{Number: "1"}))
	}
	f.must(f.SaveServerToken(f.ctx, "wx1", "token", f.now().Add(time.Hour)))
	f.erase(users / 2)
	for range 2 {
		calls, far := 0, storage.Resealed{}
		for ; !far.Done; calls++ {
			before := far.Share
			var err error
			far, err = f.Reseal(f.ctx)
			f.must(err)
			want(t, fmt.Sprintf("the share %v grows", far.Share), before < far.Share && (far.Share < 1 || far.Done), true)
		}
		want(t, "a reseal of secrets that are sealed with the first key", far, storage.Resealed{Seen: 2*(users-1) + 1, Share: 1, Done: true})
		want(t, "it took one transaction", calls == 1, false)
	}
	f.wantKeys(1, "key")
}
