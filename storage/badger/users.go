package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"wxgate/storage"
)

// User returns the user with that id, who is not erased.
func (v *view) User(id int64) (storage.User, error) {
	record, err := userRecordOf(v, id)
	if err == nil && record.Erased {
		err = storage.ErrNotFound
	}
	if err != nil {
		return storage.User{}, err
	}
	return record.User, nil
}

func userRecordOf(v *view, id int64) (record storage.UserRecord, err error) {
	if id < 1 {
		return record, storage.ErrNotFound
	}
	err = v.getJSON(numbered(prefixUser, uint64(id)), &record)
	return record, err
}

func putUserRecord(v *view, record storage.UserRecord) error {
	return v.putJSON(numbered(prefixUser, uint64(record.ID)), record)
}

// UserByOpenID follows the index. If it leads to an erased user, a deletion was lost, and there is no such user.
func (v *view) UserByOpenID(appID, openID string) (storage.User, error) {
	payload, err := v.get(openIDKey(appID, openID))
	if err != nil {
		return storage.User{}, err
	}
	id, err := numberOf(payload)
	if err != nil {
		return storage.User{}, err
	}
	found, err := userRecordOf(v, int64(id))
	switch {
	case err == nil && found.Erased:
		return storage.User{}, storage.ErrNotFound
	case errors.Is(err, storage.ErrNotFound), err == nil && (found.AppID != appID || found.OpenID != openID):
		return storage.User{}, fmt.Errorf("the openid leads to user %d, whose record is lost: %w", id, storage.ErrDamaged)
	}
	return found.User, err
}

// UsersByUnionID returns the users of one person, by id.
func (v *view) UsersByUnionID(unionID string) ([]storage.User, error) {
	return v.indexed(unionPrefix(unionID), func(u storage.User) bool { return u.UnionID == unionID })
}

// LinkedUsers returns the accounts that are linked to a user or about to be, by id.
func (v *view) LinkedUsers(to int64) ([]storage.User, error) {
	return v.indexed(linkedPrefix(to), func(u storage.User) bool { return u.LinkedTo == to })
}

// indexed returns the users of an index whose keys are a prefix and an id. Those that are no more what the index says are left
// out: erased ones, and others since.
func (v *view) indexed(prefix string, still func(storage.User) bool) (found []storage.User, err error) {
	for _, key := range v.keys(prefix, "") {
		u, err := v.User(int64(binary.BigEndian.Uint64([]byte(key[len(prefix):]))))
		switch {
		case errors.Is(err, storage.ErrNotFound), err == nil && !still(u):
			continue
		case err != nil:
			return nil, err
		}
		found = append(found, u)
	}
	return found, nil
}

// Users returns at most limit users with ids above after, by id.
func (v *view) Users(after int64, limit int) ([]storage.User, error) {
	var found []storage.User
	for id := range v.numbers(prefixUser, uint64(after)+1) {
		if len(found) >= limit {
			break
		}
		u, err := v.User(int64(id))
		if errors.Is(err, storage.ErrNotFound) {
			continue // erased
		}
		if err != nil {
			return nil, err
		}
		found = append(found, u)
	}
	return found, nil
}

// CountUsers counts the entries of the index of openids, which erased users have left.
func (v *view) CountUsers() (int64, error) { return v.countKeys(string(prefixOpenID)), nil }

// AppIDs returns those of the index of openids. It jumps from one to the next.
func (v *view) AppIDs(limit int) (ids []string, err error) {
	for next := string(prefixOpenID); len(ids) < limit; {
		key := v.firstKeys(string(prefixOpenID), next, 1)
		if len(key) == 0 {
			break
		}
		size, n := binary.Uvarint([]byte(key[0][1:]))
		end := uint64(1+n) + size
		if n <= 0 || end > uint64(len(key[0])) {
			return nil, fmt.Errorf("an entry of the index of openids: %w", storage.ErrDamaged)
		}
		ids = append(ids, key[0][1+n:end])
		next = key[0][:end] + "\xff" // above every openid, which is UTF-8
	}
	return ids, nil
}

// ExpectUsers does nothing: there is no server to ask.
func (*view) ExpectUsers([]storage.User) error { return nil }

// ReserveUserIDs counts the ids up to that one as given.
func (v *view) ReserveUserIDs(to int64) error {
	_, err := v.count(func(c *counters) { c.Users = max(c.Users, uint64(to)) })
	return err
}

// NextUserID is above every id that was given, imported or reserved.
func (v *view) NextUserID() (int64, error) {
	given, err := v.counters()
	return int64(given.Users + 1), err
}

