package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"wxgate/storage"
)

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
// AppID, OpenID and CreatedAt stay whatever change does to them, and UpdatedAt is set here.
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

// user reads the user with that id.
func user(v *view, id int64) (storage.User, error) {
	if id < 1 {
		return storage.User{}, storage.ErrNotFound
	}
	var record userRecord
	err := v.getJSON(numbered(prefixUser, uint64(id)), &record)
	if err == nil && record.Erased {
		err = storage.ErrNotFound
	}
	return record.User, err
}

// putUser records what old became, unless it is the same.
func putUser(v *view, old storage.User, changed *storage.User) error {
	changed.ID, changed.AppID, changed.OpenID = old.ID, old.AppID, old.OpenID
	changed.CreatedAt, changed.UpdatedAt = old.CreatedAt, old.UpdatedAt
	if *changed == old {
		return nil
	}
	changed.UpdatedAt = stamp(v.now)
	return v.putJSON(numbered(prefixUser, uint64(old.ID)), changed, 0)
}

// stamp is t as every driver can keep it: UTC, in whole milliseconds.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// userOf finds the user by openid, or creates it under the next id.
func userOf(v *view, l storage.Login) (found storage.User, created bool, err error) {
	payload, err := v.get(openIDKey(l.AppID, l.OpenID))
	if errors.Is(err, storage.ErrNotFound) {
		found, err = newUser(v, l)
		return found, true, err
	}
	if err != nil {
		return storage.User{}, false, err
	}
	id, err := numberOf(payload)
	if err != nil {
		return storage.User{}, false, err
	}
	found, err = user(v, int64(id))
	if errors.Is(err, storage.ErrNotFound) || err == nil && (found.AppID != l.AppID || found.OpenID != l.OpenID) {
		err = fmt.Errorf("the openid leads to user %d, whose record is lost: %w", id, storage.ErrDamaged)
	}
	return found, false, err
}

func newUser(v *view, l storage.Login) (storage.User, error) {
	if l.AppID == "" || l.OpenID == "" || !utf8.ValidString(l.AppID+l.OpenID) {
		return storage.User{}, errors.New("a user needs an appid and an openid in UTF-8")
	}
	counted, err := v.count(func(c *counters) { c.Users++ })
	if err != nil {
		return storage.User{}, err
	}
	id := binary.BigEndian.AppendUint64(nil, counted.Users)
	if err := v.put(openIDKey(l.AppID, l.OpenID), id, 0); err != nil {
		return storage.User{}, err
	}
	at := stamp(v.now)
	u := storage.User{ID: int64(counted.Users), AppID: l.AppID, OpenID: l.OpenID, CreatedAt: at, UpdatedAt: at}
	return u, v.putJSON(numbered(prefixUser, counted.Users), u, 0)
}
