package badger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wxgate/storage"
)

// endsPerCommit is how many sessions of one user end in one transaction; Badger bounds the size of one.
const endsPerCommit = 1000

// EndSession ends the session and records the revocation of its tokens from from until until, in one transaction. One
// that is gone already is revoked all the same: its tokens may live longer than its record.
func (s *Store) EndSession(ctx context.Context, id string, from, until time.Time) (storage.Revocation, error) {
	var ended storage.Revocation
	err := s.write(ctx, opEndSession, func(v *view) (err error) {
		ended, err = endSession(v, id, from, until)
		return err
	})
	if err != nil {
		return storage.Revocation{}, fmt.Errorf("ending a session: %w", err)
	}
	return ended, nil
}

// EndSessions is EndSession for every session of the user. More than a thousand of them end in several transactions,
// oldest first, so that after an error what ended has ended, and is returned; doing it again ends the rest.
func (s *Store) EndSessions(ctx context.Context, userID int64, from, until time.Time) ([]storage.Revocation, error) {
	var all []storage.Revocation
	for {
		ended, err := s.endSome(ctx, userID, from, until)
		if err != nil {
			return all, fmt.Errorf("ending the sessions of user %d: %w", userID, err)
		}
		all = append(all, ended...)
		if len(ended) < endsPerCommit {
			return all, nil
		}
	}
}

// endSome is endOldest in a transaction of its own.
func (s *Store) endSome(ctx context.Context, userID int64, from, until time.Time) ([]storage.Revocation, error) {
	var ended []storage.Revocation
	err := s.write(ctx, opEndSessions, func(v *view) (err error) {
		ended, err = endOldest(v, userID, from, until)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}

// endOldest ends the oldest endsPerCommit sessions of the user.
func endOldest(v *view, userID int64, from, until time.Time) ([]storage.Revocation, error) {
	living, err := sessionsOf(v, userID)
	if err != nil {
		return nil, err
	}
	var ended []storage.Revocation
	for _, session := range living[:min(len(living), endsPerCommit)] {
		one, err := endSession(v, session.ID, from, until)
		if err != nil {
			return nil, err
		}
		ended = append(ended, one)
	}
	return ended, nil
}

// endSession leaves a marker that stays as long as the record would have, and the revocation does: until then the id
// begins no session, even if it never had one.
func endSession(v *view, id string, from, until time.Time) (storage.Revocation, error) {
	known, err := sessionRecordOf(v, id)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return storage.Revocation{}, err
	}
	if err == nil {
		v.delete(deviceKey(known.UserID, id))
	}
	kept := known.ExpiresAt
	if until.After(kept) {
		kept = until
	}
	marker := storage.Session{ID: id, UserID: known.UserID, ExpiresAt: kept}
	if err := putSession(v, sessionRecord{Session: marker, Ended: true}); err != nil {
		return storage.Revocation{}, err
	}
	ended, err := revoke(v, []storage.Revocation{{Scope: storage.ScopeSession, ID: id, From: from, Until: until}})
	if err != nil {
		return storage.Revocation{}, err
	}
	return ended[0], nil
}
