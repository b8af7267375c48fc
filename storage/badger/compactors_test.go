package badger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// levelZero returns how many tables level 0 has and whether the compactors run.
func levelZero(s *Store) (tables int, compacting bool) {
	e := s.driver.engine
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.db == nil {
		return 0, false
	}
	return e.db.Levels()[0].NumTables, e.db.Opts().NumCompactors > 0
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not happen within a minute: " + what)
		}
	}
}

// tableBytes is the size of all tables. One that is removed meanwhile has none.
func tableBytes(t *testing.T, dir string) (size int64) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, dirBadger, "*.sst"))
	must(t, err)
	for _, table := range tables {
		if info, err := os.Stat(table); err == nil {
			size += info.Size()
		}
	}
	if size == 0 {
		t.Errorf("there is no table in %s", dir)
	}
	return size
}

func TestNothingCompactsAStoreAtRest(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	_, err := s.Login(t.Context(), loginAs("o0", "session0session0sess0"))
	must(t, err)
	if _, compacting := levelZero(s); compacting {
		t.Error("the compactors run in a store of one user")
	}
}

// TestAStoreUnderLoadIsCompactedAndThenRests overwrites 8 MB of records until there were 160 MB of writes, more than
// Badger takes without compaction, while others read. No write waits for level 0, what was overwritten leaves the disk,
// no record is lost, and in the end nothing runs.
func TestAStoreUnderLoadIsCompactedAndThenRests(t *testing.T) {
	t.Parallel()
	const records, size, rounds, stall = 256, 32 << 10, 20, 15
	dir, tuned := t.TempDir(), defaultTuning()
	tuned.restAfter = 100 * time.Millisecond
	s := openAt(t, dir, time.Now(), tuned)
	key := func(i int) string {
		return string(prefixServer) + string(binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	payload := func(i, round int) []byte {
		r, content := rand.NewChaCha8([32]byte{byte(i), byte(round)}), make([]byte, size)
		_, _ = r.Read(content)
		return binary.BigEndian.AppendUint32(content, uint32(round))
	}
	var round, most, seen atomic.Int64
	stop, readers := make(chan struct{}), sync.WaitGroup{}
	read := func(i int) (got []byte, err error) {
		err = s.driver.engine.transaction(false, func(txn *badger.Txn) error {
			got, err = s.driver.readView(txn).get(key(i))
			return err
		})
		return got, err
	}
	readers.Go(func() {
		for i := 0; ; i = (i + 1) % records {
			select {
			case <-stop:
				return
			default:
			}
			before := round.Load()
			got, err := read(i)
			if err != nil && !(before == 0 && errors.Is(err, storage.ErrNotFound)) {
				t.Errorf("reading in round %d: %v", before, err)
				return
			}
			if err == nil && int64(binary.BigEndian.Uint32(got[size:])) < before-1 {
				t.Errorf("in round %d a record is of round %d", before, binary.BigEndian.Uint32(got[size:]))
				return
			}
			tables, compacting := levelZero(s)
			most.Store(max(most.Load(), int64(tables)))
			if compacting {
				seen.Add(1)
			}
		}
	})
	slowest := time.Duration(0)
	for n := range rounds {
		round.Store(int64(n))
		for i := range records / 8 {
			began := time.Now()
			must(t, s.driver.write(t.Context(), func(v *view) (err error) {
				for j := range 8 {
					err = errors.Join(err, v.put(key(8*i+j), payload(8*i+j, n)))
				}
				return err
			}))
			slowest = max(slowest, time.Since(began))
		}
	}
	close(stop)
	readers.Wait()
	t.Logf("the slowest write took %v, level 0 had %d tables at most", slowest, most.Load())
	if most.Load() >= stall || seen.Load() == 0 {
		t.Errorf("level 0 had %d tables, want fewer than %d; the compactors were seen running %d times", most.Load(), stall, seen.Load())
	}
	eventually(t, "it is compacted, and the compactors rest", func() bool {
		tables, compacting := levelZero(s)
		return tables < 5 && !compacting
	})
	if got, want := tableBytes(t, dir), int64(records*size*8); got > want {
		t.Errorf("the tables take %d MB, want %d at most: 8 of records, and what waits in level 0", got>>20, want>>20)
	}
	check := func(what string) {
		for i := range records {
			if got, err := read(i); err != nil || !bytes.Equal(got, payload(i, rounds-1)) {
				t.Errorf("%s: record %d has %d bytes, %v, and is not the last one", what, i, len(got), err)
			}
		}
	}
	check("after the load")
	must(t, s.Close())
	s = openAt(t, dir, time.Now(), defaultTuning())
	check("after another start")
}

// TestAStoreWithMuchToCompactIsCompactedAfterItsStart restarts so often that level 0 has a table too many of each.
func TestAStoreWithMuchToCompactIsCompactedAfterItsStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	starts := 0
	for disk.LevelZeroTables(filepath.Join(dir, dirBadger)) < 5 {
		if starts++; starts > 100 {
			t.Fatal("level 0 never has 5 tables: the test shows nothing")
		}
		s := openIn(t, dir) // a slow one may be compacted before it is closed
		_, err := s.Login(t.Context(), loginAs(fmt.Sprint("o", starts), fmt.Sprintf("session0session0se%03d", starts)))
		must(t, err)
		must(t, s.Close())
	}
	s := openIn(t, dir)
	eventually(t, "level 0 is compacted", func() bool {
		tables, _ := levelZero(s)
		return tables < 5
	})
}

// TestADiskWithoutRoomForTheMemoryTablesLeavesTheCompactorsAlone: opening the database again would write them.
func TestADiskWithoutRoomForTheMemoryTablesLeavesTheCompactorsAlone(t *testing.T) {
	t.Parallel()
	d := new(fakeDisk)
	d.freeMB.Store(1000)
	s := d.open(t, t.TempDir())
	if !s.driver.guard.canReopen() {
		t.Error("the database cannot be opened again on a disk with room")
	}
	d.freeMB.Store(20)
	if s.driver.guard.canReopen() {
		t.Error("the database would be opened again on a full disk")
	}
	d.freeMB.Store(1000)
}

// TestAStoreThatIsNeverLookedAtIsCompacted ends so soon after each start that nobody looks at its levels: level 0 grew
// until Badger blocked in the start, which adds what the log of the last one holds.
func TestAStoreThatIsNeverLookedAtIsCompacted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for start := range 2 * compactFrom {
		s := openIn(t, dir)
		_, compacting := levelZero(s)
		if start > compactFrom && !compacting {
			t.Fatalf("start %d has no compactors", start)
		}
		_, err := s.Login(t.Context(), loginAs(fmt.Sprint("o", start), fmt.Sprintf("session0session0ses%02d", start)))
		must(t, err)
		must(t, s.Close())
		if compacting {
			return
		}
	}
	t.Error("the compactors never ran")
}

// TestASnapshotOutlivesTheNeedForCompactors, which run once it is read, or when level 0 is nearly full.
func TestASnapshotOutlivesTheNeedForCompactors(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	d := s.driver
	for name, row := range map[string]struct {
		snapshots int64
		waits     bool
	}{"none": {0, false}, "one": {1, true}} {
		d.snapshots.Store(row.snapshots)
		if got := d.waitsForSnapshots(); got != row.waits {
			t.Errorf("%s: %t", name, got)
		}
	}
	d.snapshots.Store(0)
	err := s.Snapshot(t.Context(), func(storage.Record) error {
		if d.snapshots.Load() != 1 {
			t.Errorf("%d snapshots are counted", d.snapshots.Load())
		}
		return nil
	})
	must(t, err)
	if n := d.snapshots.Load(); n != 0 {
		t.Errorf("%d snapshots are counted when none is read", n)
	}
}
