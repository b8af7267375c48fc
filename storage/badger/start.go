package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

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

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// start does what Open promises, in an order in which a kill at any moment leaves something that opens.
func (s *Store) start(configured storage.EncryptionKey) (err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if s.lock, err = disk.Acquire(s.dir); err != nil {
		return err
	}
	if err := s.watch(); err != nil {
		return err
	}
	known, err := s.identify(configured)
	if err != nil {
		return err
	}
	s.id = known.ID
	if err := s.wantRoomToMigrate(known); err != nil {
		return err
	}
	copied := s.isCopied()
	if err := s.wantRoomForCopy(copied); err != nil {
		return err
	}
	if err := s.openVerified(); err != nil {
		return err
	}
	s.lock.Sign()
	if err := s.migrate(known); err != nil {
		return err
	}
	return s.takeStock(copied)
}

// watch registers the metrics, and makes what guards the disk.
func (s *Store) watch() (err error) {
	if s.metrics, err = newMetrics(s.registerer, s.dir); err != nil {
		return err
	}
	s.guard = &guard{dir: s.dir, statfs: s.statfs, log: s.log, gauge: s.metrics.writable}
	return nil
}

// takeStock reads what the newest commit says of time and epochs, and gives the folder its place.
func (s *Store) takeStock(copied bool) error {
	reached, err := s.reached()
	if err != nil {
		return err
	}
	s.beginForgetting(reached)
	if copied {
		if err := s.endCopied(reached); err != nil {
			return err
		}
	}
	disk.NotePlace(s.path(filePlace))
	return s.learnEpochs()
}

// reached is what the newest commit noted.
func (s *Store) reached() (reached counters, err error) {
	err = s.engine.transaction(false, func(txn *badger.Txn) error {
		reached, err = s.readView(txn).counters()
		return err
	})
	return reached, err
}

// learnEpochs reads which epochs tokens may be of.
func (s *Store) learnEpochs() error {
	return s.engine.transaction(false, func(txn *badger.Txn) error {
		known, err := epochsOf(s.readView(txn))
		if err == nil {
			s.epochs.Store(&known)
		}
		return err
	})
}

// identify reads the sentinel, or makes a new store when the folder holds none.
func (s *Store) identify(configured storage.EncryptionKey) (disk.Sentinel, error) {
	known, err := disk.ReadSentinel(s.path(fileSentinel))
	isNew := errors.Is(err, fs.ErrNotExist)
	if err != nil && !isNew {
		return disk.Sentinel{}, err
	}
	if isNew && disk.Exists(s.path(dirBadger)) {
		return disk.Sentinel{}, fmt.Errorf("%s is there but %s is lost: %w",
			s.path(dirBadger), s.path(fileSentinel), storage.ErrDamaged)
	}
	if isNew {
		if err := s.wantRoom(); err != nil {
			return disk.Sentinel{}, err
		}
	}
	if err := s.unlockSeal(configured, isNew); err != nil {
		return disk.Sentinel{}, err
	}
	if isNew {
		known = disk.NewSentinel(s.sealer.check, stamp(s.now()))
		err = s.create(known)
	} else {
		err = s.finishCreation(known)
	}
	return known, err
}

// wantRoom refuses to make a store on a disk that is full.
func (s *Store) wantRoom() error {
	if free, needed, full := s.full(); full {
		return fmt.Errorf("the disk has %d MB free and a new store needs %d: %w", free, needed, storage.ErrUnavailable)
	}
	return nil
}

// full reports whether the disk has less free than writing needs, both in MB.
func (s *Store) full() (free, needed uint64, full bool) {
	now, err := s.statfs(s.dir)
	return now.Free >> 20, now.Watermark() >> 20, err == nil && now.Free < now.Watermark()
}

