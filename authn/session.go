package authn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"wxgate/storage"
)

// sessionStore keeps sessions.
type sessionStore interface {
	Session(ctx context.Context, id string) (storage.Session, error)
	Sessions(ctx context.Context, userID int64, after storage.SessionCursor, limit int) ([]storage.Session, error)
	BeginSession(ctx context.Context, s storage.Session, maxSessions int) (storage.SessionResult, error)
	UpdateSession(ctx context.Context, id string, change func(*storage.Session) ([]storage.Revocation, error)) (storage.Session, error)
	EndSession(ctx context.Context, id string, from, until time.Time) (storage.Revocation, error)
	EndSessions(ctx context.Context, userID int64, from, until time.Time) ([]storage.Revocation, error)
}

// Refresh replaces the token of an Authorization header that is valid, or expired for less than authn.refresh.window, by a
// new one of the same session. A token that is younger than a minute is answered with itself, so that a session has no two
// tokens of one second and whoever refreshes all the time changes nothing. Within authn.refresh.grace the replaced token
// gets the same answer again, so that parallel refreshes and lost answers do no harm; presented later, it ends the
// session: ErrTokenReused. admit is asked, with the user's id, before the store is; a token that is answered with itself
// does not need it.
func (a *Authn) Refresh(ctx context.Context, authorization string, admit func(userID int64) error) (Grant, error) {
	grant, err := a.refresh(ctx, authorization, admit)
	a.metrics.refreshes.WithLabelValues(resultOf(err, append(ofTokens(), result{ErrTokenReused, "token_reused"}))).Inc()
	return grant, err
}

func (a *Authn) refresh(ctx context.Context, authorization string, admit func(userID int64) error) (Grant, error) {
	token, err := credentials(authorization)
	if err != nil {
		return Grant{}, err
	}
	token = strings.Clone(token) // it aliases the request's buffer
	v, err := a.verify(ctx, token)
	if err != nil {
		return Grant{}, err
	}
	if err := a.judge(v, max(a.cfg.Refresh.Window, 1)); err != nil {
		return Grant{}, err
	}
	if a.isYoung(v) {
		return Grant{Token: token, ExpiresIn: v.claims.expiry().Sub(a.now()).Round(time.Second)}, nil
	}
	if err := admit(v.claims.UserID); err != nil {
		return Grant{}, err
	}
	if v.claims.adopted {
		if err := a.beginAdopted(ctx, v); err != nil {
			return Grant{}, err
		}
	}
	session, err := a.rotate(ctx, v)
	if err != nil {
		return Grant{}, err
	}
	user, err := a.store.User(ctx, session.UserID)
	if errors.Is(err, storage.ErrNotFound) {
		return Grant{}, ErrTokenRevoked // erased a moment ago
	}
	if err != nil {
		return Grant{}, fmt.Errorf("reading the user of a session: %w", err)
	}
	return a.grant(user, session, false)
}

// refreshEvery is the age from which on a token is replaced.
const refreshEvery = time.Minute

// isYoung reports whether the token is one of ours that is too young to be replaced, and good.
func (a *Authn) isYoung(v *verified) bool {
	now := a.now()
	issued := time.Unix(v.claims.IssuedAt, 0)
	return !v.claims.adopted && now.Sub(issued) < min(refreshEvery, a.cfg.TokenTTL/2) && !a.revoked.refuses(v, now)
}

// beginAdopted gives a foreign token the session that it never had; when it is there already, it stays as it is.
func (a *Authn) beginAdopted(ctx context.Context, v *verified) error {
	session := a.newSession("")
	session.ID, session.TokenID, session.UserID = v.claims.SessionID, v.claims.TokenID, v.claims.UserID
	session.ExpiresAt = a.refusedUntil(v.claims.expiry())
	begun, err := a.store.BeginSession(ctx, session, a.cfg.Sessions.MaxPerUser)
	if err != nil {
		return fmt.Errorf("beginning a session for a foreign token: %w", err)
	}
	a.revoked.add(begun.Ended...)
	return nil
}

// rotate gives the session a new jti, or the one it has when its last was replaced a moment ago. Only the first of these
// is written.
func (a *Authn) rotate(ctx context.Context, v *verified) (storage.Session, error) {
	session, err := a.store.Session(ctx, v.claims.SessionID)
	if err == nil && !a.replacedJustNow(session, v, a.now()) {
		session, err = a.replace(ctx, v)
	}
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return storage.Session{}, ErrTokenRevoked
	case errors.Is(err, ErrTokenReused):
		return storage.Session{}, a.endReused(ctx, v)
	case err != nil:
		return storage.Session{}, fmt.Errorf("refreshing a session: %w", err)
	}
	return session, nil
}

// replacedJustNow reports whether the token is the one that the current one replaced, within its grace.
func (a *Authn) replacedJustNow(s storage.Session, v *verified, now time.Time) bool {
	return s.UserID == v.claims.UserID && v.claims.TokenID == s.PreviousTokenID &&
		now.Before(s.RefreshedAt.Add(a.cfg.Refresh.Grace))
}

