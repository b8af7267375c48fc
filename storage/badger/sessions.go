package badger

import (
	"context"
	"fmt"

	"wxgate/storage"
)

// sessionRecord is a session as it lies on disk. One that ended stays as a marker until it would have expired: a deletion
// that compaction forgets (Badger before 4.9.4 did) would bring the session back, a marker cannot.
type sessionRecord struct {
	storage.Session
	Ended    bool   `json:"ended,omitempty"`
	Rotation uint64 `json:"rotation,omitempty"` // Seq of the revocation of its replaced tokens
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

// Sessions returns the sessions of the user that have neither ended nor expired, oldest first: those behind after, at most
// limit of them.
func (s *Store) Sessions(ctx context.Context, userID int64, after storage.SessionCursor, limit int,
) ([]storage.Session, error) {
	var found []storage.Session
	err := s.read(ctx, opSessions, func(v *view) (err error) {
		found, err = sessionsOf(v, userID, after, limit)
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
	record, err := livingRecord(v, id)
	if err != nil {
		return storage.Session{}, err
	}
	old := record.Session
	var revoked []storage.Revocation
	err = guarded(func() error {
		revoked, err = change(&record.Session)
		return err
	})
	if err != nil {
		return storage.Session{}, err
	}
	record.ID, record.UserID = old.ID, old.UserID
	if err := record.revoke(v, revoked); err != nil {
		return storage.Session{}, err
	}
	return record.Session, putSession(v, record)
}

// revoke records the revocations that a change of the session brought. That of its replaced tokens takes the place of the
// one before.
func (r *sessionRecord) revoke(v *view, revoked []storage.Revocation) error {
	recorded, err := revoke(v, revoked)
	if err != nil {
		return err
	}
	for _, one := range recorded {
		if one.Scope == storage.ScopeSession && one.ID == r.ID && !one.Before.IsZero() {
			r.forgetRotation(v)
			r.Rotation = one.Seq
		}
	}
	return nil
}

// forgetRotation deletes the revocation of the replaced tokens, because a newer or the end of the session says more.
func (r *sessionRecord) forgetRotation(v *view) {
	if r.Rotation != 0 {
		v.delete(numbered(prefixRevoked, r.Rotation))
		r.Rotation = 0
	}
}

// session reads a session that lives.
func session(v *view, id string) (storage.Session, error) {
	record, err := livingRecord(v, id)
	return record.Session, err
}

func livingRecord(v *view, id string) (sessionRecord, error) {
	record, err := sessionRecordOf(v, id)
	if err == nil && (record.Ended || !record.ExpiresAt.After(v.now)) {
		err = storage.ErrNotFound
	}
	if err != nil {
		return sessionRecord{}, err
	}
	return record, nil
}

func sessionRecordOf(v *view, id string) (record sessionRecord, err error) {
	err = v.getJSON(sessionKey(id), &record)
	return record, err
}

// putSession records the session, and its place among those of its user. One that lives may have a token, so the epoch
// that issues it is on the disk with it.
func putSession(v *view, record sessionRecord) error {
	if err := v.putJSON(sessionKey(record.ID), record); err != nil || record.Ended {
		return err
	}
	v.issued = max(v.issued, record.RefreshedAt.UnixMilli()) // its iat, should the clock have been set back since
	if err := v.noteEpoch(record.ExpiresAt); err != nil {
		return err
	}
	return putDevice(v, record.Session)
}
