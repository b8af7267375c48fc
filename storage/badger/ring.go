package badger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"wxgate/storage"
)

// SessionKeys returns the last storage.SessionKeysKept session_keys of the user, newest first; none is ErrNotFound only
// if the user does not exist.
func (s *Store) SessionKeys(ctx context.Context, userID int64) ([]storage.SessionKey, error) {
	var ring []storage.SessionKey
	err := s.read(ctx, opSessionKeys, func(v *view) (err error) {
		if _, err = user(v, userID); err != nil {
			return err
		}
		ring, err = s.ring(v, userID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the session_keys of user %d: %w", userID, err)
	}
	return ring, nil
}

// ring reads the session_keys of a user; none yet is no error.
func (s *Store) ring(v *view, userID int64) ([]storage.SessionKey, error) {
	key := numbered(prefixRing, uint64(userID))
	sealed, err := v.get(key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	plain, err := s.sealer.open(key, sealed)
	if err != nil {
		return nil, err
	}
	var ring []storage.SessionKey
	if err := json.Unmarshal(plain, &ring); err != nil {
		return nil, fmt.Errorf("reading session_keys: %w", storage.ErrDamaged)
	}
	return ring, nil
}

// remember lets k join the ring of the user. An empty key brings none: a cloud login has no session_key, and the ones
// that are known stay useful.
func (s *Store) remember(v *view, userID int64, k storage.SessionKey) error {
	if k.Key == "" {
		return nil
	}
	ring, err := s.ring(v, userID)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(joined(ring, k))
	if err != nil {
		return err
	}
	key := numbered(prefixRing, uint64(userID))
	return v.put(key, s.sealer.seal(key, plain))
}

// joined is ring with k in its place by At, cut to the newest. WeChat gives one session_key to several logins; it then
// takes one place, that of the newest of them.
func joined(ring []storage.SessionKey, k storage.SessionKey) []storage.SessionKey {
	k.At = k.At.UTC()
	for _, known := range ring {
		if known.Key == k.Key && known.At.After(k.At) {
			k.At = known.At
		}
	}
	ring = slices.DeleteFunc(slices.Clone(ring), func(known storage.SessionKey) bool { return known.Key == k.Key })
	ring = slices.Insert(ring, 0, k)
	slices.SortStableFunc(ring, func(a, b storage.SessionKey) int { return b.At.Compare(a.At) })
	return ring[:min(len(ring), storage.SessionKeysKept)]
}
