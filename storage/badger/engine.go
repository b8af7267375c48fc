package badger

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// engine is the Badger database, which can change between writable and read-only under its readers: on a full disk a
// writable Badger kills the process (it writes through mmap, and that is a SIGBUS), a read-only one writes nothing.
type engine struct {
	dir string
	log *slog.Logger

	mu       sync.RWMutex
	db       *badger.DB // nil while it could not be opened again, and after close
	readOnly bool
	compacts bool // with compactors, unless it is read-only

	// Of whoever writes.
	logs     *disk.LogReserve
	unlooked int       // bytes written since busy
	busy     time.Time // when the compactors last had work, or lookAfter bytes had been written
}

func newEngine(dir string, log *slog.Logger) *engine {
	return &engine{dir: dir, log: log, logs: disk.NewLogReserve(dir)}
}

// open opens the database; it is not open.
func (e *engine) open(readOnly bool) (err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.openLocked(readOnly)
}

func (e *engine) openLocked(readOnly bool) (err error) {
	defer recoverDamage(e.log, &err)
	if disk.LevelZeroTables(e.dir) >= compactFrom {
		e.compacts = true
	}
	db, err := badger.Open(e.options(readOnly))
	if err != nil {
		return fmt.Errorf("%w: %w", err, openFault(err))
	}
	e.db, e.readOnly = db, readOnly
	return nil
}

// openFault tells a locked folder from a damaged one.
func openFault(err error) error {
	if strings.Contains(err.Error(), "Another process is using this Badger database") {
		return storage.ErrLocked
	}
	return storage.ErrDamaged
}

// reopen switches between writable and read-only; reads wait for about ten milliseconds.
func (e *engine) reopen(readOnly bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reopenLocked(readOnly)
}

func (e *engine) reopenLocked(readOnly bool) error {
	if err := e.closeLocked(); err != nil {
		e.log.Warn("closing the database", "error", err)
	}
	return e.openLocked(readOnly)
}

// close writes the memory tables to disk and releases the folder.
func (e *engine) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closeLocked()
}

func (e *engine) closeLocked() (err error) {
	if e.db == nil {
		return nil
	}
	defer recoverDamage(e.log, &err)
	db := e.db
	e.db = nil
	e.logs.Release()
	return db.Close()
}

// abandon leaves the database as a killed process would: everything acknowledged is in its log already.
func (e *engine) abandon() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.db = nil
}

// state reports whether there is a database and whether it is read-only.
func (e *engine) state() (isOpen, readOnly bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.db != nil, e.readOnly
}

// transaction runs fn in a transaction of its own.
func (e *engine) transaction(update bool, fn func(*badger.Txn) error) error {
	return e.hold(func(db *badger.DB) error {
		txn := db.NewTransaction(update)
		defer txn.Discard()
		return fn(txn)
	})
}

// hold runs fn while the database stays open; a panic of Badger, which damaged tables cause, is ErrDamaged.
func (e *engine) hold(fn func(*badger.DB) error) (err error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.db == nil {
		return storage.ErrUnavailable
	}
	defer recoverDamage(e.log, &err)
	return fn(e.db)
}

// options suit few, small and precious records.
func (e *engine) options(readOnly bool) badger.Options {
	running := 0
	if e.compacts {
		running = compactors
	}
	return badger.DefaultOptions(e.dir).
		WithReadOnly(readOnly).
		WithSyncWrites(true).       // an acknowledged login survives power loss; the writer shares one sync among many
		WithDetectConflicts(false). // there is one writer
		WithMemTableSize(disk.MemTableSize).
		WithNumMemtables(3).
		WithBaseTableSize(1 << 20). // a compaction builds a dozen at once, in memory of twice their size: half of Badger's default
		WithNumCompactors(running).
		WithValueLogFileSize(16 << 20). // unused, every value lies in the tables, but mapped
		WithBlockCacheSize(16 << 20).
		WithIndexCacheSize(16 << 20).
		WithCompression(options.None).
		WithChecksumVerificationMode(options.NoVerification). // see envelope.go
		WithMetricsEnabled(false).                            // they are global
		WithLogger(badgerLog{e.log})
}

// badgerLog forwards Badger's log; its routine messages are at the debug level.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(format string, args ...any)   { l.log.Error(l.text(format, args)) }
func (l badgerLog) Warningf(format string, args ...any) { l.log.Warn(l.text(format, args)) }
func (l badgerLog) Infof(format string, args ...any)    { l.log.Debug(l.text(format, args)) }
func (l badgerLog) Debugf(string, ...any)               {} // several per write

func (badgerLog) text(format string, args []any) string {
	return "badger: " + strings.TrimSpace(fmt.Sprintf(format, args...))
}

// recoverDamage turns a panic, of Badger on damaged files, into ErrDamaged in *err.
func recoverDamage(log *slog.Logger, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("panic: %.200s: %w", fmt.Sprint(r), storage.ErrDamaged)
		log.Error("recovered", "error", *err, "stack", string(debug.Stack()))
	}
}
