package badger

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// fakeDisk is a file system whose free space the test sets, in MB of a total of 10 GB.
type fakeDisk struct{ freeMB atomic.Uint64 }

func (d *fakeDisk) statfs(string) (disk.Space, error) {
	return disk.Space{Free: d.freeMB.Load() << 20, Total: 10 << 30}, nil
}

func (d *fakeDisk) tuning() tuning {
	t := defaultTuning()
	t.statfs = d.statfs
	return t
}

func (d *fakeDisk) open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := open(configIn(dir), prometheus.NewRegistry(), quiet(), time.Now, d.tuning())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// wantRefused checks that logins are refused and reads go on.
func wantRefused(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.Login(t.Context(), loginAs("oNew", "sNew")); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("login with a full disk: got %v, want %v", err, storage.ErrUnavailable)
	}
	if u, err := s.User(t.Context(), 1); err != nil || u.OpenID != "oABC" {
		t.Errorf("user 1 with a full disk: got %+v, %v", u, err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("ready with a full disk: got %v, want %v", err, storage.ErrUnavailable)
	}
	if got := gathered(t, s, "wxgate_storage_writable"); got != 0 {
		t.Errorf("wxgate_storage_writable: got %v, want 0", got)
	}
}

// wantAccepted checks that a login is taken and makes or finds user id.
func wantAccepted(t *testing.T, s *Store, openID string, id int64) {
	t.Helper()
	if u := login(t, s, openID, "s-"+openID+time.Now().String()); u.ID != id {
		t.Errorf("id of %s: got %d, want %d", openID, u.ID, id)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("ready: got %v", err)
	}
	if got := gathered(t, s, "wxgate_storage_writable"); got != 1 {
		t.Errorf("wxgate_storage_writable: got %v, want 1", got)
	}
}

func TestFullDiskRefusesWritesUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	for name, freeMB := range map[string]uint64{"low": 255, "nothing": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &fakeDisk{}
			d.freeMB.Store(1000)
			s := d.open(t, t.TempDir())
			wantAccepted(t, s, "oABC", 1)
			d.freeMB.Store(freeMB)
			wantRefused(t, s)
			d.freeMB.Store(1000)
			wantAccepted(t, s, "oDEF", 2)
		})
	}
}

func TestLowDiskMakesTheDatabaseReadOnlyBeforeItIsFull(t *testing.T) {
	t.Parallel()
	d := &fakeDisk{}
	d.freeMB.Store(1000)
	s := d.open(t, t.TempDir())
	wantAccepted(t, s, "oABC", 1)
	d.freeMB.Store(200)
	wantRefused(t, s)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		if _, readOnly := s.driver.engine.state(); readOnly {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("got a writable database, want a read-only one")
		}
	}
	wantRefused(t, s)
	d.freeMB.Store(260) // above the watermark, below where writing goes on
	wantRefused(t, s)
	d.freeMB.Store(290)
	wantAccepted(t, s, "oABC", 1)
}

func TestStoreOpensOnAFullDisk(t *testing.T) {
	t.Parallel()
	d, dir := &fakeDisk{}, t.TempDir()
	d.freeMB.Store(1000)
	s := d.open(t, dir)
	wantAccepted(t, s, "oABC", 1)
	copied := leftBehind(t, dir) // with a log
	d.freeMB.Store(0)
	before := treeOf(t, copied)
	s = d.open(t, copied)
	wantRefused(t, s)
	if after := treeOf(t, copied); after > before {
		t.Errorf("bytes on the disk: got %d, want no more than the %d before", after, before)
	}
	d.freeMB.Store(1000)
	wantAccepted(t, s, "oDEF", 2)
}

// leftBehind is what a kill would leave of the folder now, in a place of its own.
func leftBehind(t *testing.T, dir string) string {
	t.Helper()
	left := t.TempDir()
	copyFolder(t, dir, left)
	disk.NotePlace(filepath.Join(left, filePlace))
	return left
}

// treeOf adds up the lengths of Badger's files in dir.
func treeOf(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	return disk.SizeOf(dir + "/" + dirBadger)
}

func TestNewStoreOnAFullDiskSaysSo(t *testing.T) {
	t.Parallel()
	d, dir := &fakeDisk{}, t.TempDir()
	_, err := open(configIn(dir), prometheus.NewRegistry(), quiet(), time.Now, d.tuning())
	if !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("opening: got %v, want %v", err, storage.ErrUnavailable)
	}
	d.freeMB.Store(1000)
	wantAccepted(t, d.open(t, dir), "oABC", 1)
}

func TestCloseOnAFullDiskLeavesEverythingForTheNextStart(t *testing.T) {
	t.Parallel()
	d, dir := &fakeDisk{}, t.TempDir()
	d.freeMB.Store(1000)
	s := d.open(t, dir)
	wantAccepted(t, s, "oABC", 1)
	d.freeMB.Store(0)
	wantRefused(t, s)
	db := s.driver.engine.db
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	copied := leftBehind(t, dir)
	if err := db.Close(); err != nil { // what only the end of the process does otherwise
		t.Fatal(err)
	}
	s = d.open(t, copied)
	wantRefused(t, s)
}
