package badger

import (
	"context"
	"errors"
	"fmt"

	"wxgate/storage"
)

// BeginSession begins a session of a user who is known already, or returns the one of that id that has begun before. The
// user's oldest sessions end until maxSessions are left; 0 is no limit. ErrNotFound is a session that has ended.
func (s *Store) BeginSession(ctx context.Context, session storage.Session, maxSessions int) (storage.Begun, error) {
	var begun storage.Begun
	err := s.write(ctx, opBeginSession, func(v *view) (err error) {
		begun, err = beginOrFind(v, session, maxSessions)
		return err
	})
	if err != nil {
		return storage.Begun{}, fmt.Errorf("beginning a session: %w", err)
	}
	return begun, nil
}

func beginOrFind(v *view, wanted storage.Session, maxSessions int) (storage.Begun, error) {
	known, err := sessionRecordOf(v, wanted.ID)
	switch {
	case err == nil && (known.Ended || known.UserID != wanted.UserID):
		return storage.Begun{}, storage.ErrNotFound
	case err == nil:
		return storage.Begun{Session: known.Session}, nil
	case !errors.Is(err, storage.ErrNotFound):
		return storage.Begun{}, err
	}
	if err := beginSession(v, wanted); err != nil {
		return storage.Begun{}, err
	}
	ended, err := makeRoom(v, wanted, maxSessions)
	return storage.Begun{Session: wanted, Ended: ended}, err
}

// makeRoom ends the oldest sessions of the user that just began one, until most are left.
func makeRoom(v *view, begun storage.Session, most int) ([]storage.Revocation, error) {
	if most == 0 {
		return nil, nil
	}
	living, err := sessionsOf(v, begun.UserID)
	if err != nil {
		return nil, err
	}
	var ended []storage.Revocation
	for _, old := range living {
		if len(living)-len(ended) <= most {
			break
		}
		if old.ID == begun.ID {
			continue
		}
		one, err := endSession(v, old.ID, v.now, old.ExpiresAt)
		if err != nil {
			return nil, err
		}
		ended = append(ended, one)
	}
	return ended, nil
}
