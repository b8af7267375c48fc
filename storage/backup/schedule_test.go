package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger"
)

// roomy is a disk with room.
func roomy(string) (uint64, error) { return 1 << 40, nil }

// folderOf is a folder of backups of the data set of small.
func folderOf(t *testing.T, storeID string, keep int) folder {
	t.Helper()
	return folder{Backup: storage.Backup{Dir: filepath.Join(t.TempDir(), "b"), Keep: keep, Every: 24 * time.Hour}, storeID: storeID, free: roomy, log: quiet()}
}

// namesIn are the files in a folder, without their beginning and end.
func namesIn(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(entry.Name(), "wxgate-"), suffix))
	}
	return strings.Join(names, " ")
}

func TestBackupsAreKeptByNumberAndOthersStay(t *testing.T) {
	t.Parallel()
	f := folderOf(t, "store", 2)
	_, all := small(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	must(t, os.MkdirAll(f.Dir, 0o700))
	must(t, os.WriteFile(filepath.Join(f.Dir, "wxgate-mine.wxbackup"), nil, 0o600))
	for i := range 4 {
		_, _, err := f.write(t.Context(), all, at.Add(time.Duration(i)*time.Hour))
		must(t, err)
	}
	id := shortID("store")
	want(t, "files", namesIn(t, f.Dir), "20260102T050405Z-"+id+" 20260102T060405Z-"+id+" mine")
	_, err := Verify(filepath.Join(f.Dir, Name(at.Add(3*time.Hour), "store")))
	must(t, err)
}

func TestTwoDataSetsInOneFolderDoNotDeleteTheBackupsOfEachOther(t *testing.T) {
	t.Parallel()
	file, all := small(t)
	mine := folderOf(t, "store", 2)
	theirs := mine
	theirs.storeID = "another"
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	must(t, os.MkdirAll(mine.Dir, 0o700))
	earlier := func(day int) string {
		return filepath.Join(mine.Dir, at.AddDate(0, 0, day).Format("wxgate-"+timeForm+suffix))
	}
	must(t, os.WriteFile(earlier(-1), file, 0o600)) // the header says whose it is
	must(t, os.WriteFile(earlier(-2), file[:100], 0o600))
	for i := range 2 {
		_, _, err := theirs.write(t.Context(), all, at.Add(time.Duration(i)*time.Hour))
		must(t, err)
	}
	past, _, err := mine.own(at)
	must(t, err)
	want(t, "mine, by its header", len(past), 1)
	for i := range 2 {
		_, _, err := mine.write(t.Context(), all, at.Add(time.Duration(i+2)*time.Hour))
		must(t, err)
	}
	m, o := "-"+shortID("store"), "-"+shortID("another")
	want(t, "files", namesIn(t, mine.Dir), strings.Join([]string{
		"20251231T030405Z",
		"20260102T030405Z" + o, "20260102T040405Z" + o, "20260102T050405Z" + m, "20260102T060405Z" + m,
	}, " "))
}

func TestWhatAKilledBackupLeftIsRemovedByTheNextOne(t *testing.T) {
	t.Parallel()
	f := folderOf(t, "store", 7)
	_, all := small(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	must(t, os.MkdirAll(f.Dir, 0o700))
	put := func(name string) { must(t, os.WriteFile(filepath.Join(f.Dir, name), []byte("half"), 0o600)) }
	put(Name(at, "store") + ".123.part")
	stay := []string{
		Name(at, "another") + ".123.part", Name(at, "store") + ".part", "mine.wxbackup.123.part", "wxgate-20260101T000000Z.wxbackup.1.part",
		"x" + Name(at, "store") + ".123.part", Name(at, "store") + ".123.part.txt",
	}
	for _, name := range stay {
		put(name)
	}
	must(t, os.Mkdir(filepath.Join(f.Dir, Name(at, "store")+".124.part"), 0o700))
	stay = append(stay, Name(at, "store")+".124.part", Name(at.Add(time.Hour), "store"), Name(at.Add(2*time.Hour), "store"))
	err := WriteFile(filepath.Join(f.Dir, Name(at.Add(2*time.Hour), "store")), func(io.Writer) error { // as another process does
		_, _, err := f.write(t.Context(), all, at.Add(time.Hour))
		return err
	})
	must(t, err)
	entries, err := os.ReadDir(f.Dir)
	must(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	slices.Sort(stay)
	want(t, "files", strings.Join(names, "\n"), strings.Join(stay, "\n"))
}

// scheduled is a schedule of a store in a folder, and the clock that it reads.
type scheduled struct {
	*Schedule
	metrics *prometheus.Registry
	log     bytes.Buffer
	at      time.Time
}

func newScheduled(t *testing.T, keep int) *scheduled {
	t.Helper()
	cfg := storage.DefaultConfig()
	cfg.Badger.Dir = t.TempDir()
	store, err := badger.Open(cfg, prometheus.NewRegistry(), quiet(), time.Now)
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	s := &scheduled{metrics: prometheus.NewRegistry(), at: time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)}
	f := folderOf(t, store.ID(), keep)
	s.Schedule, err = NewSchedule(f.Backup, store.Store, s.metrics, slog.New(slog.NewTextHandler(&s.log, nil)), func() time.Time { return s.at })
	must(t, err)
	s.free = roomy
	must(t, os.MkdirAll(s.Dir, 0o700))
	return s
}

// has puts backups into the folder.
func (s *scheduled) has(t *testing.T, ages ...time.Duration) {
	t.Helper()
	for _, age := range ages {
		must(t, os.WriteFile(filepath.Join(s.Dir, Name(s.at.Add(-age), s.storeID)), nil, 0o600))
	}
}

// newestMetric is the metric of the newest backup.
func (s *scheduled) newestMetric(t *testing.T) float64 {
	t.Helper()
	families, err := s.metrics.Gather()
	must(t, err)
	for _, family := range families {
		if family.GetName() == "wxgate_backup_last_success_timestamp_seconds" {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

// lookFor looks every minute.
func (s *scheduled) lookFor(minutes int) {
	for range minutes {
		s.look(context.Background())
		s.at = s.at.Add(time.Minute)
	}
}

func TestABackupOfTheFutureDeletesNoOther(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	s := newScheduled(t, 7)
	s.has(t, day, 2*day, 3*day, 4*day, 5*day, 6*day, -time.Hour)
	s.lookFor(10)
	var files []string
	for _, at := range []string{"04T120000", "05T120000", "06T120000", "07T120000", "08T120000", "09T120000", "10T120000", "10T130000"} {
		files = append(files, "202601"+at+"Z-"+shortID(s.storeID))
	}
	want(t, "files", namesIn(t, s.Dir), strings.Join(files, " "))
	want(t, "the newest", s.newestMetric(t), float64(s.at.Add(-10*time.Minute).Unix()))
	want(t, "warnings of\n"+s.log.String(), strings.Count(s.log.String(), "backup of the future"), 1)
}

func TestWithManyBackupsOfTheFutureTheOneJustMadeStays(t *testing.T) {
	t.Parallel()
	s := newScheduled(t, 2)
	s.has(t, -time.Hour, -2*time.Hour, -3*time.Hour)
	s.lookFor(3)
	_, err := Verify(filepath.Join(s.Dir, Name(s.at.Add(-3*time.Minute), s.storeID)))
	must(t, err)
	files, err := In(s.Dir)
	must(t, err)
	want(t, "backups", len(files), 4)
}

func TestAnIntervalHoldsWhenTheClockIsPutBack(t *testing.T) {
	t.Parallel()
	s := newScheduled(t, 7)
	s.lookFor(1)
	s.at = s.at.Add(-time.Hour)
	s.lookFor(10)
	files, err := In(s.Dir)
	must(t, err)
	want(t, "backups", len(files), 1)
}

func TestAFullDiskIsNoticedBeforeAndDuringABackup(t *testing.T) {
	t.Parallel()
	_, all := small(t)
	f := folderOf(t, "store", 2)
	f.free = func(string) (uint64, error) { return leastRoom - 1, nil }
	_, _, err := f.write(t.Context(), all, time.Now())
	if !errors.Is(err, ErrNoRoom) {
		t.Errorf("before: got %v, want ErrNoRoom", err)
	}
	w := &roomyWriter{to: io.Discard, free: f.free}
	_, err = w.Write(make([]byte, 5<<20))
	if !errors.Is(err, ErrNoRoom) {
		t.Errorf("during: got %v, want ErrNoRoom", err)
	}
}
