package authn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wxgate/storage"
)

// Refresh replaces a token that is valid, or expired for less than authn.refresh.window, by a new one of the same
// session. Within authn.refresh.grace the replaced token gets the same answer again, so that parallel refreshes and
// lost answers do no harm; presented later, it ends the session: ErrTokenReused.
func (a *Authn) Refresh(ctx context.Context, token string) (Grant, error) {
	grant, err := a.refresh(ctx, token)
	a.metrics.refreshes.WithLabelValues(resultOf(err)).Inc()
	return grant, err
}

func (a *Authn) refresh(ctx context.Context, token string) (Grant, error) {
	claims, err := a.parse(token)
	if err != nil {
		return Grant{}, err
	}
	if err := a.judge(claims, a.cfg.Refresh.Window); err != nil {
		return Grant{}, err
	}
	if a.revoked.ended(a.now(), claims) {
		return Grant{}, ErrTokenRevoked
	}
	session, err := a.rotate(ctx, claims)
	if err != nil {
		return Grant{}, err
	}
	user, err := a.store.User(ctx, session.UserID)
	if err != nil {
		return Grant{}, fmt.Errorf("reading the user of a session: %w", err)
	}
	return a.grant(user, session, false)
}

// rotate gives the session a new jti, or the one it has when its last was replaced a moment ago.
func (a *Authn) rotate(ctx context.Context, claims *Claims) (storage.Session, error) {
	var replaced []storage.Revocation
	session, err := a.store.UpdateSession(ctx, claims.SessionID, func(s *storage.Session) ([]storage.Revocation, error) {
		now := a.now()
		switch {
		case s.UserID != claims.UserID:
			return nil, ErrTokenInvalid
		case claims.TokenID == s.TokenID:
			replaced = a.replaceToken(s, claims, now)
			return replaced, nil
		case claims.TokenID == s.PreviousTokenID && now.Before(s.RefreshedAt.Add(a.cfg.Refresh.Grace)):
			return nil, nil
		}
		return nil, ErrTokenReused
	})
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return storage.Session{}, ErrTokenRevoked
	case errors.Is(err, ErrTokenReused):
		return storage.Session{}, a.endReused(ctx, claims)
	case err != nil:
		return storage.Session{}, fmt.Errorf("refreshing a session: %w", err)
	}
	a.revoked.add(a.now(), replaced...)
	return session, nil
}

// replaceToken makes a new current token; the old one is refused from the end of its grace on.
func (a *Authn) replaceToken(s *storage.Session, old *Claims, now time.Time) []storage.Revocation {
	s.PreviousTokenID, s.TokenID = s.TokenID, newID()
	s.RefreshedAt = now.UTC().Truncate(time.Millisecond)
	s.ExpiresAt = s.RefreshedAt.Add(a.cfg.TokenTTL + a.cfg.Refresh.Window)
	until := old.expiry().Add(a.cfg.Leeway)
	from := s.RefreshedAt.Add(a.cfg.Refresh.Grace)
	if !from.Before(until) {
		return nil // it expires before its grace ends
	}
	return []storage.Revocation{{Scope: storage.ScopeToken, ID: s.PreviousTokenID, From: from, Until: until}}
}

// endReused ends a session whose replaced token came back after its grace: one of its two holders is not the user.
func (a *Authn) endReused(ctx context.Context, claims *Claims) error {
	if err := a.endSession(ctx, claims.SessionID); err != nil {
		return err
	}
	a.log.WarnContext(ctx, "token reused", "user", claims.UserID)
	return ErrTokenReused
}

// Logout ends the subject's session. Its tokens are refused when Logout returns, and after a restart too.
func (a *Authn) Logout(ctx context.Context, s Subject) error {
	return a.endSession(ctx, s.SessionID)
}

func (a *Authn) endSession(ctx context.Context, id string) error {
	now := a.now()
	revocation, err := a.store.EndSession(ctx, id, now, now.Add(a.sessionLife()))
	if err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	a.revoked.add(now, revocation)
	return nil
}

// LogoutAll ends every session of the subject's user.
func (a *Authn) LogoutAll(ctx context.Context, s Subject) error {
	now := a.now()
	ended, err := a.store.EndSessions(ctx, s.UserID, now, now.Add(a.sessionLife()))
	if err != nil {
		return fmt.Errorf("ending all sessions of a user: %w", err)
	}
	a.revoked.add(now, ended...)
	return a.Logout(ctx, s) // also when the store had forgotten the session of this very token
}

// sessionLife is how long a token that was signed just now could be used, refresh included.
func (a *Authn) sessionLife() time.Duration {
	return a.cfg.TokenTTL + a.cfg.Refresh.Window + 2*a.cfg.Leeway
}
