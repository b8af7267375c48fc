package badger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wxgate/storage"
)

// endsPerCommit is how many sessions of one user end in one transaction, some milliseconds of the only writer.
const endsPerCommit = 256

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

// EndSessions is EndSession for every session of the user. More than endsPerCommit of them end in several transactions, so
// that others write in between; after an error what ended has ended, and is returned; doing it again ends the rest.
func (s *Store) EndSessions(ctx context.Context, userID int64, from, until time.Time) ([]storage.Revocation, error) {
	var all []storage.Revocation
	for more := true; more; {
		var ended []storage.Revocation
		err := s.write(ctx, opEndSessions, func(v *view) (err error) {
			ended, more, err = endSome(v, userID, from, until)
			return err
		})
		if err != nil {
			return all, fmt.Errorf("ending the sessions of user %d: %w", userID, err)
		}
		all = append(all, ended...)
	}
	return all, nil
}

// endSome ends endsPerCommit sessions of the user, in any order, and reports whether there may be more. What it reads is
// bounded by what it ends.
func endSome(v *view, userID int64, from, until time.Time) (ended []storage.Revocation, more bool, err error) {
	keys := v.firstKeys(devicePrefix(userID), "", endsPerCommit)
	for _, key := range keys {
		d, err := readDevice(v, userID, key)
		if err != nil {
			return nil, false, err
		}
		if !d.lives(v.now) {
			v.delete(key) // its record stays until it is forgotten
			continue
		}
		one, err := endSession(v, d.id, from, until)
		if err != nil {
			return nil, false, err
		}
		ended = append(ended, one)
	}
	return ended, len(keys) == endsPerCommit, nil
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
		known.forgetRotation(v)
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
