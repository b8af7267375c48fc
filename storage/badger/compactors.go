package badger

import (
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"wxgate/storage/badger/disk"
)

// Badger's compactors look for work twenty times a second, each of them, which is nine tenths of what an idle process
// costs, and Badger starts and stops them only with the database. So the database is opened without them; it is opened
// again with them when there is something to compact, and without them when nothing was for restAfter. Reads and writes
// wait for about ten milliseconds each time. Without compactors Badger blocks writes at fifteen tables in level 0 and
// compacts from five on, and the writer looks at the levels at least four times a table.
const (
	compactors    = 2
	compactFrom   = 5                     // tables in level 0, from which on the database is opened with compactors: opening adds up to four
	compactAtLast = 9                     // tables in level 0, from which on it does not wait for snapshots
	lookAfter     = disk.MemTableSize / 4 // bytes that are written between two looks
	restAfter     = 10 * time.Minute
)

// tendCompactors has the compactors run while they have work, and rest when they had none for some time. Only whoever
// writes calls it. On a disk without room for the memory tables, which are written each time, everything stays as it is.
func (d *database) tendCompactors() {
	e := d.engine
	need := e.needsCompaction()
	if need || e.unlooked >= lookAfter {
		e.busy, e.unlooked = time.Now(), 0
	}
	rest := !need && time.Since(e.busy) > d.tuning.restAfter
	if e.compacts != need && (need || rest) && !d.waitsForSnapshots() && d.guard.canReopen() {
		e.runCompactors(need)
	}
}

// waitsForSnapshots reports whether the compactors are to stay as they are, because opening the database again would end snapshots that
// are being read. Before Badger blocks writes, it does not wait.
func (d *database) waitsForSnapshots() bool {
	return d.snapshots.Load() > 0 && d.engine.tablesInLevel0() < compactAtLast
}

// tablesInLevel0 is how many tables are not compacted at all.
func (e *engine) tablesInLevel0() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.db == nil {
		return 0
	}
	return e.db.Levels()[0].NumTables
}

// needsCompaction reports whether a level has more than it should.
func (e *engine) needsCompaction() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.db != nil && !e.readOnly && slices.ContainsFunc(e.db.Levels(), func(l badger.LevelInfo) bool { return l.Score >= 1 })
}

// runCompactors opens the database again if the compactors do not run as they should. After an error it is closed, as
// after one of reopen.
func (e *engine) runCompactors(run bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.db == nil || e.readOnly || e.compacts == run {
		return
	}
	e.compacts = run
	if err := e.reopenLocked(false); err != nil {
		e.log.Error("reopening the store", "error", err)
		return
	}
	e.log.Debug("the compactors of the store changed", "run", run)
}
