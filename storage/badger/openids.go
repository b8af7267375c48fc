package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"wxgate/storage"
)

// maxUserID keeps ids exact in a JavaScript number.
const maxUserID = 1<<53 - 1

// userOf finds the user by openid, or creates it under the next id.
func userOf(v *view, l storage.Login) (found storage.User, created bool, err error) {
	found, err = userByOpenID(v, l.AppID, l.OpenID)
	if errors.Is(err, storage.ErrNotFound) {
		found, err = newUser(v, l)
		return found, true, err
	}
	return found, false, err
}

// userByOpenID follows the index. Where it leads to an erased user, a deletion was forgotten, and that is nobody.
func userByOpenID(v *view, appID, openID string) (storage.User, error) {
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

func newUser(v *view, l storage.Login) (storage.User, error) {
	given, err := v.counters()
	if err != nil {
		return storage.User{}, err
	}
	return addUser(v, storage.User{
		ID: int64(given.Users + 1), AppID: l.AppID, OpenID: l.OpenID, Native: true,
	})
}

// addUser records a user under its id and its openid, which are free, and keeps the ids of new users above it.
func addUser(v *view, u storage.User) (storage.User, error) {
	if u.ID < 1 || u.ID > maxUserID {
		return storage.User{}, fmt.Errorf("a user needs an id from 1 to %d, not %d", maxUserID, u.ID)
	}
	if u.AppID == "" || u.OpenID == "" || !utf8.ValidString(u.AppID+u.OpenID) {
		return storage.User{}, errors.New("a user needs an appid and an openid in UTF-8")
	}
	if u.CreatedAt.IsZero() {
		u.CreatedAt = v.now
	}
	u.CreatedAt, u.UpdatedAt = stamp(u.CreatedAt), stamp(v.now)
	id := uint64(u.ID)
	if err := v.put(openIDKey(u.AppID, u.OpenID), binary.BigEndian.AppendUint64(nil, id)); err != nil {
		return storage.User{}, err
	}
	if _, err := v.count(func(c *counters) { c.Users = max(c.Users, id) }); err != nil {
		return storage.User{}, err
	}
	if err := putUnionID(v, storage.User{ID: u.ID}, u); err != nil {
		return storage.User{}, err
	}
	return u, putUserRecord(v, userRecord{User: u})
}

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
