package badger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"wxgate/storage"
)

// BeginSession begins a session of a user who is known already, or returns the one of that id that has begun before. The
// user's oldest sessions end until maxSessions are left; 0 is no limit. ErrNotFound is an unknown or erased user, or a
// session that has ended or expired.
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
	if _, err := user(v, wanted.UserID); err != nil {
		return storage.Begun{}, err
	}
	_, err := sessionRecordOf(v, wanted.ID)
	if err == nil {
		return find(v, wanted)
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return storage.Begun{}, err
	}
	if err := beginSession(v, wanted); err != nil {
		return storage.Begun{}, err
	}
	ended, err := makeRoom(v, wanted, maxSessions)
	return storage.Begun{Session: wanted, Ended: ended}, err
}

// find returns the session that has begun before, if it lives and is the same user's.
func find(v *view, wanted storage.Session) (storage.Begun, error) {
	known, err := session(v, wanted.ID)
	if err == nil && known.UserID != wanted.UserID {
		err = storage.ErrNotFound
	}
	if err != nil {
		return storage.Begun{}, err
	}
	return storage.Begun{Session: known}, nil
}

// makeRoom ends the oldest sessions of the user that just began one, until most are left. Of a crowd that is older than
// the limit, endsPerCommit end with each login.
func makeRoom(v *view, begun storage.Session, most int) ([]storage.Revocation, error) {
	if most <= 0 {
		return nil, nil
	}
	living, err := oldestDevices(v, begun.UserID, behind(storage.SessionCursor{}), most+1+endsPerCommit)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(living, func(d device) bool { return d.id == begun.ID })
	tooMany := min(max(0, len(others)+1-most), endsPerCommit)
	var ended []storage.Revocation
	for _, old := range others[:tooMany] {
		one, err := endSession(v, old.id, stamp(v.now), time.UnixMilli(old.expires).UTC())
		if err != nil {
			return nil, err
		}
		ended = append(ended, one)
	}
	return ended, nil
}
