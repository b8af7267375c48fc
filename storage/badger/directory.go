package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"wxgate/storage"
)

// userRecord is a user as it lies on disk. An erased one stays as its id alone, so that the id is never given again.
type userRecord struct {
	storage.User
	Erased bool `json:"erased,omitempty"`
}

// Users returns at most limit users, by id, from the one after after on.
func (s *Store) Users(ctx context.Context, after int64, limit int) ([]storage.User, error) {
	var found []storage.User
	err := s.read(ctx, opUsers, func(v *view) (err error) {
		found, err = usersAfter(v, uint64(max(0, after)), limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	return found, nil
}

func usersAfter(v *view, after uint64, limit int) ([]storage.User, error) {
	var found []storage.User
	for id := range v.numbers(prefixUser, after+1) {
		if len(found) == limit {
			break
		}
		u, err := user(v, int64(id))
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

// ImportUser records a user of an existing backend under the id it has there; ids of new users go on above the highest.
// One that is here already stays as it is. ErrConflict is an id or an openid that is somebody else's, or was.
func (s *Store) ImportUser(ctx context.Context, u storage.User) (storage.User, error) {
	var imported storage.User
	err := s.write(ctx, opImportUser, func(v *view) (err error) {
		imported, err = importUser(v, u)
		return err
	})
	if err != nil {
		return storage.User{}, fmt.Errorf("importing user %d: %w", u.ID, err)
	}
	return imported, nil
}

func importUser(v *view, u storage.User) (storage.User, error) {
	var known userRecord
	err := v.getJSON(numbered(prefixUser, uint64(u.ID)), &known)
	if err == nil {
		if known.Erased || known.AppID != u.AppID || known.OpenID != u.OpenID {
			return storage.User{}, storage.ErrConflict
		}
		return known.User, nil
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return storage.User{}, err
	}
	switch _, err := v.get(openIDKey(u.AppID, u.OpenID)); {
	case err == nil:
		return storage.User{}, storage.ErrConflict
	case !errors.Is(err, storage.ErrNotFound):
		return storage.User{}, err
	}
	return addUser(v, u)
}

// addUser records a user under its id, which is free, and its openid.
func addUser(v *view, u storage.User) (storage.User, error) {
	if u.CreatedAt.IsZero() {
		u.CreatedAt = v.now
	}
	u.CreatedAt, u.UpdatedAt = stamp(u.CreatedAt), stamp(v.now)
	id := uint64(u.ID)
	if err := v.put(openIDKey(u.AppID, u.OpenID), binary.BigEndian.AppendUint64(nil, id), 0); err != nil {
		return storage.User{}, err
	}
	if _, err := v.count(func(c *counters) { c.Users = max(c.Users, id) }); err != nil {
		return storage.User{}, err
	}
	return u, v.putJSON(numbered(prefixUser, id), userRecord{User: u}, 0)
}

// EraseUser removes all that is known of a user but the id, which is never given again, and ends the sessions as
// EndSessions does. The same person may come back, as a new user.
func (s *Store) EraseUser(ctx context.Context, id int64, from, until time.Time) ([]storage.Revocation, error) {
	if err := s.write(ctx, opEraseUser, func(v *view) error { return eraseUser(v, id) }); err != nil {
		return nil, fmt.Errorf("erasing user %d: %w", id, err)
	}
	return s.EndSessions(ctx, id, from, until)
}

func eraseUser(v *view, id int64) error {
	u, err := user(v, id)
	if err != nil {
		return err
	}
	v.delete(openIDKey(u.AppID, u.OpenID))
	v.delete(numbered(prefixRing, uint64(id)))
	return v.putJSON(numbered(prefixUser, uint64(id)), userRecord{User: storage.User{ID: id}, Erased: true}, 0)
}