// replace gives the session a new jti if the token is its current one.
func (a *Authn) replace(ctx context.Context, v *verified) (storage.Session, error) {
	var replaced []storage.Revocation
	session, err := a.store.UpdateSession(ctx, v.claims.SessionID, func(s *storage.Session) ([]storage.Revocation, error) {
		now := a.now()
		switch {
		case s.UserID != v.claims.UserID:
			return nil, ErrTokenInvalid
		case v.claims.TokenID == s.TokenID:
			replaced = a.replaceToken(s, v, now)
			return replaced, nil
		case a.replacedJustNow(*s, v, now):
			return nil, nil
		}
		return nil, ErrTokenReused
	})
	if err == nil {
		a.revoked.add(replaced...)
	}
	return session, err
}

// replaceToken makes a new current token; the old one is refused from the end of its grace on, and those before it at
// once: the revocation takes the place of that of the refresh before.
func (a *Authn) replaceToken(s *storage.Session, old *verified, now time.Time) []storage.Revocation {
	s.PreviousTokenID, s.TokenID = s.TokenID, newID()
	s.RefreshedAt, s.Epoch = now.UTC().Truncate(time.Millisecond), a.store.Epoch()
	s.ExpiresAt = s.RefreshedAt.Add(a.sessionLife())
	until := old.claims.expiry().Add(a.cfg.Leeway)
	from := s.RefreshedAt.Add(a.cfg.Refresh.Grace)
	if !from.Before(until) {
		return nil // it expires before its grace ends
	}
	if old.claims.adopted { // its iat is another backend's, and may be this very second
		return []storage.Revocation{{Scope: storage.ScopeToken, ID: s.PreviousTokenID, From: from, Until: until}}
	}
	return []storage.Revocation{{
		Scope: storage.ScopeSession, ID: s.ID, From: from, Until: until,
		Before: s.RefreshedAt.Truncate(time.Second), Spare: time.Unix(old.claims.IssuedAt, 0).UTC(),
	}}
}

// endReused ends a session whose replaced token came back after its grace: one of its two holders is not the user.
func (a *Authn) endReused(ctx context.Context, v *verified) error {
	if err := a.endSession(ctx, v.claims.SessionID, v.claims.expiry()); err != nil {
		return err
	}
	a.log.WarnContext(ctx, "token reused", "user", v.claims.UserID)
	return ErrTokenReused
}

// Logout ends the subject's session. Its tokens are refused when Logout returns, and after a restart too.
func (a *Authn) Logout(ctx context.Context, s Subject) error {
	if s.SessionID == "" {
		return nil // a cloud identity has no session
	}
	return a.endSession(ctx, s.SessionID, s.ExpiresAt)
}

// endSession ends a session, whatever becomes of the caller meanwhile: disk and memory must not disagree. expires is
// that of the token at hand: one of an existing backend may live longer than ours.
func (a *Authn) endSession(ctx context.Context, id string, expires time.Time) error {
	revocation, err := a.store.EndSession(context.WithoutCancel(ctx), id, a.now(), a.refusedUntil(expires))
	if err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	a.revoked.add(revocation)
	return nil
}

// refusedUntil is how long a session must stay refused of which a token expires at that time: until neither that token
// nor one of ours can be used or refreshed any more.
func (a *Authn) refusedUntil(expires time.Time) time.Time {
	last := a.now().Add(a.sessionLife())
	if late := expires.Add(a.cfg.Refresh.Window + 2*a.cfg.Leeway); late.After(last) {
		last = late
	}
	return last
}

// LogoutAll ends every session of the subject's user.
func (a *Authn) LogoutAll(ctx context.Context, s Subject) error {
	if _, err := a.EndSessions(ctx, s.UserID); err != nil {
		return err
	}
	return a.Logout(ctx, s) // also when the store had forgotten the session of this very token
}

// EndSessions ends every session of a user and says how many there were. Tokens of an existing backend have no session
// to end; those that were issued until now are refused all the same.
func (a *Authn) EndSessions(ctx context.Context, userID int64) (int, error) {
	ctx, now := context.WithoutCancel(ctx), a.now()
	ended, err := a.store.EndSessions(ctx, userID, now, now.Add(a.sessionLife()))
	a.revoked.add(ended...) // also those that ended before an error
	if err == nil && a.cfg.AcceptForeign {
		err = a.endForeign(ctx, userID, now)
	}
	if err != nil {
		return 0, fmt.Errorf("ending all sessions of a user: %w", err)
	}
	return len(ended), nil
}

// Sessions lists the sessions of a user behind after, the oldest first, at most limit of them.
func (a *Authn) Sessions(ctx context.Context, userID int64, after storage.SessionCursor, limit int,
) ([]storage.Session, error) {
	return a.store.Sessions(ctx, userID, after, limit)
}

// EndSessionOf ends one session of a user; storage.ErrNotFound when the user has no such session.
func (a *Authn) EndSessionOf(ctx context.Context, userID int64, id string) error {
	session, err := a.store.Session(ctx, id)
	if err != nil {
		return err
	}
	if session.UserID != userID {
		return storage.ErrNotFound
	}
	return a.endSession(ctx, id, session.ExpiresAt)
}

// EndSession ends a session whoever's it is; storage.ErrNotFound when there is none.
func (a *Authn) EndSession(ctx context.Context, id string) error {
	session, err := a.store.Session(ctx, id)
	if err != nil {
		return err
	}
	return a.endSession(ctx, id, session.ExpiresAt)
}

// sessionLife is how long a token that was signed just now could be used, refresh included.
func (a *Authn) sessionLife() time.Duration {
	return a.cfg.TokenTTL + a.cfg.Refresh.Window + 2*a.cfg.Leeway
}
