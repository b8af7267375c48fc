package storage

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The names of secrets, which seals are bound to.
func sessionKeysOf(userID int64) string { return secretOf('k', userID) }

func phoneOf(userID int64) string { return secretOf('p', userID) }

func serverTokenOf(appID string) string { return "t" + appID }

func secretOf(kind byte, userID int64) string {
	return string(binary.BigEndian.AppendUint64([]byte{kind}, uint64(userID)))
}

// putSecret seals the JSON of value.
func putSecret(w Writer, sealer *Sealer, name string, value any) error {
	plain, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return w.PutSecret(name, sealer.seal(name, plain))
}

// getSecret reads a secret, or says ErrNotFound.
func getSecret[T any](r Reader, sealer *Sealer, name string) (value T, err error) {
	sealed, err := r.Secret(name)
	if err == nil && len(sealed) == 0 { // what was deleted may leave an empty record
		err = ErrNotFound
	}
	if err != nil {
		return value, err
	}
	plain, err := sealer.open(name, sealed)
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(plain, &value); err != nil {
		return value, fmt.Errorf("reading a sealed record: %w", ErrDamaged)
	}
	return value, nil
}

// SessionKeys returns the last three session_keys of a user, newest first, or ErrNotFound if the user does not exist.
func (s *Store) SessionKeys(ctx context.Context, userID int64) ([]SessionKey, error) {
	return read(ctx, s, opSessionKeys, func(r Reader) ([]SessionKey, error) {
		if _, err := r.User(userID); err != nil {
			return nil, err
		}
		return sessionKeys(r, s.driver.Sealer(), userID)
	}, userID)
}

// Reseal seals some more secrets with the first encryption key, from where the last call has stopped, and returns how far
// it is altogether. After the last of them no other key is needed any more. A call after that begins anew.
func (s *Store) Reseal(ctx context.Context) (Resealed, error) {
	defer s.metrics.observe(opReseal, time.Now())
	far, err := s.reseal.page(ctx, s.driver)
	if err != nil {
		return far, opReseal.wrap(err, nil)
	}
	return far, nil
}

// sessionKeys reads the session_keys of a user; none yet is no error.
func sessionKeys(r Reader, sealer *Sealer, userID int64) ([]SessionKey, error) {
	kept, err := getSecret[[]SessionKey](r, sealer, sessionKeysOf(userID))
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return kept, err
}

// rememberKey lets k join the session_keys of the user. An empty one brings none: a cloud login has no session_key, and the
// ones that are known stay useful.
func rememberKey(w Writer, sealer *Sealer, userID int64, k SessionKey) error {
	if k.Key == "" {
		return nil
	}
	kept, err := sessionKeys(w, sealer, userID)
	if err != nil {
		return err
	}
	return putSecret(w, sealer, sessionKeysOf(userID), joined(kept, k))
}

// joined is kept with k in its place by At, cut to the newest. WeChat gives one session_key to several logins; it then
// takes one place, that of the newest of them.
func joined(kept []SessionKey, k SessionKey) []SessionKey {
	k.At = k.At.UTC()
	for _, known := range kept {
		if known.Key == k.Key && known.At.After(k.At) {
			k.At = known.At
		}
	}
	kept = slices.DeleteFunc(slices.Clone(kept), func(known SessionKey) bool { return known.Key == k.Key })
	kept = slices.Insert(kept, 0, k)
	slices.SortStableFunc(kept, func(a, b SessionKey) int { return b.At.Compare(a.At) })
	return kept[:min(len(kept), sessionKeysKept)]
}

// ImportSessionKeys lets a session_key of an existing backend join those of its user, for each user by id. Users who do not
// exist are left out. All of them are one transaction.
func (s *Store) ImportSessionKeys(ctx context.Context, keys map[int64]SessionKey) error {
	_, err := write(ctx, s, opImportKeys, func(w Writer) (none struct{}, err error) {
		for _, id := range slices.Sorted(maps.Keys(keys)) {
			_, err := w.User(id)
			if err == nil {
				err = rememberKey(w, s.driver.Sealer(), id, keys[id])
			}
			if err != nil && !errors.Is(err, ErrNotFound) {
				return none, err
			}
		}
		return none, nil
	})
	return err
}

// SetPhone saves a user's phone number, sealed, or returns ErrNotFound if the user does not exist.
func (s *Store) SetPhone(ctx context.Context, userID int64, phone Phone) error {
	_, err := write(ctx, s, opSetPhone, func(w Writer) (User, error) {
		u, err := w.User(userID)
		if err != nil {
			return u, err
		}
		if err := putSecret(w, s.driver.Sealer(), phoneOf(userID), phone); err != nil {
			return u, err
		}
		return u, phoneChanged(w, userID)
	}, userID)
	return err
}

// Phone returns a user's phone number, or ErrNotFound. Of a user who gave none since, it is that of an account of theirs.
func (s *Store) Phone(ctx context.Context, userID int64) (Phone, error) {
	return read(ctx, s, opPhone, func(r Reader) (Phone, error) {
		if _, err := r.User(userID); err != nil {
			return Phone{}, err
		}
		own, err := getSecret[Phone](r, s.driver.Sealer(), phoneOf(userID))
		if !errors.Is(err, ErrNotFound) {
			return own, err
		}
		accounts, err := r.LinkedUsers(userID)
		if err != nil {
			return Phone{}, err
		}
		for _, account := range accounts {
			if account.Link != LinkComplete {
				continue
			}
			given, err := getSecret[Phone](r, s.driver.Sealer(), phoneOf(account.ID))
			if !errors.Is(err, ErrNotFound) {
				return given, err
			}
		}
		return Phone{}, ErrNotFound
	}, userID)
}

// ForgetPhone deletes the phone number of a user, also that of an account of theirs, and reports whether there was one; or returns
// ErrNotFound if the user does not exist.
func (s *Store) ForgetPhone(ctx context.Context, userID int64) (bool, error) {
	return write(ctx, s, opForgetPhone, func(w Writer) (forgotten bool, err error) {
		if _, err := w.User(userID); err != nil {
			return false, err
		}
		accounts, err := w.LinkedUsers(userID)
		if err != nil {
			return false, err
		}
		accounts = slices.DeleteFunc(accounts, func(u User) bool { return u.Link != LinkComplete })
		for _, account := range append(accounts, User{ID: userID}) {
			name := phoneOf(account.ID)
			sealed, err := w.Secret(name)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return false, err
			}
			if len(sealed) == 0 {
				continue
			}
			if err := w.PutSecret(name, nil); err != nil {
				return false, err
			}
			forgotten = true
		}
		if !forgotten {
			return false, nil
		}
		return true, phoneChanged(w, userID)
	}, userID)
}

// serverToken is WeChat's access_token of one mini-program, as it is sealed.
type serverToken struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// SaveServerToken saves WeChat's access_token of a mini-program, sealed, until it expires.
func (s *Store) SaveServerToken(ctx context.Context, appID, token string, expires time.Time) error {
	_, err := write(ctx, s, opSaveServerToken, func(w Writer) (struct{}, error) {
		return struct{}{}, putSecret(w, s.driver.Sealer(), serverTokenOf(appID), serverToken{token, expires})
	})
	return err
}

// ServerToken returns WeChat's access_token of a mini-program, or an empty one.
func (s *Store) ServerToken(ctx context.Context, appID string) (token string, expires time.Time, err error) {
	found, err := read(ctx, s, opServerToken, func(r Reader) (serverToken, error) {
		found, err := getSecret[serverToken](r, s.driver.Sealer(), serverTokenOf(appID))
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return found, err
	})
	return found.Token, found.Expires, err
}
