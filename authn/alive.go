package authn

import "wxgate/storage"

// Alive says why the subject's session may not go on, nil when it may: its token has expired (ErrTokenExpired), or the
// session or the user was ended (ErrTokenRevoked). A token that a refresh replaced ends nothing. It asks memory alone.
func (a *Authn) Alive(s Subject) error {
	now := a.now()
	session, ok := newRevocationKey(storage.ScopeSession, s.SessionID)
	switch {
	case !now.Before(s.ExpiresAt.Add(a.cfg.Leeway)):
		return ErrTokenExpired
	case ok && a.revoked.covers(session, now), a.revoked.covers(userKey(storage.ScopeUser, s.UserID), now),
		s.adoptedAt != 0 && a.revoked.endedForeign(s.UserID, s.adoptedAt):
		return ErrTokenRevoked
	}
	return nil
}
