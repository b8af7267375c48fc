// Package badger keeps users, session_keys, sessions and revocations in a folder, for one process.
//
// Every method is atomic and safe for concurrent use. A nil error from a write means that it is on the disk. Damaged
// files are refused at Open or answered with storage.ErrDamaged, never served; a full disk refuses writes with
// storage.ErrUnavailable while reads go on, and wakes up by itself when there is room again.
package badger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// Store is an open folder. Close it.
type Store struct {
	id     string
	nextID string // of a restore that was cut off: the database may have it already
	epoch  string // of this opening
	epochs atomic.Pointer[map[string]time.Time]
	dir    string
	log    *slog.Logger
	now    func() time.Time
	tuning
	sealer *sealer
	engine *engine
	guard  *guard

	registerer prometheus.Registerer
	metrics    *metrics

	queue   chan *operation
	turns   chan turn
	lent    sync.RWMutex  // held while the folder is; reads wait for it
	closing chan struct{} // closed by Close
	stopped chan struct{} // closed by the writer when it is gone
	forgot  chan struct{} // closed by the forgetter when it is gone
	ending  sync.Once
	ended   error

	lock      *disk.Lock
	highWater *disk.HighWater

	forgetting forgetful
	past       atomic.Int64 // what Past says, in Unix milliseconds
}

// Open opens the folder cfg.Badger.Dir, or makes it. The files are verified first, and nothing is changed when they are
// refused. Metrics are registered with reg, and unregistered by Close. now is the time by which records expire.
//
// Errors wrap storage.ErrLocked, ErrDamaged, ErrNewerSchema, or ErrUnavailable when a new store finds a full disk.
func Open(cfg storage.Config, reg prometheus.Registerer, log *slog.Logger, now func() time.Time) (*Store, error) {
	return open(cfg, reg, log, now, defaultTuning())
}

// tuning is what the machine decides and a test may decide instead.
type tuning struct {
	statfs       disk.StatFS
	ran          func() time.Duration // a monotonic clock
	migrateBatch int                  // records of a transaction
	migrated     func()               // called after each of them
}

func defaultTuning() tuning {
	began := time.Now()
	return tuning{
		statfs: disk.SpaceOf, ran: func() time.Duration { return time.Since(began) }, migrateBatch: migrateBatch, migrated: func() {},
	}
}

func open(cfg storage.Config, reg prometheus.Registerer, log *slog.Logger, now func() time.Time, t tuning) (*Store, error) {
	s := newStore(cfg.Badger.Dir, reg, log, now, t)
	if err := s.start(cfg.EncryptionKey); err != nil {
		return nil, errors.Join(openError(s.dir, err), s.release())
	}
	go s.writer()
	go s.forgetter()
	return s, nil
}

func newStore(dir string, reg prometheus.Registerer, log *slog.Logger, now func() time.Time, t tuning) *Store {
	return &Store{
		dir: dir, epoch: newEpochID(), log: log, now: now, tuning: t, registerer: reg,
		queue:   make(chan *operation, queueLength),
		turns:   make(chan turn),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
		forgot:  make(chan struct{}),
	}
}

// openError says what a person reads who starts the gateway: one line, and what to do.
func openError(dir string, err error) error {
	return oneLine{fmt.Errorf("opening %s: %w%s", dir, err, advice(dir, err))}
}

// advice says what to do about an error of start.
func advice(dir string, err error) string {
	switch {
	case errors.Is(err, storage.ErrDamaged):
		return "; restore the folder from a backup"
	case errors.Is(err, storage.ErrWrongKey):
		return "; the data are intact, do not restore them: put the old key back"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return "; storage.badger.dir wants a folder: " + obstacle(dir)
	}
	return ""
}

// obstacle names what stands where the data folder should be.
func obstacle(dir string) string {
	at := filepath.Clean(dir)
	for {
		info, err := os.Lstat(at)
		switch {
		case err == nil && info.Mode()&fs.ModeSymlink != 0:
			return at + " is a link to nothing; make the folder that it points to, or remove the link"
		case err == nil:
			return at + " is a file; move it away, or name another folder"
		case filepath.Dir(at) == at:
			return dir + " cannot be made"
		}
		at = filepath.Dir(at)
	}
}

// oneLine is an error whose text has no line breaks, which those of Badger have.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.ReplaceAll(e.error.Error(), "\n", ": ") }
func (e oneLine) Unwrap() error { return e.error }

// ID is the random id of the data set, made with it. A wiped folder gets another one, and tokens that name the old one
// cannot mean somebody else.
func (s *Store) ID() string { return s.id }

// Ready says nil while the store reads and writes, or ErrUnavailable.
func (s *Store) Ready(ctx context.Context) error {
	select {
	case <-s.closing:
		return errClosed
	default:
	}
	if s.guard.refusing.Load() {
		return fmt.Errorf("%s takes no writes: %w", s.dir, storage.ErrUnavailable)
	}
	return ctx.Err()
}

// readView is what a read sees, writeView what a batch of writes does.
func (s *Store) readView(txn *badger.Txn) *view {
	return &view{log: s.log, txn: txn, now: s.now(), epoch: s.epoch}
}

func (s *Store) writeView(txn *badger.Txn) *view {
	v := s.readView(txn)
	v.batch = map[string]pending{}
	if v.horizon = s.forgetting.horizon; v.horizon.At.IsZero() { // a store that is being made or migrated
		v.horizon.At = v.now
	}
	return v
}

// read runs fn on the newest state.
func (s *Store) read(ctx context.Context, o opName, fn func(*view) error) error {
	defer s.metrics.observe(o, time.Now())
	if err := ctx.Err(); err != nil {
		return err
	}
	s.lent.RLock()
	defer s.lent.RUnlock()
	return s.engine.transaction(false, func(txn *badger.Txn) error {
		return fn(s.readView(txn))
	})
}

// Close waits for the commit that is under way, refuses what comes after with ErrUnavailable, and gives the folder back.
// Closing again does nothing and returns the same.
func (s *Store) Close() error {
	s.ending.Do(func() {
		close(s.closing)
		<-s.stopped
		<-s.forgot
		s.ended = s.release()
	})
	return s.ended
}

// release gives back whatever start had taken.
func (s *Store) release() error {
	var errs []error
	if s.engine != nil {
		errs = append(errs, s.guard.close())
	}
	if s.highWater != nil {
		errs = append(errs, s.highWater.Close())
	}
	if s.metrics != nil {
		s.metrics.unregister(s.registerer)
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Release())
	}
	return errors.Join(errs...)
}
