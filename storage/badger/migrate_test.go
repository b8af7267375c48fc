package badger

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// The archives in testdata were written by the commit 45676ef, the last of schema 1: one was closed, one killed. Eight
// people logged in 40 times, one each second. Every third session was refreshed three times, two minutes apart. A minute
// later, sessions 1, 2 and 17 were ended, and all of user 5; user 2 was banned for three days, user 3 for ever, user 4 was
// banned and the ban lifted, user 6 erased.
const (
	schema1Sessions = 40
	schema1People   = 8
)

// schema1End is when the last of that happened, in the archive of that name.
func schema1End(archive string) time.Time {
	if archive == "killed" {
		return time.Date(2026, 11, 28, 21, 25, 13, 485e6, time.UTC)
	}
	return time.Date(2026, 11, 28, 21, 25, 12, 367e6, time.UTC)
}

// unpack writes the archive into a folder of its own.
func unpack(t *testing.T, archive string) (dir string) {
	t.Helper()
	packed, err := os.Open(filepath.Join("testdata", archive+".tgz"))
	must(t, err)
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	must(t, err)
	dir = t.TempDir()
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		must(t, err)
		if header.Typeflag == tar.TypeDir {
			continue
		}
		content, err := sparseOf(files)
		must(t, err)
		_, name, _ := strings.Cut(header.Name, "/")
		content.write(t, filepath.Join(dir, name))
	}
}

func TestDataOfSchema1AreAllThereAfterTheUpgrade(t *testing.T) {
	t.Parallel()
	for _, archive := range []string{"closed", "killed"} {
		t.Run(archive, func(t *testing.T) {
			t.Parallel()
			dir, end := unpack(t, "schema-1-"+archive), schema1End(archive)
			for range 2 {
				s := openAt(t, dir, end, defaultTuning())
				wantSchema1(t, s, end)
				must(t, s.Close())
			}
			known, err := disk.ReadSentinel(filepath.Join(dir, fileSentinel))
			must(t, err)
			if known.Schema != 2 || known.Migrating != 0 {
				t.Errorf("STORE says schema %d, migrating %d; want 2, migrated", known.Schema, known.Migrating)
			}
		})
	}
}

func openAt(t *testing.T, dir string, at time.Time, tuned tuning) *Store {
	t.Helper()
	s, err := open(configIn(dir), prometheus.NewRegistry(), quiet(), func() time.Time { return at }, tuned)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// wantSchema1 checks that s serves what the archives hold, in the form of today.
func wantSchema1(t *testing.T, s *Store, end time.Time) {
	t.Helper()
	for i := range schema1Sessions {
		wantSchema1Session(t, s, i)
	}
	users, err := s.Users(t.Context(), 0, 100)
	must(t, err)
	if len(users) != schema1People-1 || users[0].Nickname != "小0" {
		t.Errorf("users: got %d, the first is %q; want 7, 小0", len(users), users[0].Nickname)
	}
	first, err := s.Sessions(t.Context(), 1, storage.SessionCursor{}, 3)
	must(t, err)
	if len(first) != 3 || first[0].ID != "session-000000000000.." || first[2].ID != "session-000000000016.." {
		t.Errorf("the first page of user 1: got %v, want the sessions 0, 8, 16", first)
	}
	wantSchema1Bans(t, s, end)
	phone, err := s.Phone(t.Context(), 1)
	if err != nil || phone.PureNumber != "13800000000" {
		t.Errorf("phone: got %v, %v", phone, err)
	}
	token, _, err := s.ServerToken(t.Context(), "wx1111111111111111")
	if err != nil || token != "server-token" {
		t.Errorf("server token: got %q, %v", token, err)
	}
	lastRefresh := end.Add(-time.Minute)
	for at, want := range map[time.Time]bool{lastRefresh: true, lastRefresh.Add(time.Second): false} {
		if got, err := s.Issued(t.Context(), "", at); got != want || err != nil {
			t.Errorf("a token without an epoch of %v: issued is %t, %v; want %t", at, got, err, want)
		}
	}
	wantNoTTL(t, s)
}

func wantSchema1Session(t *testing.T, s *Store, i int) {
	t.Helper()
	ended := slices.Contains([]int{1, 2, 17}, i) || i%schema1People == 4 || i%schema1People == 5
	found, err := s.Session(t.Context(), fmt.Sprintf("session-%012d..", i))
	if ended != errors.Is(err, storage.ErrNotFound) || !ended && err != nil {
		t.Errorf("session %d: got %v, want ended: %t", i, err, ended)
	}
	refreshed := 0
	if i%3 == 0 {
		refreshed = 3
	}
	if want := fmt.Sprintf("token-%06d-%05d....", i, refreshed); !ended && found.TokenID != want {
		t.Errorf("session %d: got token %s, want %s", i, found.TokenID, want)
	}
}

func wantSchema1Bans(t *testing.T, s *Store, end time.Time) {
	t.Helper()
	found, err := s.Revocations(t.Context(), 0, 1000)
	must(t, err)
	counts, bans := map[storage.Scope]int{}, map[string]time.Time{}
	for _, r := range found {
		counts[r.Scope]++
		if r.Scope == storage.ScopeUser && r.From.Before(r.Until) {
			bans[r.ID] = r.Until
		}
	}
	if counts[storage.ScopeToken] != 42 || counts[storage.ScopeSession] != 13 || counts[storage.ScopeUser] != 8 {
		t.Errorf("revocations: got %v, want 42 of tokens, 13 of sessions, 8 of users", counts)
	}
	if got := bans["2"].Sub(end); got != 72*time.Hour {
		t.Errorf("the ban of user 2 lasts for %v, want 72h", got)
	}
}

// wantNoTTL checks that nothing vanishes on the word of Badger's clock any more.
func wantNoTTL(t *testing.T, s *Store) {
	t.Helper()
	err := s.driver.engine.transaction(false, func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if it.Item().ExpiresAt() != 0 {
				t.Errorf("the record %q has a TTL, want none", it.Item().Key())
			}
		}
		return nil
	})
	must(t, err)
}

