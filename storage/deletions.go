package storage

import (
	"context"
	"errors"
	"time"
)

// Deletion is a user who asked to be erased, and is from that time on, unless they log in before.
type Deletion struct {
	UserID int64     `json:"user_id"`
	At     time.Time `json:"at"`
}

// PutDeletion records that a user is to be erased at a time, and returns when that is: an earlier deletion that waits stays.
func (s *Store) PutDeletion(ctx context.Context, d Deletion) (at time.Time, err error) {
	return write(ctx, s, opPutDeletion, func(w Writer) (time.Time, error) {
		if _, err := w.User(d.UserID); err != nil {
			return time.Time{}, err
		}
		waiting, err := w.Deletion(d.UserID)
		if err == nil {
			return waiting, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return time.Time{}, err
		}
		d.At = Stamp(d.At)
		return d.At, w.PutDeletion(d)
	}, d.UserID)
}

// Deletion returns when a user is to be erased, or ErrNotFound.
func (s *Store) Deletion(ctx context.Context, userID int64) (time.Time, error) {
	return read(ctx, s, opDeletion, func(r Reader) (time.Time, error) { return r.Deletion(userID) }, userID)
}

// Deletions returns up to limit of those of users with ids above after, ordered by id.
func (s *Store) Deletions(ctx context.Context, after int64, limit int) ([]Deletion, error) {
	return read(ctx, s, opDeletions, func(r Reader) ([]Deletion, error) { return r.Deletions(max(0, after), limit) })
}

// EraseDeleted is EraseUser for a user whose deletion is due. For any other it changes nothing and returns ErrNotFound.
func (s *Store) EraseDeleted(ctx context.Context, id int64, from, until time.Time) ([]Revocation, error) {
	return s.erase(ctx, opEraseDeleted, id, from, until, func(w Writer) error {
		at, err := w.Deletion(id)
		if err == nil && at.After(w.Now()) {
			err = ErrNotFound
		}
		return err
	})
}

// takeBack drops the deletion of a user, and reports whether there was one.
func takeBack(w Writer, userID int64) (bool, error) {
	_, err := w.Deletion(userID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, w.DropDeletion(userID)
}
