package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"wxgate/storage"
)

// UserByOpenID returns the user of a mini-program, or ErrNotFound.
func (s *Store) UserByOpenID(ctx context.Context, appID, openID string) (storage.User, error) {
	var found storage.User
	err := s.read(ctx, opUserByOpenID, func(v *view) (err error) {
		found, err = userByOpenID(v, appID, openID)
		return err
	})
	if err != nil {
		return storage.User{}, fmt.Errorf("finding a user by openid: %w", err)
	}
	return found, nil
}

// UsersByUnionID returns the users of one person in all mini-programs, by id; none is no error.
func (s *Store) UsersByUnionID(ctx context.Context, unionID string) ([]storage.User, error) {
	var found []storage.User
	err := s.read(ctx, opUsersByUnionID, func(v *view) (err error) {
		found, err = usersByUnionID(v, unionID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("finding users by unionid: %w", err)
	}
	return found, nil
}

func usersByUnionID(v *view, unionID string) ([]storage.User, error) {
	var found []storage.User
	prefix := unionPrefix(unionID)
	for _, key := range v.keys(prefix, "") {
		u, err := user(v, int64(binary.BigEndian.Uint64([]byte(key[len(prefix):]))))
		switch {
		case errors.Is(err, storage.ErrNotFound), err == nil && u.UnionID != unionID:
			continue // erased, or of another unionid since
		case err != nil:
			return nil, err
		}
		found = append(found, u)
	}
	return found, nil
}

// putUnionID keeps the index true when a unionid arrives or changes.
func putUnionID(v *view, old, changed storage.User) error {
	if old.UnionID == changed.UnionID {
		return nil
	}
	if old.UnionID != "" {
		v.delete(unionKey(old.UnionID, old.ID))
	}
	if changed.UnionID == "" {
		return nil
	}
	return v.put(unionKey(changed.UnionID, changed.ID), nil)
}
