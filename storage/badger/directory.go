package badger

import (
	"context"
	"errors"
	"fmt"

	"wxgate/storage"
)

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
		if len(found) >= limit {
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
// One that is here already stays as it is, but for Native. ErrConflict is an id or an openid that is somebody else's, or an
// erased id.
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
	known, err := userRecordOf(v, u.ID)
	if err == nil {
		if known.Erased || known.AppID != u.AppID || known.OpenID != u.OpenID {
			return storage.User{}, storage.ErrConflict
		}
		return adoptUser(v, known)
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return storage.User{}, err
	}
	_, err = userByOpenID(v, u.AppID, u.OpenID)
	if err == nil {
		return storage.User{}, storage.ErrConflict
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return storage.User{}, err
	}
	u.Native = false
	return addUser(v, u)
}

// adoptUser notes that a user who is here already is the one that an existing backend knows by that id.
func adoptUser(v *view, known userRecord) (storage.User, error) {
	if !known.Native {
		return known.User, nil
	}
	known.Native = false
	return known.User, putUserRecord(v, known)
}
