package badger

import (
	"context"
	"fmt"
	"time"

	"wxgate/storage"
)

// userRecord is a user as it lies on disk. An erased one stays as its id alone, so that the id is never given again.
type userRecord struct {
	storage.User
	Erased bool `json:"erased,omitempty"`
}

// User returns the user, or ErrNotFound.
func (s *Store) User(ctx context.Context, id int64) (storage.User, error) {
	var found storage.User
	err := s.read(ctx, opUser, func(v *view) (err error) {
		found, err = user(v, id)
		return err
	})
	if err != nil {
		return storage.User{}, fmt.Errorf("reading user %d: %w", id, err)
	}
	return found, nil
}

// UpdateUser lets change work on the user and returns what it became; an error of change leaves the user as it was. ID,
// AppID, OpenID, CreatedAt and Native stay whatever change does to them, and UpdatedAt is set here.
func (s *Store) UpdateUser(ctx context.Context, id int64, change func(*storage.User) error) (storage.User, error) {
	var changed storage.User
	err := s.write(ctx, opUpdateUser, func(v *view) error {
		old, err := user(v, id)
		if err != nil {
			return err
		}
		changed = old
		if err := guarded(func() error { return change(&changed) }); err != nil {
			return err
		}
		return putUser(v, old, &changed)
	})
	if err != nil {
		return storage.User{}, fmt.Errorf("changing user %d: %w", id, err)
	}
	return changed, nil
}

// user reads the user with that id, who is not erased.
func user(v *view, id int64) (storage.User, error) {
	record, err := userRecordOf(v, id)
	if err == nil && record.Erased {
		err = storage.ErrNotFound
	}
	if err != nil {
		return storage.User{}, err
	}
	return record.User, nil
}

func userRecordOf(v *view, id int64) (record userRecord, err error) {
	if id < 1 {
		return record, storage.ErrNotFound
	}
	err = v.getJSON(numbered(prefixUser, uint64(id)), &record)
	return record, err
}

func putUserRecord(v *view, record userRecord) error {
	return v.putJSON(numbered(prefixUser, uint64(record.ID)), record)
}

// putUser records what old became, unless it is the same.
func putUser(v *view, old storage.User, changed *storage.User) error {
	changed.ID, changed.AppID, changed.OpenID = old.ID, old.AppID, old.OpenID
	changed.CreatedAt, changed.UpdatedAt, changed.Native = old.CreatedAt, old.UpdatedAt, old.Native
	if *changed == old {
		return nil
	}
	changed.UpdatedAt = stamp(v.now)
	if err := putUnionID(v, old, *changed); err != nil {
		return err
	}
	return putUserRecord(v, userRecord{User: *changed})
}

// stamp is t as every driver can keep it: UTC, in whole milliseconds.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
