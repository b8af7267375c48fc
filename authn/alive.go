package authn

// Alive says why the subject's session may not go on, nil when it may: its token has expired (ErrTokenExpired), or the
// session or the user was ended (ErrTokenRevoked). A token that a refresh replaced ends nothing. It asks memory alone.
func (a *Authn) Alive(s Subject) error {
	now := a.now()
	if !now.Before(s.ExpiresAt.Add(a.cfg.Leeway)) {
		return ErrTokenExpired
	}
	if a.revoked.ended(now, &Claims{UserID: s.UserID, SessionID: s.SessionID}) {
		return ErrTokenRevoked
	}
	return nil
}
