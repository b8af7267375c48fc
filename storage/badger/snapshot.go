package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
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
	d.released.RLock()
	defer d.released.RUnlock()
	err = d.engine.hold(func(db *badger.DB) error {
		s.db, s.txn = db, db.NewTransaction(false)
		return s.readHeader(known.KeyChecks())
	})
	if err != nil && s.txn != nil {
		s.discard()
	}
	return s, err
}

func (s *snapshot) discard() { s.txn.Discard() }

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
	return []byte{prefixUser, prefixRing, prefixPhone, prefixServer, prefixSession, prefixRevoked, prefixEvents, prefixEpoch}
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

// loader writes records of another data set.
type loader struct {
	*view
	d *database
}

// load writes one.
func (l loader) load(r storage.Record) error {
	switch r.Kind {
	case storage.KindHeader:
		return decoded(r, l.loadHeader)
	case storage.KindUser:
		return decoded(r, l.loadUser)
	case storage.KindSecret:
		if !slices.Contains([]byte{prefixRing, prefixPhone, prefixServer}, (r.Name + "\x00")[0]) {
			return fmt.Errorf("a secret of an unknown kind: %w", storage.ErrDamaged)
		}
		return l.PutSecret(r.Name, r.Data)
	case storage.KindSession:
		return decoded(r, l.loadSession)
	case storage.KindRevocation:
		return decoded(r, l.loadRevocation)
	case storage.KindEvents:
		return decoded(r, func(e storage.UserEvents) error { return l.PutEvents(e.UserID, e.Waiting) })
	case storage.KindEpoch:
		return decoded(r, l.loadEpoch)
	}
	return fmt.Errorf("this wxgate does not know %v: %w", r.Kind, storage.ErrNewerSchema)
}

func decoded[T any](r storage.Record, load func(T) error) error {
	var value T
	if err := r.Decode(&value); err != nil {
		return err
	}
	return load(value)
}

// loadHeader runs in the writer, whose horizon it is.
func (l loader) loadHeader(h storage.Header) error {
	if h.Horizon.At.Before(l.horizon.At) {
		l.horizon, l.d.forgetting.horizon = h.Horizon, h.Horizon
	}
	_, err := l.count(func(c *counters) {
		c.Users, c.Revocations = max(c.Users, h.Users), max(c.Revocations, h.Revocations)
	})
	return err
}

func (l loader) loadUser(u storage.UserRecord) error {
	if u.ID < 1 {
		return fmt.Errorf("a user with the id %d: %w", u.ID, storage.ErrDamaged)
	}
	known, err := userRecordOf(l.view, u.ID)
	isKnown := err == nil
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if isKnown && u.Erased != known.Erased || isKnown && (known.AppID != u.AppID || known.OpenID != u.OpenID) {
		return fmt.Errorf("user %d: %w", u.ID, storage.ErrConflict)
	}
	if u.Erased {
		if _, err := l.count(func(c *counters) { c.Users = max(c.Users, uint64(u.ID)) }); err != nil {
			return err
		}
		return putUserRecord(l.view, storage.UserRecord{User: storage.User{ID: u.ID}, Erased: true})
	}
	if isKnown {
		return l.PutUser(known.User, u.User)
	}
	if other, err := l.UserByOpenID(u.AppID, u.OpenID); err == nil {
		return fmt.Errorf("the openid of user %d is that of user %d: %w", u.ID, other.ID, storage.ErrConflict)
	} else if !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return l.AddUser(u.User)
}

// loadSession puts the session and its index as PutSession does. No token of it is issued here, so no epoch is noted.
func (l loader) loadSession(s storage.SessionRecord) error {
	if err := l.putJSON(sessionKey(s.ID), s); err != nil {
		return err
	}
	if s.Ended {
		l.delete(deviceKey(s.UserID, s.ID))
		return nil
	}
	return l.put(deviceKey(s.UserID, s.ID), deviceOf(s.Session).encode())
}

func (l loader) loadRevocation(r storage.Revocation) error {
	var known storage.Revocation
	err := l.getJSON(numbered(prefixRevoked, r.Seq), &known)
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return err
	case known.Scope != r.Scope || known.ID != r.ID:
		return fmt.Errorf("revocation %d is another: %w", r.Seq, storage.ErrConflict)
	}
	if _, err := l.count(func(c *counters) { c.Revocations = max(c.Revocations, r.Seq) }); err != nil {
		return err
	}
	return l.putJSON(numbered(prefixRevoked, r.Seq), r)
}

// loadEpoch puts an epoch of another data set below the newest, which may be that of this process.
func (l loader) loadEpoch(e storage.EpochRecord) error {
	for _, key := range l.keys(string(prefixEpoch), "") {
		var known epochRecord
		if err := l.getJSON(key, &known); err != nil {
			return err
		}
		if known.ID == e.ID {
			known.Until, known.Expires = later(known.Until, e.Until), later(known.Expires, e.Expires)
			return l.putJSON(key, known)
		}
	}
	reached, newest, err := l.newestEpoch()
	if err != nil {
		return err
	}
	at := reached.Epochs
	if newest != (epochRecord{}) {
		if err := l.putJSON(numbered(prefixEpoch, at+1), newest); err != nil {
			return err
		}
	} else {
		at++
	}
	if _, err := l.count(func(c *counters) { c.Epochs++ }); err != nil {
		return err
	}
	return l.putJSON(numbered(prefixEpoch, at), epochRecord(e))
}
