package badger

import (
	"fmt"
	"time"

	"wxgate/storage"
)

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
