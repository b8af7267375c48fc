package mysql

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/backup"
	"wxgate/storage/badger"
)

// TestLongTextsOfAnAdoptedTableAreBackedUpAndCopied has texts that the backend wrote and the gateway would have refused:
// 12,000 characters that HTML escapes, and columns that are full.
func TestLongTextsOfAnAdoptedTableAreBackedUpAndCopied(t *testing.T) {
	t.Parallel()
	b, dsn := newBackend(t, backendSchema, 20)
	if found, err := Adopt(t.Context(), configOf(dsn), adoptionOf(testApp), quiet()); err != nil || len(found.InTheWay) > 0 {
		t.Fatal(found.InTheWay, err)
	}
	b.exec("UPDATE users SET bio = REPEAT('<', 12000) WHERE id = 3")
	b.exec("UPDATE users SET bio = REPEAT('\"', 65535) WHERE id = 4")
	b.exec("UPDATE users SET bio = REPEAT(CHAR(1), 65535) WHERE id = 5")
	s := openAt(t, dsn)

	var file bytes.Buffer
	if _, err := backup.Write(t.Context(), &file, s.Store); err != nil {
		t.Fatal(err)
	}
	bios := map[int64]string{}
	_, err := backup.Read(&file, func(r storage.Record) error {
		var u storage.UserRecord
		if r.Kind != storage.KindUser {
			return nil
		}
		err := r.Decode(&u)
		bios[u.ID] = u.Bio
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	cfg := configOf(dsn)
	cfg.Driver, cfg.Badger.Dir = storage.DriverBadger, t.TempDir()
	folder, err := badger.Open(cfg, prometheus.NewRegistry(), quiet(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	if _, err := storage.Copy(t.Context(), s.Store, folder.Store, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	for id, bio := range map[int64]string{3: strings.Repeat("<", 12000), 4: strings.Repeat(`"`, 65535), 5: strings.Repeat("\x01", 65535)} {
		copied, err := folder.User(t.Context(), id)
		if err != nil || copied.Bio != bio || bios[id] != bio {
			t.Errorf("user %d: the bio has %d bytes in the backup and %d in the copy (%v), want %d as they were", id, len(bios[id]), len(copied.Bio), err, len(bio))
		}
	}
}
