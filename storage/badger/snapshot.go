package badger

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// snapshot is all records as they were at one moment. It reads them in pages and holds nothing between two of them, so
// that whoever takes them may take their time: the database can be closed, or become read-only, which ends the snapshot.
type snapshot struct {
	d      *driver
	db     *badger.DB
	txn    *badger.Txn
	header storage.Header
	latest time.Time // the last write
}

const (
	snapshotRecords = 512       // of a page
	snapshotBytes   = 256 << 10 // and their size
)

// newSnapshot begins one. It must be discarded.
func (d *driver) newSnapshot() (*snapshot, error) {
	known, err := disk.ReadSentinel(d.path(fileSentinel)) // first: a reseal that ends meanwhile drops keys
	if err != nil {
		return nil, err
	}
	s := &snapshot{d: d}
	d.snapshots.Add(1)
	d.released.RLock()
	defer d.released.RUnlock()
	err = d.engine.hold(func(db *badger.DB) error {
		s.db, s.txn = db, db.NewTransaction(false)
		return s.readHeader(known.KeyChecks())
	})
	if err != nil {
		s.discard()
	}
	return s, err
}

func (s *snapshot) discard() {
	s.d.snapshots.Add(-1)
	if s.txn != nil {
		s.txn.Discard()
	}
}

func (s *snapshot) readHeader(keys storage.KeyChecks) error {
	v := s.d.readView(s.txn)
	reached, err := v.counters()
	if err != nil {
		return err
	}
	s.latest = time.UnixMilli(reached.Latest).UTC()
	s.header = storage.Header{
		StoreID: s.d.id, KeyChecks: keys, At: storage.Stamp(v.now), Users: reached.Users, Revocations: reached.Revocations, Horizon: reached.horizon(v.now),
	}
	return nil
}

// run yields the records.
func (s *snapshot) run(ctx context.Context, each func(storage.Record) error) error {
	header, err := storage.NewRecord(storage.KindHeader, s.header)
	if err != nil {
		return err
	}
	if err := each(header); err != nil {
		return err
	}
	for _, prefix := range recordPrefixes() {
		for from := []byte{prefix}; from != nil; {
			if err := ctx.Err(); err != nil {
				return err
			}
			var page []storage.Record
			if page, from, err = s.page(prefix, from); err != nil {
				return err
			}
			for _, r := range page {
				if err := each(r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// recordPrefixes are those of records, in the order of storage.Kinds. The others are indexes and what a header has.
func recordPrefixes() []byte {
	return []byte{prefixUser, prefixRing, prefixPhone, prefixServer, prefixSession, prefixRevoked, prefixEvents, prefixEpoch, prefixDeletion}
}

// page reads some records with that prefix, from the key from on, and returns the key to go on from; nil: there is none.
func (s *snapshot) page(prefix byte, from []byte) (page []storage.Record, next []byte, err error) {
	s.d.released.RLock()
	defer s.d.released.RUnlock()
	err = s.d.engine.hold(func(db *badger.DB) error {
		if db != s.db {
			return fmt.Errorf("the database was opened again while its records were read: %w", storage.ErrUnavailable)
		}
		it := s.txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefix}})
		defer it.Close()
		size := 0
		for it.Seek(from); it.Valid(); it.Next() {
			if len(page) >= snapshotRecords || size >= snapshotBytes {
				next = it.Item().KeyCopy(nil)
				return nil
			}
			r, err := s.record(it.Item())
			if err != nil {
				return err
			}
			if r.Data != nil {
				page = append(page, r)
				size += len(r.Data)
			}
		}
		return nil
	})
	return page, next, err
}

// record is the record of an item; without Data it holds nothing any more.
func (s *snapshot) record(item *badger.Item) (r storage.Record, err error) {
	payload, err := payloadOf(item)
	if err != nil {
		return r, err
	}
	key := item.Key()
	switch key[0] {
	case prefixUser:
		r.Kind = storage.KindUser
	case prefixRing, prefixPhone, prefixServer:
		if len(payload) == 0 {
			return r, nil
		}
		r.Kind, r.Name = storage.KindSecret, string(key)
	case prefixSession:
		r.Kind = storage.KindSession
	case prefixRevoked:
		r.Kind = storage.KindRevocation
	case prefixEvents:
		return s.events(key, payload)
	case prefixEpoch:
		return s.epoch(payload)
	case prefixDeletion:
		return s.deletion(key, payload)
	}
	r.Data = bytes.Clone(payload)
	return r, nil
}

// events say in the record whose they are.
func (s *snapshot) events(key, payload []byte) (r storage.Record, err error) {
	id, err := numberOf(key[1:])
	if err != nil {
		return r, err
	}
	e := storage.UserEvents{UserID: int64(id)}
	if err := decodeJSON(key, payload, &e.Waiting); err != nil {
		return r, err
	}
	return storage.NewRecord(storage.KindEvents, e)
}

// epoch ends the newest one with the last write.
func (s *snapshot) epoch(payload []byte) (r storage.Record, err error) {
	var e epochRecord
	if err := decodeJSON([]byte{prefixEpoch}, payload, &e); err != nil {
		return r, err
	}
	if e.Until.IsZero() {
		e.Until = s.latest
	}
	return storage.NewRecord(storage.KindEpoch, storage.EpochRecord(e))
}
