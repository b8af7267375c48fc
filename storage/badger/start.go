package badger

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// The files of a store.
const (
	fileSentinel  = "STORE"
	fileKey       = "storage.key"
	fileHighWater = "high-water"
	filePlace     = "place"
	dirBadger     = "badger"
	dirDraft      = "badger.new" // the database of a store that is being made
)

// database is a data folder, from its lock to its records.
type database struct {
	dir string
	log *slog.Logger
	now func() time.Time
	tuning
	registerer prometheus.Registerer
	metrics    *metrics
	snapshots  atomic.Int64 // that are being read

	id       string
	nextID   string // of a restore or SetID that was cut off: the database may have it already
	epoch    string // of this opening
	epochs   atomic.Pointer[map[string]time.Time]
	sealer   *storage.Sealer
	keyNoted bool // the sentinel has the key that seals; of the writer

	lock      *disk.Lock
	highWater *disk.HighWater
	engine    *engine
	guard     *guard

	forgetting forgetful
	past       atomic.Int64 // what Past says, in Unix milliseconds
}

func newDatabase(dir string, reg prometheus.Registerer, log *slog.Logger, now func() time.Time, t tuning) *database {
	return &database{dir: dir, epoch: newEpochID(), log: log, now: now, tuning: t, registerer: reg}
}

// ID is the random id of the data set, made with it.
func (d *database) ID() string { return d.id }

// Epoch is the id of this opening.
func (d *database) Epoch() string { return d.epoch }

// EpochEnd is when an epoch ended that memory knows.
func (d *database) EpochEnd(epoch string) (until time.Time, known bool) {
	until, known = (*d.epochs.Load())[epoch]
	return until, known
}

// Sealer seals with the key of the folder.
func (d *database) Sealer() *storage.Sealer { return d.sealer }

// Past is the time before which whatever ended is forgotten.
func (d *database) Past() time.Time { return time.UnixMilli(d.past.Load()) }

func (d *database) path(name string) string { return filepath.Join(d.dir, name) }

// start does what Open promises, in such an order that the folder opens again after a kill at any moment.
func (d *database) start(configured storage.EncryptionKeys) (err error) {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	if d.lock, err = disk.Acquire(d.dir); err != nil {
		return err
	}
	if err := d.watch(); err != nil {
		return err
	}
	known, err := creation{d}.identify(configured)
	if err != nil {
		return err
	}
	d.id, d.nextID = known.ID, known.NextID
	if err := d.wantRoomToMigrate(known); err != nil {
		return err
	}
	copied := d.isCopied()
	if err := d.wantRoomForCopy(copied); err != nil {
		return err
	}
	if err := d.openVerified(); err != nil {
		return err
	}
	d.lock.Sign()
	if err := d.migrate(known); err != nil {
		return err
	}
	if err := d.finishRename(known); err != nil {
		return err
	}
	return d.takeStock(copied)
}

// finishRename gives the database the id that it was about to get when the process ended.
func (d *database) finishRename(known disk.Sentinel) error {
	if !known.Renamed {
		return nil
	}
	if err := d.update(func(v *view) error { return v.put(keyStoreID, []byte(known.NextID)) }); err != nil {
		return err
	}
	d.id, d.nextID = known.NextID, ""
	return known.WithNextID().Write(d.path(fileSentinel))
}

// watch registers the metrics and creates the guards of the disk.
func (d *database) watch() (err error) {
	if d.metrics, err = newMetrics(d.registerer, d.dir); err != nil {
		return err
	}
	d.guard = &guard{dir: d.dir, statfs: d.statfs, log: d.log, gauge: d.metrics.writable}
	return nil
}

// takeStock reads the time and epochs of the newest commit, and gives the folder its place.
func (d *database) takeStock(copied bool) error {
	reached, err := d.reached()
	if err != nil {
		return err
	}
	d.beginForgetting(reached)
	if copied {
		if err := d.endCopied(reached); err != nil {
			return err
		}
	}
	disk.NotePlace(d.path(filePlace))
	return d.learnEpochs()
}

// reached is what the newest commit noted.
func (d *database) reached() (reached counters, err error) {
	err = d.engine.transaction(false, func(txn *badger.Txn) error {
		reached, err = d.readView(txn).counters()
		return err
	})
	return reached, err
}

// learnEpochs reads which epochs tokens may be of.
func (d *database) learnEpochs() error {
	return d.engine.transaction(false, func(txn *badger.Txn) error {
		known, err := epochsOf(d.readView(txn))
		if err == nil {
			d.epochs.Store(&known)
		}
		return err
	})
}

// wantRoom refuses to create a store on a full disk.
func (d *database) wantRoom() error {
	if free, needed, full := d.full(); full {
		return fmt.Errorf("the disk has %d MB free and a new store needs %d: %w", free, needed, storage.ErrUnavailable)
	}
	return nil
}

