package badger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"wxgate/storage"
)

// sessionRecord is a session as it lies on disk. One that ended stays as a marker until it would have expired: a deletion
// that compaction forgets (Badger before 4.9.4 did) would bring the session back, a marker cannot.
type sessionRecord struct {
	storage.Session
	Ended bool `json:"ended,omitempty"`
}

// Session returns the session, or ErrNotFound when it never was, ended or expired.
func (s *Store) Session(ctx context.Context, id string) (storage.Session, error) {
	var found storage.Session
	err := s.read(ctx, opSession, func(v *view) (err error) {
		found, err = session(v, id)
		return err
	})
	if err != nil {
		return storage.Session{}, fmt.Errorf("reading a session: %w", err)
	}
	return found, nil
}

// Sessions returns the sessions of the user that have neither ended nor expired, oldest first.
func (s *Store) Sessions(ctx context.Context, userID int64) ([]storage.Session, error) {
	var found []storage.Session
	err := s.read(ctx, opSessions, func(v *view) (err error) {
		found, err = sessionsOf(v, userID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the sessions of user %d: %w", userID, err)
	}
	return found, nil
}

// UpdateSession lets change work on the session and records what it became together with the revocations that change
// returns, in one transaction; an error of change leaves both undone. ID and UserID stay whatever change does to them.
func (s *Store) UpdateSession(ctx context.Context, id string,
	change func(*storage.Session) ([]storage.Revocation, error),
) (storage.Session, error) {
	var changed storage.Session
	err := s.write(ctx, opUpdateSession, func(v *view) (err error) {
		changed, err = updateSession(v, id, change)
		return err
	})
	if err != nil {
		return storage.Session{}, fmt.Errorf("changing a session: %w", err)
	}
	return changed, nil
}

func updateSession(v *view, id string,
	change func(*storage.Session) ([]storage.Revocation, error),
) (storage.Session, error) {
	old, err := session(v, id)
	if err != nil {
		return storage.Session{}, err
	}
	changed := old
	var revoked []storage.Revocation
	err = guarded(func() error {
		revoked, err = change(&changed)
		return err
	})
	if err != nil {
		return storage.Session{}, err
	}
	changed.ID, changed.UserID = old.ID, old.UserID
	if _, err := revoke(v, revoked); err != nil {
		return storage.Session{}, err
	}
	return changed, putSession(v, sessionRecord{Session: changed})
}

// sessionsOf lists the living sessions of the user, oldest first.
func sessionsOf(v *view, userID int64) ([]storage.Session, error) {
	var living []storage.Session
	prefix := devicePrefix(userID)
	for _, key := range v.keys(prefix, "") {
		found, err := session(v, key[len(prefix):])
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		living = append(living, found)
	}
	slices.SortFunc(living, func(a, b storage.Session) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return living, nil
}

// session reads a session that lives.
func session(v *view, id string) (storage.Session, error) {
	record, err := sessionRecordOf(v, id)
	if err == nil && (record.Ended || !record.ExpiresAt.After(v.now)) {
		err = storage.ErrNotFound
	}
	if err != nil {
		return storage.Session{}, err
	}
	return record.Session, nil
}

func sessionRecordOf(v *view, id string) (record sessionRecord, err error) {
	err = v.getJSON(sessionKey(id), &record)
	return record, err
}

// putSession records the session, and its place among those of its user, until it expires.
func putSession(v *view, record sessionRecord) error {
	ttl := keepFor(v.now, record.ExpiresAt)
	if err := v.putJSON(sessionKey(record.ID), record, ttl); err != nil {
		return err
	}
	if record.Ended {
		return nil
	}
	return v.put(deviceKey(record.UserID, record.ID), nil, ttl)
}

// ttlMargin is how much longer than asked Badger keeps a record that expires. Badger counts by the clock of the machine
// and we by ours; a clock that jumps by a day must not lose a session, and reads look at the true time anyway.
const ttlMargin = 25 * time.Hour

// keepAtMost is a bound that a time.Duration with ttlMargin still holds.
const keepAtMost = 250 * 365 * 24 * time.Hour

func keepFor(now, until time.Time) time.Duration {
	return min(max(0, until.Sub(now)), keepAtMost) + ttlMargin
}
