package badger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// migrateBatch is how many records a transaction of a migration rewrites.
const migrateBatch = 1000

// Schema returns which schema the data in a folder have, 0 for none, and the newest that this program knows. Nothing is
// changed. An error wraps storage.ErrNewerSchema if the data are newer.
func Schema(dir string) (has, known int, err error) {
	sentinel, err := disk.ReadSentinel(filepath.Join(dir, fileSentinel))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, disk.Schema, nil
	}
	if err == nil && sentinel.Migrating != 0 {
		return sentinel.Migrating, disk.Schema, nil // cut off
	}
	return sentinel.Schema, disk.Schema, err
}

// wantRoomToMigrate refuses to migrate a store on a full disk before anything is changed.
func (d *database) wantRoomToMigrate(known disk.Sentinel) error {
	if free, needed, full := d.full(); known.IsOld() && full {
		return fmt.Errorf("the data are of schema 1 and the disk has no room to migrate them: %d MB are free, %d are needed: %w",
			free, needed, storage.ErrUnavailable)
	}
	return nil
}

// migrate converts the records from schema 1 to schema 2. The sentinel says so before the first record is changed, so
// that no older wxgate reads a mixture, and each step can be repeated: after a kill at any moment, the next start
// resumes the migration.
func (d *database) migrate(known disk.Sentinel) error {
	if !known.IsOld() {
		return nil
	}
	d.log.Warn("migrating the store; a wxgate from before cannot open it any more, and a copy of the folder from before is the only way back",
		"from", 1, "to", disk.Schema)
	known.Schema, known.Migrating = disk.Schema, 1
	if err := known.Write(d.path(fileSentinel)); err != nil {
		return err
	}
	d.tuning.migrated()
	if err := d.migrateRecords(); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	d.tuning.migrated()
	known.Migrating = 0
	return known.Write(d.path(fileSentinel))
}

// migrateRecords rewrites what differs in schema 2: sessions first, because the index is derived from them.
func (d *database) migrateRecords() error {
	legacy := epochRecord{}
	each := map[byte]func(*view, string, []byte) error{
		prefixSession: func(v *view, key string, payload []byte) error { return legacy.migrateSession(v, key, payload) },
		prefixRevoked: func(v *view, key string, payload []byte) error { return v.put(key, payload) },
		prefixServer:  func(v *view, key string, payload []byte) error { return v.put(key, payload) },
		prefixDevice:  migrateDevice,
	}
	for _, prefix := range []byte{prefixSession, prefixRevoked, prefixServer, prefixDevice} {
		for next := string(prefix); next != ""; {
			var err error
			if next, err = d.migrateSome(prefix, next, each[prefix]); err != nil {
				return err
			}
			d.tuning.migrated()
		}
	}
	return d.update(func(v *view) error {
		if legacy.Expires.IsZero() {
			return nil // no session, so no token
		}
		return v.putJSON(numbered(prefixEpoch, 0), legacy)
	})
}

// migrateSome rewrites the records from the key from on, and returns the key to go on from, "" when there is none.
func (d *database) migrateSome(prefix byte, from string, each func(*view, string, []byte) error) (next string, err error) {
	err = d.update(func(v *view) error {
		next = ""
		for key, payload := range allVersions(v, prefix, from, &err) {
			if len(v.op) >= d.tuning.migrateBatch {
				next = key
				break
			}
			if err := each(v, key, payload); err != nil {
				return err
			}
		}
		return err
	})
	return next, err
}

// allVersions walks over the newest version of each record, also of one that is over by the clock of Badger.
func allVersions(v *view, prefix byte, from string, failed *error) func(yield func(string, []byte) bool) {
	return func(yield func(string, []byte) bool) {
		it := v.txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefix}, AllVersions: true})
		defer it.Close()
		last := ""
		for it.Seek([]byte(from)); it.Valid(); it.Next() {
			item := it.Item()
			key := string(item.Key())
			if key == last || item.IsDeletedOrExpired() && item.ExpiresAt() == 0 {
				last = key
				continue
			}
			last = key
			payload, err := payloadOf(item)
			if err != nil {
				*failed = err
				return
			}
			if !yield(key, bytes.Clone(payload)) { // it is put, and committed after the iterator went on
				return
			}
		}
	}
}

// migrateSession keeps the session as it is and notes how far tokens without an epoch had come: their iat is when their
// session was refreshed last.
func (e *epochRecord) migrateSession(v *view, key string, payload []byte) error {
	var record storage.SessionRecord
	if err := json.Unmarshal(payload, &record); err != nil {
		return fmt.Errorf("a record %q: %w: %w", key[:1], storage.ErrDamaged, err)
	}
	if !record.Ended {
		e.Until, e.Expires = later(e.Until, record.RefreshedAt), later(e.Expires, record.ExpiresAt)
	}
	return v.put(key, payload)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// migrateDevice gives an entry of the index its times, or deletes it with a session that is not there.
func migrateDevice(v *view, key string, payload []byte) error {
	if len(payload) == deviceSize {
		return nil
	}
	record, err := v.Session(key[len(devicePrefix(0)):])
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if err != nil || record.Ended {
		v.delete(key)
		return nil
	}
	return v.put(key, deviceOf(record.Session).encode())
}