// AddUser records a user under its id and its openid, and keeps the ids of new users above it.
func (v *view) AddUser(u storage.User) error {
	id := uint64(u.ID)
	given, err := v.counters()
	if err != nil {
		return err
	}
	if id <= given.Users { // an imported one, or below a reserved one
		if _, err := userRecordOf(v, u.ID); err == nil {
			return storage.ErrConflict
		} else if !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	if err := v.put(openIDKey(u.AppID, u.OpenID), binary.BigEndian.AppendUint64(nil, id)); err != nil {
		return err
	}
	if _, err := v.count(func(c *counters) { c.Users = max(c.Users, id) }); err != nil {
		return err
	}
	return v.PutUser(storage.User{ID: u.ID}, u)
}

// PutUser replaces old by changed, and updates the indexes of unionids and of links.
func (v *view) PutUser(old, changed storage.User) error {
	if old.UnionID != changed.UnionID && old.UnionID != "" {
		v.delete(unionKey(old.UnionID, old.ID))
	}
	if old.UnionID != changed.UnionID && changed.UnionID != "" {
		if err := v.put(unionKey(changed.UnionID, changed.ID), nil); err != nil {
			return err
		}
	}
	if old.LinkedTo != changed.LinkedTo && old.LinkedTo != 0 {
		v.delete(linkedKey(old))
	}
	if old.LinkedTo != changed.LinkedTo && changed.LinkedTo != 0 {
		if err := v.put(linkedKey(changed), nil); err != nil {
			return err
		}
	}
	return putUserRecord(v, storage.UserRecord{User: changed})
}

// EraseUser leaves the id. The openid is part of its key, so that one is deleted.
func (v *view) EraseUser(u storage.User) error {
	v.delete(openIDKey(u.AppID, u.OpenID))
	v.delete(deletionKey(u.ID))
	if u.UnionID != "" {
		v.delete(unionKey(u.UnionID, u.ID))
	}
	if u.LinkedTo != 0 {
		v.delete(linkedKey(u))
	}
	return putUserRecord(v, storage.UserRecord{User: storage.User{ID: u.ID}, Erased: true})
}

// Events returns what must be told about a user, the oldest first, or ErrNotFound. A record that was deleted and came
// back, as in disk/orphans.go, is told once more under its old id.
func (v *view) Events(userID int64) (waiting []storage.Event, err error) {
	err = v.getJSON(numbered(prefixEvents, uint64(userID)), &waiting)
	if err == nil && len(waiting) == 0 {
		err = storage.ErrDamaged
	}
	return waiting, err
}

// UsersWithEvents returns at most limit ids above after.
func (v *view) UsersWithEvents(after int64, limit int) (ids []int64, err error) {
	for id := range v.numbers(prefixEvents, uint64(after)+1) {
		if len(ids) >= limit {
			break
		}
		ids = append(ids, int64(id))
	}
	return ids, nil
}

// PutEvents replaces what must be told about a user.
func (v *view) PutEvents(userID int64, waiting []storage.Event) error {
	key := numbered(prefixEvents, uint64(userID))
	if len(waiting) == 0 {
		v.delete(key)
		return nil
	}
	return v.putJSON(key, waiting)
}

// A deletion that was taken back is a record without a time, as what is deleted may come back. That of an erased user is
// deleted: there is nobody whom it could erase.

// Deletion returns when a user is to be erased, or ErrNotFound.
func (v *view) Deletion(userID int64) (at time.Time, err error) {
	err = v.getJSON(deletionKey(userID), &at)
	if err == nil && at.IsZero() {
		err = storage.ErrNotFound
	}
	return at, err
}

// Deletions returns at most limit of users with ids above after, by id.
func (v *view) Deletions(after int64, limit int) (waiting []storage.Deletion, err error) {
	for id := range v.numbers(prefixDeletion, uint64(after)+1) {
		if len(waiting) >= limit {
			break
		}
		var at time.Time
		if err := v.getJSON(deletionKey(int64(id)), &at); err != nil {
			return nil, err
		}
		if !at.IsZero() {
			waiting = append(waiting, storage.Deletion{UserID: int64(id), At: at})
		}
	}
	return waiting, nil
}

// PutDeletion records when a user is to be erased.
func (v *view) PutDeletion(d storage.Deletion) error { return v.putJSON(deletionKey(d.UserID), d.At) }

// DropDeletion records that a user is not to be erased.
func (v *view) DropDeletion(userID int64) error { return v.putJSON(deletionKey(userID), time.Time{}) }

func deletionKey(userID int64) string { return numbered(prefixDeletion, uint64(userID)) }

// deletion is the record of one that waits.
func (s *snapshot) deletion(key, payload []byte) (r storage.Record, err error) {
	id, err := numberOf(key[1:])
	if err != nil {
		return r, err
	}
	d := storage.Deletion{UserID: int64(id)}
	if err := decodeJSON(key, payload, &d.At); err != nil {
		return r, fmt.Errorf("a deletion: %w", err)
	}
	if d.At.IsZero() {
		return r, nil
	}
	return storage.NewRecord(storage.KindDeletion, d)
}
