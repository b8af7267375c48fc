package storagetest

import (
	"testing"
	"time"

	"wxgate/storage"
)

func deletions() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"a deletion waits until it is due":             deletionWaits,
		"a login takes a deletion back":                deletionTakenBack,
		"a deletion that waits is not put off":         deletionIsNotPutOff,
		"a deletion ends with its user":                deletionEndsWithUser,
		"deletions are listed by id":                   deletionsListed,
		"a login without a session takes nothing back": deletionNotTakenBack,
	}
}

func deletionWaits(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	_, err := f.Deletion(f.ctx, 1)
	f.wantErr("before there is one", err, storage.ErrNotFound)
	_, err = f.EraseDeleted(f.ctx, 1, f.now(), f.now().Add(time.Hour))
	f.wantErr("erasing somebody who did not ask", err, storage.ErrNotFound)
	due := f.delete(1, time.Hour)
	f.reopen()
	at, err := f.Deletion(f.ctx, 1)
	f.must(err)
	want(t, "time", at.Equal(due), true)
	_, err = f.EraseDeleted(f.ctx, 1, f.now(), f.now().Add(time.Hour))
	f.wantErr("erasing before it is due", err, storage.ErrNotFound)
	_, err = f.User(f.ctx, 1)
	f.must(err)
	f.bench.Clock.Advance(time.Hour)
	ended, err := f.EraseDeleted(f.ctx, 1, f.now(), f.now().Add(time.Hour))
	f.must(err)
	want(t, "revocations, of the user", len(ended), 1)
	_, err = f.User(f.ctx, 1)
	f.wantErr("the user", err, storage.ErrNotFound)
	_, err = f.PutDeletion(f.ctx, storage.Deletion{UserID: 1, At: f.now()})
	f.wantErr("deleting an erased user", err, storage.ErrNotFound)
}

func deletionTakenBack(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.delete(1, time.Hour)
	back := f.as("oABC", "s2")
	want(t, "a login that is not to take it back does", f.login(back).TookBack, false)
	back = f.as("oABC", "s3")
	back.TakeBack = true
	want(t, "taken back", f.login(back).TookBack, true)
	f.reopen()
	f.bench.Clock.Advance(2 * time.Hour)
	_, err := f.Deletion(f.ctx, 1)
	f.wantErr("the deletion", err, storage.ErrNotFound)
	_, err = f.EraseDeleted(f.ctx, 1, f.now(), f.now().Add(time.Hour))
	f.wantErr("erasing", err, storage.ErrNotFound)
	waiting, err := f.Deletions(f.ctx, 0, 10)
	f.must(err)
	want(t, "deletions", len(waiting), 0)
	again := f.as("oABC", "s4")
	again.TakeBack = true
	want(t, "taken back twice", f.login(again).TookBack, false)
	f.delete(1, time.Hour) // another one
	_, err = f.Deletion(f.ctx, 1)
	f.must(err)
}

func deletionNotTakenBack(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.delete(1, time.Hour)
	known := f.as("oABC", "")
	known.TakeBack = true
	want(t, "taken back", f.login(known).TookBack, false)
	_, err := f.Deletion(f.ctx, 1)
	f.must(err)
}

func deletionIsNotPutOff(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	first := f.delete(1, time.Hour)
	want(t, "time of the second", f.delete(1, 24*time.Hour).Equal(first), true)
}

func deletionEndsWithUser(t *testing.T, f *fixture) {
	f.login(f.as("oABC", "s1"))
	f.delete(1, time.Hour)
	_, err := f.EraseUser(f.ctx, 1, f.now(), f.now().Add(time.Hour))
	f.must(err)
	waiting, err := f.Deletions(f.ctx, 0, 10)
	f.must(err)
	want(t, "deletions", len(waiting), 0)
}

func deletionsListed(t *testing.T, f *fixture) {
	for _, openID := range []string{"oA", "oB", "oC", "oD"} {
		f.login(f.as(openID, "s"+openID))
	}
	for _, id := range []int64{4, 1, 3} {
		f.delete(id, time.Duration(id)*time.Hour)
	}
	ids := func(after int64, limit int) (ids []int64) {
		some, err := f.Deletions(f.ctx, after, limit)
		f.must(err)
		for _, d := range some {
			ids = append(ids, d.UserID)
		}
		return ids
	}
	wantList(t, "all", ids(-1, 10), []int64{1, 3, 4})
	wantList(t, "the first two", ids(0, 2), []int64{1, 3})
	wantList(t, "the rest", ids(3, 2), []int64{4})
}
