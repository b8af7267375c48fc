package storage

import (
	"context"
	"errors"
	"slices"
	"time"
)

// endsPerCommit is how many sessions of one user end in one transaction, some milliseconds of the only writer.
const endsPerCommit = 256

// Session returns a session, or ErrNotFound if it never existed, ended or expired.
func (s *Store) Session(ctx context.Context, id string) (Session, error) {
	return read(ctx, s, opSession, func(r Reader) (Session, error) {
		record, err := livingSession(r, id)
		return record.Session, err
	})
}

// Sessions returns up to limit living sessions of a user that come after the cursor, oldest first.
func (s *Store) Sessions(ctx context.Context, userID int64, after SessionCursor, limit int) ([]Session, error) {
	return read(ctx, s, opSessions, func(r Reader) ([]Session, error) { return sessionsOf(r, userID, after, limit) }, userID)
}

func sessionsOf(r Reader, userID int64, after SessionCursor, limit int) ([]Session, error) {
	page, err := r.SessionRefs(userID, after, limit)
	if err != nil {
		return nil, err
	}
	var living []Session
	for _, ref := range page {
		found, err := livingSession(r, ref.ID)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		living = append(living, found.Session)
	}
	return living, nil
}

func livingSession(r Reader, id string) (SessionRecord, error) {
	record, err := r.Session(id)
	if err == nil && !record.lives(r.Now()) {
		err = ErrNotFound
	}
	if err != nil {
		return SessionRecord{}, err
	}
	return record, nil
}

// UpdateSession applies change to a session and writes the result, together with the revocations that change returns,
// in one transaction. If change fails, nothing is written. Changes of ID and UserID are ignored.
func (s *Store) UpdateSession(ctx context.Context, id string, change func(*Session) ([]Revocation, error)) (Session, error) {
	return write(ctx, s, opUpdateSession, func(w Writer) (Session, error) { return updateSession(w, id, change) })
}