func TestAMigrationThatIsKilledGoesOnAtTheNextStart(t *testing.T) {
	t.Parallel()
	dir, end := unpack(t, "schema-1-killed"), schema1End("killed")
	var images []string
	tuned := defaultTuning()
	tuned.migrateBatch = 25
	tuned.migrated = func() { images = append(images, imageOf(t, dir)) }
	openAt(t, dir, end, tuned)
	if len(images) < 6 {
		t.Fatalf("got %d steps of the migration, want at least 6", len(images))
	}
	for i, image := range images {
		known, err := disk.ReadSentinel(filepath.Join(image, fileSentinel))
		if err != nil || known.Schema != 2 || known.Migrating != 1 {
			t.Errorf("step %d: STORE says schema %d, migrating %d, %v; want 2, from 1", i, known.Schema, known.Migrating, err)
		}
		s := openAt(t, image, end, defaultTuning())
		wantSchema1(t, s, end)
		must(t, s.Close())
	}
}

// imageOf copies the folder as a kill would leave it now. Badger flushes on its own, so a copy in whose time the files
// changed is no such image and is made again.
func imageOf(t *testing.T, dir string) (image string) {
	t.Helper()
	files := func() (list []string) {
		for _, path := range filesBelow(t, dir) {
			if info, err := os.Stat(path); err == nil {
				list = append(list, fmt.Sprint(path, info.Size()))
			}
		}
		return list
	}
	for {
		image = filepath.Join(t.TempDir(), "image")
		before := files()
		gone := false
		for _, path := range filesBelow(t, dir) {
			name, _ := filepath.Rel(dir, path)
			content, err := readSparse(path)
			if gone = gone || err != nil; err == nil {
				content.write(t, filepath.Join(image, name))
			}
		}
		if !gone && slices.Equal(before, files()) {
			return image
		}
	}
}

func TestAMigrationIsLoudAndNeedsRoom(t *testing.T) {
	t.Parallel()
	dir := unpack(t, "schema-1-closed")
	before := hashes(t, dir)
	full := defaultTuning()
	full.statfs = func(string) (disk.Space, error) { return disk.Space{Free: 1 << 20, Total: 1 << 30}, nil }
	_, err := open(configIn(dir), prometheus.NewRegistry(), quiet(), time.Now, full)
	if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "no room to migrate") {
		t.Errorf("on a full disk: got %v, want a line that says so", err)
	}
	wantUnchanged(t, "on a full disk", hashes(t, dir), before)
	var lines bytes.Buffer
	s, err := openFree(configIn(dir), prometheus.NewRegistry(), textLog(&lines), time.Now)
	must(t, err)
	must(t, s.Close())
	if !strings.Contains(lines.String(), "a wxgate from before cannot open it any more") {
		t.Errorf("got %s, want a line that says that there is no way back", lines.String())
	}
}