// unlockSeal readies the sealer with the configured key or that of the key file.
func (s *Store) unlockSeal(configured storage.EncryptionKey, isNew bool) error {
	key, err := disk.EncryptionKey(configured, s.path(fileKey), isNew)
	if err != nil {
		return err
	}
	if configured.IsZero() {
		disk.WarnReadable(s.log, s.path(fileKey))
	}
	s.sealer, err = newSealer(key)
	return err
}

// create makes the database aside, then the sentinel, then gives the database its name. Before the sentinel is there
// nothing was promised, and after it finishCreation goes on.
func (s *Store) create(known disk.Sentinel) error {
	draft := s.path(dirDraft)
	if err := os.RemoveAll(draft); err != nil {
		return err
	}
	if err := s.draft(draft, known.ID); err != nil {
		return err
	}
	if err := known.Write(s.path(fileSentinel)); err != nil {
		return err
	}
	return s.finishCreation(known)
}

// draft makes a database that knows its id.
func (s *Store) draft(dir, id string) error {
	e := newEngine(dir, s.log)
	if err := e.open(false); err != nil {
		return err
	}
	err := e.transaction(true, func(txn *badger.Txn) error {
		v := s.writeView(txn)
		if err := v.attempt(func(v *view) error { return v.put(keyStoreID, []byte(id)) }); err != nil {
			return err
		}
		_, err := v.flush()
		return err
	})
	return errors.Join(err, e.close())
}

// finishCreation gives the database of a store that was just made its name, and checks that the key is the store's.
func (s *Store) finishCreation(known disk.Sentinel) error {
	if known.KeyCheck != s.sealer.check {
		return fmt.Errorf("the encryption key (storage.encryption_key or %s) is not the one the data were sealed with: %w",
			s.path(fileKey), storage.ErrWrongKey)
	}
	if disk.Exists(s.path(dirBadger)) || !disk.Exists(s.path(dirDraft)) {
		return nil
	}
	if _, err := disk.Inspect(s.path(dirDraft), ourRecords()); err != nil {
		return err
	}
	if err := os.Rename(s.path(dirDraft), s.path(dirBadger)); err != nil {
		return err
	}
	return disk.SyncDir(s.dir)
}

// openVerified verifies the files and opens them, read-only when the disk is full.
func (s *Store) openVerified() error {
	noted, err := disk.ReadHighWater(s.path(fileHighWater))
	if err != nil {
		return err
	}
	mark, _ := decodeCounters(noted) // what is not of ours says nothing
	found, err := disk.Inspect(s.path(dirBadger), ourRecords())
	if err != nil {
		return err
	}
	if found.Reached.Number < mark.Commits {
		return fmt.Errorf("the last %d of %d commits are lost: %w",
			mark.Commits-found.Reached.Number, mark.Commits, storage.ErrDamaged)
	}
	if err := s.openEngine(found); err != nil {
		return err
	}
	if s.highWater, err = disk.OpenHighWater(s.path(fileHighWater)); err != nil {
		return err
	}
	reached, err := countersOf(found.Reached.Counters)
	reached.raise(s.highWater)
	return err
}

// openEngine opens the database and looks whether Badger found what inspect had found.
func (s *Store) openEngine(found disk.Inspection) error {
	now, err := s.statfs(s.dir)
	if err != nil {
		return err
	}
	if err := found.Tidy(); err != nil {
		return err
	}
	s.engine = newEngine(s.path(dirBadger), s.log)
	if err := s.guard.open(s.engine, now); err != nil {
		return err
	}
	return s.engine.transaction(false, func(txn *badger.Txn) error {
		return s.recognise(s.readView(txn), found)
	})
}

func (s *Store) isMine(id string) bool { return id == s.id || s.nextID != "" && id == s.nextID }

func (s *Store) recognise(v *view, found disk.Inspection) error {
	id, err := v.get(keyStoreID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !s.isMine(string(id)) {
		return fmt.Errorf("%s does not belong to %s: %w", s.path(dirBadger), s.path(fileSentinel), storage.ErrDamaged)
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