func updateSession(w Writer, id string, change func(*Session) ([]Revocation, error)) (Session, error) {
	record, err := livingSession(w, id)
	if err != nil {
		return Session{}, err
	}
	old := record.Session
	var revoked []Revocation
	err = guarded(func() error {
		revoked, err = change(&record.Session)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	record.ID, record.UserID = old.ID, old.UserID
	if err := record.revoke(w, revoked); err != nil {
		return Session{}, err
	}
	return record.Session, w.PutSession(record)
}

// revoke records the revocations that a change of the session brought. That of its replaced tokens takes the place of the
// one before.
func (r *SessionRecord) revoke(w Writer, revoked []Revocation) error {
	for _, one := range revoked {
		recorded, err := w.Revoke(one)
		if err != nil {
			return err
		}
		if one.Scope == ScopeSession && one.ID == r.ID && !one.Before.IsZero() {
			r.dropRotation(w)
			r.Rotation = recorded.Seq
		}
	}
	return nil
}

// dropRotation deletes the revocation of the replaced tokens, because a newer or the end of the session says more.
func (r *SessionRecord) dropRotation(w Writer) {
	if r.Rotation != 0 {
		w.DropRevocation(r.Rotation)
		r.Rotation = 0
	}
}

// BeginSession starts a session of an existing user, or returns the one with that id. The user's oldest sessions end
// until maxSessions are left; 0 means no limit. It returns ErrNotFound for an unknown or erased user, for an account that is
// linked to another, and for a session that has ended or expired.
func (s *Store) BeginSession(ctx context.Context, session Session, maxSessions int) (SessionResult, error) {
	return write(ctx, s, opBeginSession, func(w Writer) (SessionResult, error) { return beginOrFind(w, session, maxSessions) })
}

func beginOrFind(w Writer, wanted Session, maxSessions int) (SessionResult, error) {
	if u, err := w.User(wanted.UserID); err != nil {
		return SessionResult{}, err
	} else if u.Link == LinkComplete {
		return SessionResult{}, ErrNotFound
	}
	known, err := w.Session(wanted.ID)
	if errors.Is(err, ErrNotFound) {
		return beginSession(w, wanted, maxSessions)
	}
	if err == nil && (known.UserID != wanted.UserID || !known.lives(w.Now())) {
		err = ErrNotFound
	}
	if err != nil {
		return SessionResult{}, err
	}
	return SessionResult{Session: known.Session}, nil
}

// beginSession records a session and ends those that are too many. An id that is taken by another user, or that has ended,
// begins nothing.
func beginSession(w Writer, session Session, maxSessions int) (SessionResult, error) {
	if session.ID == "" {
		return SessionResult{}, errors.New("a session needs an id")
	}
	known, err := w.Session(session.ID)
	if err == nil && (known.Ended || known.UserID != session.UserID) {
		return SessionResult{}, errors.New("the session id was used before")
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return SessionResult{}, err
	}
	if err := w.PutSession(SessionRecord{Session: session}); err != nil {
		return SessionResult{}, err
	}
	ended, err := limitSessions(w, session, maxSessions)
	return SessionResult{Session: session, Ended: ended}, err
}

// limitSessions ends the oldest sessions of the user that just began one, until most are left. Of a crowd that is older than
// the limit, endsPerCommit end with each login.
func limitSessions(w Writer, session Session, most int) ([]Revocation, error) {
	if most <= 0 {
		return nil, nil
	}
	living, err := w.SessionRefs(session.UserID, SessionCursor{}, most+1+endsPerCommit)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(living, func(ref SessionRef) bool { return ref.ID == session.ID })
	tooMany := min(max(0, len(others)+1-most), endsPerCommit)
	var ended []Revocation
	for _, old := range others[:tooMany] {
		one, err := endSession(w, old.ID, Stamp(w.Now()), old.ExpiresAt)
		if err != nil {
			return nil, err
		}
		ended = append(ended, one)
	}
	return ended, nil
}

// EndSession ends a session and revokes its tokens from from until until, in one transaction. A session that no longer
// exists is revoked all the same: its tokens may outlive its record.
func (s *Store) EndSession(ctx context.Context, id string, from, until time.Time) (Revocation, error) {
	return write(ctx, s, opEndSession, func(w Writer) (Revocation, error) { return endSession(w, id, from, until) })
}

// endSession leaves a marker that stays as long as the record would have, and the revocation does: until then the id
// begins no session, even if it never had one.
func endSession(w Writer, id string, from, until time.Time) (Revocation, error) {
	known, err := w.Session(id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Revocation{}, err
	}
	known.dropRotation(w)
	kept := known.ExpiresAt
	if until.After(kept) {
		kept = until
	}
	known.ID, known.ExpiresAt = id, kept
	if err := w.PutSession(known.Marker()); err != nil {
		return Revocation{}, err
	}
	return w.Revoke(Revocation{Scope: ScopeSession, ID: id, From: from, Until: until})
}

// EndSessions is EndSession for every session of a user. More than a few hundred end in several transactions, so that
// others can write in between. After an error, the sessions that ended stay ended and are returned, and calling it
// again ends the rest.
func (s *Store) EndSessions(ctx context.Context, userID int64, from, until time.Time) ([]Revocation, error) {
	return s.endAll(ctx, opEndSessions, userID, func(w Writer) ([]Revocation, bool, error) {
		return endSome(w, userID, from, until)
	})
}

// endAll runs end in one transaction after the other while there is more to end.
func (s *Store) endAll(ctx context.Context, op operation, userID int64, end func(Writer) (ended []Revocation, more bool, err error),
) (all []Revocation, err error) {
	type result struct {
		ended []Revocation
		more  bool
	}
	for last := (result{more: true}); last.more; all = append(all, last.ended...) {
		last, err = write(ctx, s, op, func(w Writer) (r result, err error) {
			r.ended, r.more, err = end(w)
			return r, err
		}, userID)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// endSome ends endsPerCommit sessions of the user, in any order, and reports whether there may be more.
func endSome(w Writer, userID int64, from, until time.Time) (ended []Revocation, more bool, err error) {
	ids, more, err := w.SomeSessions(userID, endsPerCommit)
	if err != nil {
		return nil, false, err
	}
	for _, id := range ids {
		one, err := endSession(w, id, from, until)
		if err != nil {
			return nil, false, err
		}
		ended = append(ended, one)
	}
	return ended, more, nil
}

// Revoke writes revocations in one transaction and returns them with their Seq.
func (s *Store) Revoke(ctx context.Context, revoked ...Revocation) ([]Revocation, error) {
	return write(ctx, s, opRevoke, func(w Writer) (recorded []Revocation, err error) {
		for _, one := range revoked {
			if one, err = w.Revoke(one); err != nil {
				return nil, err
			}
			recorded = append(recorded, one)
		}
		return recorded, nil
	})
}

// Revocations returns at most limit of the revocations with a Seq above after that were not deleted yet, in the order of
// their commits, even if Until has passed by the clock. A reader that continues from the last Seq it saw misses none.
func (s *Store) Revocations(ctx context.Context, after uint64, limit int) ([]Revocation, error) {
	return read(ctx, s, opRevocations, func(r Reader) ([]Revocation, error) { return r.Revocations(after, limit) })
}
