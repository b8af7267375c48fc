// Package badger stores users, session_keys, sessions and revocations in a folder, for one process.
//
// Every method is atomic and safe for concurrent use. A nil error from a write means that it is on the disk. Damaged
// files are refused at Open or answered with storage.ErrDamaged, never served; a full disk refuses writes with
// storage.ErrUnavailable while reads continue, until there is room again.
package badger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// Store is an open folder. Close it.
type Store struct {
	*storage.Store
	driver *driver
}

// CheckPlace refuses a folder on a file system that ends with the machine or the container, unless cfg accepts that. The
// folder need not exist yet.
func CheckPlace(cfg storage.Badger) error {
	why := disk.Ephemeral(cfg.Dir)
	if why == "" || cfg.AcceptEphemeral {
		return nil
	}
	return fmt.Errorf("storage.badger.dir: %s is on %s: users, ids and logouts would be lost. Mount a disk or a volume there, or set storage.driver: mysql; "+
		"for a try, storage.badger.accept_ephemeral: true", cfg.Dir, why)
}

// KeyFile is the file of the key of a folder, which it has unless storage.encryption_key is configured.
func KeyFile(cfg storage.Badger) string { return filepath.Join(cfg.Dir, fileKey) }

// KeyOf reads that key, or returns fs.ErrNotExist.
func KeyOf(cfg storage.Badger) ([]byte, error) {
	if _, err := os.Stat(KeyFile(cfg)); err != nil {
		return nil, err
	}
	return disk.EncryptionKey(KeyFile(cfg), false)
}

// PutKey writes the key file of a folder that is to be filled. storage.ErrNotEmpty is one that has a store or a key.
func PutKey(cfg storage.Badger, key secret.Text) (err error) {
	decoded, err := storage.DecodeKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return err
	}
	lock, err := disk.Acquire(cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	for _, name := range []string{fileSentinel, dirBadger, fileKey} {
		if path := filepath.Join(cfg.Dir, name); disk.Exists(path) {
			return fmt.Errorf("%s exists already: %w", path, storage.ErrNotEmpty)
		}
	}
	return disk.WriteKeyFile(KeyFile(cfg), decoded)
}

// Inspect looks for what Open would refuse in the folder, which may be in use and need not exist yet, and changes nothing. It
// does not read the records. Errors wrap storage.ErrIncomplete too.
func Inspect(cfg storage.Config) error {
	d := newDatabase(cfg.Badger.Dir, nil, slog.New(slog.DiscardHandler), time.Now, defaultTuning())
	known, err := creation{d}.find()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = cmp.Or(storage.CheckComplete(known.ID), storage.CheckComplete(known.NextID))
	}
	if err == nil && len(known.KeyChecks()) > 0 { // else it may be made yet
		err = creation{d}.unlock(known, cfg.EncryptionKeys)
	}
	if err != nil {
		return openError(d.dir, err)
	}
	return nil
}

// Open opens the folder cfg.Badger.Dir, or creates it. The files are verified first, and nothing is changed if they are
// refused. Metrics are registered with reg until Close. now is the clock by which records expire.
//
// Errors wrap storage.ErrLocked, ErrDamaged, ErrNewerSchema, or ErrUnavailable when a new store finds a full disk.
func Open(cfg storage.Config, reg prometheus.Registerer, log *slog.Logger, now func() time.Time) (*Store, error) {
	return open(cfg, reg, log, now, defaultTuning())
}

// tuning is what the machine decides and a test may decide instead.
type tuning struct {
	statfs       disk.StatFS
	ran          func() time.Duration // a monotonic clock
	restAfter    time.Duration        // that the compactors had no work
	migrateBatch int                  // records of a transaction
	migrated     func()               // called after each of them
}

func defaultTuning() tuning {
	began := time.Now()
	return tuning{
		restAfter: restAfter, statfs: disk.SpaceOf, ran: func() time.Duration { return time.Since(began) }, migrateBatch: migrateBatch, migrated: func() {},
	}
}

func open(cfg storage.Config, reg prometheus.Registerer, log *slog.Logger, now func() time.Time, t tuning) (*Store, error) {
	d := newDatabase(cfg.Badger.Dir, reg, log, now, t)
	if err := d.start(cfg.EncryptionKeys); err != nil {
		return nil, errors.Join(openError(d.dir, err), d.release())
	}
	driver := newDriver(d)
	store, err := storage.New(storage.DriverBadger, driver, reg, log)
	if err != nil {
		return nil, errors.Join(openError(d.dir, err), driver.Close())
	}
	return &Store{store, driver}, nil
}

// Shared reports that a folder has one process at a time.
func (d *driver) Shared() bool { return false }

// Release releases the folder to another process while the store stays open: reads and writes wait, as long as their
// contexts allow, until Reacquire or Close. After Close they return ErrUnavailable.
func (s *Store) Release(ctx context.Context) error {
	return s.driver.ask(ctx, handOver{false, make(chan error, 1)})
}

// Reacquire takes the folder back once no other process holds it. On an error the store stays released.
func (s *Store) Reacquire(ctx context.Context) error {
	return s.driver.ask(ctx, handOver{true, make(chan error, 1)})
}

// openError is for the person who starts the gateway: one line, with what to do.
func openError(dir string, err error) error {
	return oneLine{fmt.Errorf("opening %s: %w%s", dir, err, advice(dir, err))}
}

// advice returns what to do about an error of start.
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
