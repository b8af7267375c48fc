package command

import (
	"testing"

	"wxgate/storage"
)

// TestTheShareOfABackupGrowsToAllOfIt, with ids that begin anywhere.
func TestTheShareOfABackupGrowsToAllOfIt(t *testing.T) {
	t.Parallel()
	var records []storage.Record
	add := func(kind storage.Kind, value any) {
		r, err := storage.NewRecord(kind, value)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	add(storage.KindHeader, storage.Header{Users: 1_000_099})
	for id := range int64(100) {
		add(storage.KindUser, storage.UserRecord{User: storage.User{ID: 1_000_000 + id}})
	}
	for range 100 {
		records = append(records, storage.Record{Kind: storage.KindSecret}, storage.Record{Kind: storage.KindSession})
	}
	var b backupShare
	before := 0.0
	for i, r := range records {
		share := b.after(r)
		if share < before || share > 1 {
			t.Fatalf("record %d: the share goes from %v to %v", i, before, share)
		}
		if i == 50 && share != 0.25 || i == 100 && share != 0.5 {
			t.Errorf("after %d users: %v", i, share)
		}
		before = share
	}
	if before != 1 || b.users != 100 {
		t.Errorf("in the end: %v of it, %d users", before, b.users)
	}
}

func TestASmallBackupIsNotSaidToBeEmpty(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]string{0: "0 KB", 1: "1 KB", 277_808: "278 KB", 1_000_000: "1 MB", 52_400_000: "52 MB"} {
		if got := megabytes(bytes); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
