package badger

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// Restored is the result of a restore.
type Restored struct {
	Latest time.Time // the last write of the backup: what happened later is not in it
	Users  uint64    // the next new user gets an id above it
	Ended  int       // sessions
	Banned []string  // the ids of users who are banned, as of the backup
	ID     string    // of the data set, which tokens name from now on
}

// Restore makes a folder that was restored from a backup safe to serve: it ends every session and gives the data set a
// new id, so that no earlier token is accepted. New users get ids from nextUserID on, if that is above those of the
// backup. Bans stay as in the backup. The folder must not be in use. An interrupted restore leaves a folder that is
// refused until it is repeated. tell is called with how many sessions are done, ended ones too, and how many there are.
func Restore(dir string, nextUserID uint64, log *slog.Logger, now func() time.Time, tell func(done, all int64)) (Restored, error) {
	d := newDatabase(dir, prometheus.NewRegistry(), log, now, defaultTuning())
	done, err := d.restore(nextUserID, tell)
	err = errors.Join(err, d.release())
	if errors.Is(err, storage.ErrDamaged) {
		return Restored{}, oneLine{fmt.Errorf("opening %s: %w; put back another backup of the folder", dir, err)}
	}
	if err != nil {
		return Restored{}, openError(dir, err)
	}
	return done, nil
}

func (d *database) restore(nextUserID uint64, tell func(done, all int64)) (done Restored, err error) {
	if !disk.Exists(d.path(fileSentinel)) {
		return done, fmt.Errorf("%s does not exist: this is not a data folder", d.path(fileSentinel))
	}
	if d.lock, err = disk.Acquire(d.dir); err != nil {
		return done, err
	}
	if err := d.watch(); err != nil {
		return done, err
	}
	known, err := disk.ReadSentinel(d.path(fileSentinel))
	if err != nil && !errors.Is(err, disk.ErrHalfRestored) {
		return done, err
	}
	if err := cmp.Or(storage.CheckComplete(known.ID), storage.CheckComplete(known.NextID)); err != nil {
		return done, err
	}
	if done.Latest, err = d.openRestored(known); err != nil {
		return done, err
	}
	known.Schema, known.Migrating = disk.Schema, 0
	done.ID = disk.NewSentinel(storage.Stamp(d.now())).ID
	if known.NextID != "" {
		done.ID = known.NextID
	}
	known.NextID = done.ID // from here on the folder is refused until all of this is done
	if err := known.Write(d.path(fileSentinel)); err != nil {
		return done, err
	}
	if err := d.endSessions(&done, tell); err != nil {
		return done, err
	}
	if err := d.restoreRecords(&done, nextUserID); err != nil {
		return done, err
	}
	known.ID, known.NextID = done.ID, ""
	disk.NotePlace(d.path(filePlace))
	return done, known.Write(d.path(fileSentinel))
}

// openRestored verifies and opens the folder, which may have either id, and says when it was written last.
func (d *database) openRestored(known disk.Sentinel) (latest time.Time, err error) {
	d.id, d.nextID = known.ID, known.NextID
	if err := d.wantRoom(); err != nil {
		return latest, err
	}
	if err := d.openVerified(); err != nil {
		return latest, err
	}
	d.lock.Sign()
	if err := d.migrate(known); err != nil {
		return latest, err
	}
	reached, err := d.reached()
	if err != nil {
		return latest, err
	}
	d.forgetting.horizon = reached.horizon(d.now()) // a wrong clock is not believed here either
	return time.UnixMilli(reached.Latest).UTC(), nil
}

// endSessions ends every session.
func (d *database) endSessions(done *Restored, tell func(done, all int64)) error {
	all, seen := int64(0), int64(0)
	err := d.engine.transaction(false, func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefixSession}})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			all++
		}
		return nil
	})
	for next := string(prefixSession); err == nil && next != ""; tell(seen, all) {
		next, err = d.migrateSome(prefixSession, next, func(v *view, key string, _ []byte) error {
			seen++
			return done.endSession(v, key)
		})
		d.tuning.migrated()
	}
	return err
}

// restoreRecords raises the ids, refuses tokens of a backend, and then gives the data set its new id.
func (d *database) restoreRecords(done *Restored, nextUserID uint64) error {
	err := d.update(func(v *view) error {
		reached, err := v.count(func(c *counters) { c.Users = max(c.Users, nextUserID-min(nextUserID, 1)) })
		if err != nil {
			return err
		}
		done.Users = reached.Users
		if done.Banned, err = bannedUsers(v); err != nil {
			return err
		}
		if err := endForeign(v, done.Latest); err != nil {
			return err
		}
		return v.put(keyStoreID, []byte(done.ID))
	})
	d.tuning.migrated()
	return err
}

// endSession turns a living session into a marker.
func (done *Restored) endSession(v *view, key string) error {
	record, err := v.Session(key[1:])
	if err != nil || record.Ended {
		return err
	}
	done.Ended++
	if record.Rotation != 0 {
		v.DropRevocation(record.Rotation)
	}
	return v.PutSession(record.Marker())
}

// bannedUsers returns the ids of the users who are banned.
func bannedUsers(v *view) ([]string, error) {
	var bans storage.Bans
	for r, err := range v.revocations(0) {
		if err != nil {
			return nil, err
		}
		bans.Add(r)
	}
	return bans.At(v.now, func(id int64) (bool, error) {
		_, err := v.User(id)
		return err == nil, nil
	})
}