// full reports whether the disk has less free than writing needs, both in MB.
func (d *database) full() (free, needed uint64, full bool) {
	now, err := d.statfs(d.dir)
	return now.Free >> 20, now.Watermark() >> 20, err == nil && now.Free < now.Watermark()
}

// openVerified verifies the files and opens them, read-only when the disk is full.
func (d *database) openVerified() error {
	noted, err := disk.ReadHighWater(d.path(fileHighWater))
	if err != nil {
		return err
	}
	mark, _ := decodeCounters(noted) // what is not of ours says nothing
	found, err := disk.Inspect(d.path(dirBadger), ourRecords())
	if err != nil {
		return err
	}
	if found.Reached.Number < mark.Commits {
		return fmt.Errorf("the last %d of %d commits are lost: %w",
			mark.Commits-found.Reached.Number, mark.Commits, storage.ErrDamaged)
	}
	if err := d.openEngine(found); err != nil {
		return err
	}
	if d.highWater, err = disk.OpenHighWater(d.path(fileHighWater)); err != nil {
		return err
	}
	reached, err := countersOf(found.Reached.Counters)
	reached.raise(d.highWater)
	return err
}

// openEngine opens the database and looks whether Badger found what inspect had found.
func (d *database) openEngine(found disk.Inspection) error {
	now, err := d.statfs(d.dir)
	if err != nil {
		return err
	}
	if err := found.Tidy(); err != nil {
		return err
	}
	d.engine = newEngine(d.path(dirBadger), d.log)
	if err := d.guard.open(d.engine, now); err != nil {
		return err
	}
	return d.engine.transaction(false, func(txn *badger.Txn) error {
		return d.recognise(d.readView(txn), found)
	})
}

func (d *database) isMine(id string) bool { return id == d.id || d.nextID != "" && id == d.nextID }

func (d *database) recognise(v *view, found disk.Inspection) error {
	id, err := v.get(keyStoreID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !d.isMine(string(id)) {
		return fmt.Errorf("%s does not belong to %s: %w", d.path(dirBadger), d.path(fileSentinel), storage.ErrDamaged)
	}
	if err != nil {
		return err
	}
	opened, err := v.counters()
	if err != nil {
		return err
	}
	reached, err := countersOf(found.Reached.Counters)
	if err == nil && opened != reached {
		err = fmt.Errorf("the database opened at commit %d of %d: %w", opened.Commits, reached.Commits, storage.ErrDamaged)
	}
	return err
}

// noteKey notes the key that seals, before the first secret that this process seals is committed. The writer calls it.
func (d *database) noteKey() error {
	if d.keyNoted {
		return nil
	}
	err := d.changeKeys(func(was storage.KeyChecks) storage.KeyChecks { return was.With(d.sealer) })
	if err != nil {
		return fmt.Errorf("noting the encryption key: %w: %w", storage.ErrUnavailable, err)
	}
	d.keyNoted = true
	return nil
}

// changeKeys changes which keys secrets may be sealed with.
func (d *database) changeKeys(change func(was storage.KeyChecks) storage.KeyChecks) error {
	known, err := disk.ReadSentinel(d.path(fileSentinel))
	if err != nil {
		return err
	}
	if next := known.WithKeyChecks(change(known.KeyChecks())); next != known {
		return next.Write(d.path(fileSentinel))
	}
	return nil
}

// readView is what a read sees, writeView what a batch of writes does.
func (d *database) readView(txn *badger.Txn) *view {
	return &view{log: d.log, txn: txn, now: d.now(), epoch: d.epoch}
}

func (d *database) writeView(txn *badger.Txn) *view {
	v := d.readView(txn)
	v.batch, v.noteKey = map[string]pending{}, d.noteKey
	if v.horizon = d.forgetting.horizon; v.horizon.At.IsZero() { // a store that is being made or migrated
		v.horizon.At = v.now
	}
	return v
}

// update runs one write before there is a writer, updateIn in a database that may be another.
func (d *database) update(run func(*view) error) error { return d.updateIn(d.engine, run) }

func (d *database) updateIn(e *engine, run func(*view) error) error {
	size := 0
	err := e.transaction(true, func(txn *badger.Txn) error {
		v := d.writeView(txn)
		if err := v.attempt(run); err != nil {
			return err
		}
		_, err := v.flush()
		size = v.size
		return err
	})
	if e.unlooked += size; e == d.engine && e.unlooked >= lookAfter {
		d.tendCompactors()
	}
	return err
}

// release releases whatever start has acquired.
func (d *database) release() error {
	var errs []error
	if d.engine != nil {
		errs = append(errs, d.guard.close())
	}
	if d.highWater != nil {
		errs = append(errs, d.highWater.Close())
	}
	if d.metrics != nil {
		d.metrics.unregister(d.registerer)
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Release())
	}
	return errors.Join(errs...)
}
