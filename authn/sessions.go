package authn

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"wxgate/authn/revocation"
	"wxgate/authn/token"
	"wxgate/storage"
)

// sessionStore stores sessions.
type sessionStore interface {
	Session(ctx context.Context, id string) (storage.Session, error)
	Sessions(ctx context.Context, userID int64, after storage.SessionCursor, limit int) ([]storage.Session, error)
	BeginSession(ctx context.Context, s storage.Session, maxSessions int) (storage.SessionResult, error)
	UpdateSession(ctx context.Context, id string, change func(*storage.Session) ([]storage.Revocation, error)) (storage.Session, error)
	EndSession(ctx context.Context, id string, from, until time.Time) (storage.Revocation, error)
	EndSessions(ctx context.Context, userID int64, from, until time.Time) ([]storage.Revocation, error)
}

// Sessions refreshes, lists and ends sessions.
type Sessions struct {
	cfg     Config
	store   Store
	tokens  *Tokens
	revoked *revocation.Set
	metrics *metrics
	log     *slog.Logger
	now     func() time.Time
}

// sessionLife is how long a token signed now can be used, refreshes included.
func (c Config) sessionLife() time.Duration { return c.TokenTTL + c.Refresh.Window + 2*c.Leeway }

// newSession returns a session that starts now, with its first token.
func newSession(cfg Config, epoch string, now time.Time, device string) storage.Session {
	now = now.UTC().Truncate(time.Millisecond)
	return storage.Session{
		ID: newID(), TokenID: newID(), Device: device,
		CreatedAt: now, RefreshedAt: now, Epoch: epoch, ExpiresAt: now.Add(cfg.sessionLife()),
	}
}

// Refresh replaces the token in an Authorization header with a new one of the same session. The token must be valid, or
// expired for less than authn.refresh.window. A token younger than a minute is returned as it is, so that a session
// never has two tokens of the same second and constant refreshing changes nothing. Within authn.refresh.grace the
// replaced token yields the same answer again, so parallel refreshes and lost answers do no harm; used later, it ends
// the session with token.ErrReused. admit is called with the user's id before the store is asked, unless the token is
// returned as it is.
func (s *Sessions) Refresh(ctx context.Context, authorization string, admit func(userID int64) error) (Grant, error) {
	grant, err := s.refresh(ctx, authorization, admit)
	s.metrics.refreshes.WithLabelValues(resultOf(err, append(ofTokens(), result{token.ErrReused, "token_reused"}))).Inc()
	return grant, err
}

func (s *Sessions) refresh(ctx context.Context, authorization string, admit func(userID int64) error) (Grant, error) {
	bearer, err := token.Bearer(authorization)
	if err != nil {
		return Grant{}, err
	}
	bearer = strings.Clone(bearer) // it aliases the request's buffer
	v, err := s.tokens.verify(ctx, bearer)
	if err != nil {
		return Grant{}, err
	}
	if err := s.tokens.others.fresh(ctx); err != nil {
		return Grant{}, err
	}
	if err := s.tokens.check(v, max(s.cfg.Refresh.Window, 1)); err != nil {
		return Grant{}, err
	}
	if s.isYoung(v) {
		return Grant{Token: bearer, ExpiresIn: v.subject.ExpiresAt.Sub(s.now()).Round(time.Second)}, nil
	}
	if err := admit(v.subject.UserID); err != nil {
		return Grant{}, err
	}
	if v.imported {
		if err := s.beginImported(ctx, v); err != nil {
			return Grant{}, err
		}
	}
	session, err := s.rotate(ctx, v)
	if err != nil {
		return Grant{}, err
	}
	user, err := s.userOf(ctx, session)
	if errors.Is(err, storage.ErrNotFound) {
		return Grant{}, token.ErrRevoked // erased, linked or unlinked a moment ago
	}
	if err != nil {
		return Grant{}, fmt.Errorf("reading the user of a session: %w", err)
	}
	return s.tokens.grant(user, session, false)
}

// userOf reads the user of a session, as the account through which it began shows them.
func (s *Sessions) userOf(ctx context.Context, session storage.Session) (storage.User, error) {
	account, err := s.store.User(ctx, cmp.Or(session.Account, session.UserID))
	if err == nil && account.Person() != session.UserID {
		err = storage.ErrNotFound
	}
	if err != nil {
		return storage.User{}, err
	}
	return s.store.Person(ctx, account)
}

// refreshEvery is the age from which a token is replaced.
const refreshEvery = time.Minute

// isYoung reports whether the token is valid, one of ours, and too young to be replaced.
func (s *Sessions) isYoung(v *verified) bool {
	now := s.now()
	issued := time.Unix(v.issuedAt, 0)
	return !v.imported && now.Sub(issued) < min(refreshEvery, s.cfg.TokenTTL/2) && !s.revoked.Refuses(&v.subject.revocable, now)
}

// beginImported starts the session of an imported token, unless it exists already.
func (s *Sessions) beginImported(ctx context.Context, v *verified) error {
	session := newSession(s.cfg, s.store.Epoch(), s.now(), "")
	session.ID, session.TokenID, session.UserID = v.subject.SessionID, v.subject.TokenID, v.subject.UserID
	session.ExpiresAt = s.refusedUntil(v.subject.ExpiresAt)
	session.CreatedAt = storage.Stamp(s.importedLogin(v))
	result, err := s.store.BeginSession(ctx, session, s.cfg.Sessions.MaxPerUser)
	if err != nil {
		return fmt.Errorf("starting a session for a foreign token: %w", err)
	}
	s.revoked.Add(result.Ended...)
	return nil
}

// importedLogin is when the holder of an imported token logged in, as far as it says. It is not now.
func (s *Sessions) importedLogin(v *verified) time.Time {
	now, at := s.now(), time.Unix(v.issuedAt, 0)
	if earliest := now.Add(-importedLife); at.Before(earliest) {
		return earliest
	}
	if at.After(now.Add(-freshLogin)) {
		return now.Add(-freshLogin - time.Second) // a login at another backend says nothing about who is here
	}
	return at
}

// rotate gives the session a new jti, or returns the current one if the token was replaced a moment ago. Only the first
// case writes.
func (s *Sessions) rotate(ctx context.Context, v *verified) (storage.Session, error) {
	session, err := s.store.Session(ctx, v.subject.SessionID)
	if err == nil && !s.replacedJustNow(session, v, s.now()) {
		session, err = s.replace(ctx, v)
	}
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return storage.Session{}, token.ErrRevoked
	case errors.Is(err, token.ErrReused):
		return storage.Session{}, s.endReused(ctx, v)
	case err != nil:
		return storage.Session{}, fmt.Errorf("refreshing a session: %w", err)
	}
	return session, nil
}

// replacedJustNow reports whether the token was replaced by the current one and is within its grace period.
func (s *Sessions) replacedJustNow(session storage.Session, v *verified, now time.Time) bool {
	return session.UserID == v.subject.UserID && v.subject.TokenID == session.PreviousTokenID &&
		now.Before(session.RefreshedAt.Add(s.cfg.Refresh.Grace))
}

// replace gives the session a new jti if the token is its current one.
func (s *Sessions) replace(ctx context.Context, v *verified) (storage.Session, error) {
	var replaced []storage.Revocation
	session, err := s.store.UpdateSession(ctx, v.subject.SessionID, func(current *storage.Session) ([]storage.Revocation, error) {
		replaced = nil // by an attempt that did not come to be
		now := s.now()
		switch {
		case current.UserID != v.subject.UserID:
			return nil, token.ErrInvalid
		case v.subject.TokenID == current.TokenID:
			replaced = s.replaceToken(current, v, now)
			return replaced, nil
		case s.replacedJustNow(*current, v, now):
			return nil, nil
		}
		return nil, token.ErrReused
	})
	if err == nil {
		s.revoked.Add(replaced...)
	}
	return session, err
}

// replaceToken makes a new token current. The old one is refused once its grace period is over, and those before it at
// once: the revocation replaces that of the previous refresh.
func (s *Sessions) replaceToken(session *storage.Session, old *verified, now time.Time) []storage.Revocation {
	session.PreviousTokenID, session.TokenID = session.TokenID, newID()
	session.RefreshedAt, session.Epoch = now.UTC().Truncate(time.Millisecond), s.store.Epoch()
	session.ExpiresAt = session.RefreshedAt.Add(s.cfg.sessionLife())
	until := old.subject.ExpiresAt.Add(s.cfg.Leeway)
	from := session.RefreshedAt.Add(s.cfg.Refresh.Grace)
	if !from.Before(until) {
		return nil // it expires before its grace ends
	}
	if old.imported { // its iat is another backend's, and may be this very second
		return []storage.Revocation{{Scope: storage.ScopeToken, ID: session.PreviousTokenID, From: from, Until: until}}
	}
	return []storage.Revocation{{
		Scope: storage.ScopeSession, ID: session.ID, From: from, Until: until,
		Before: session.RefreshedAt.Truncate(time.Second), Spare: time.Unix(old.issuedAt, 0).UTC(),
	}}
}

// endReused ends a session whose replaced token was used after its grace period: one of its two holders is not the
// user.
func (s *Sessions) endReused(ctx context.Context, v *verified) error {
	if err := s.endSession(ctx, v.subject.SessionID, v.subject.ExpiresAt); err != nil {
		return err
	}
	s.log.WarnContext(ctx, "token reused", "user", v.subject.UserID)
	return token.ErrReused
}

// RequireFresh returns ErrLoginTooOld unless the subject logged in within the last five minutes; a refresh is no login. WeChat
// itself says who a subject without a session is, at each request.
func (s *Sessions) RequireFresh(ctx context.Context, subject Subject) error {
	if subject.SessionID == "" {
		return nil
	}
	session, err := s.store.Session(ctx, subject.SessionID)
	if errors.Is(err, storage.ErrNotFound) {
		return ErrLoginTooOld // an imported token has none before it is refreshed
	}
	if err != nil {
		return fmt.Errorf("looking for the login of a session: %w", err)
	}
	if s.now().Sub(session.CreatedAt) > freshLogin {
		return ErrLoginTooOld
	}
	return nil
}

// Logout ends the subject's session. Its tokens are refused once Logout returns, and after a restart.
func (s *Sessions) Logout(ctx context.Context, subject Subject) error {
	if subject.SessionID == "" {
		return nil // a cloud identity has no session
	}
	return s.endSession(ctx, subject.SessionID, subject.ExpiresAt)
}

// endSession ends a session even if the caller goes away: disk and memory must agree. expires is the expiry of the
// token at hand, since imported ones may live longer than ours.
func (s *Sessions) endSession(ctx context.Context, id string, expires time.Time) error {
	revocation, err := s.store.EndSession(context.WithoutCancel(ctx), id, s.now(), s.refusedUntil(expires))
	if err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	s.revoked.Add(revocation)
	return nil
}

// refusedUntil returns how long a session with a token of that expiry must stay revoked: until neither that token nor
// one of ours can be used or refreshed.
func (s *Sessions) refusedUntil(expires time.Time) time.Time {
	last := s.now().Add(s.cfg.sessionLife())
	if late := expires.Add(s.cfg.Refresh.Window + 2*s.cfg.Leeway); late.After(last) {
		last = late
	}
	return last
}

// LogoutAll ends every session of the subject's user.
func (s *Sessions) LogoutAll(ctx context.Context, subject Subject) error {
	if _, err := s.EndAll(ctx, subject.UserID); err != nil {
		return err
	}
	return s.Logout(ctx, subject) // also when the store had forgotten the session of this very token
}

// EndAll ends every session of a user and returns how many there were. Imported tokens have no session; those issued
// before now are refused all the same.
func (s *Sessions) EndAll(ctx context.Context, userID int64) (int, error) {
	ctx, now := context.WithoutCancel(ctx), s.now()
	ended, err := s.store.EndSessions(ctx, userID, now, now.Add(s.cfg.sessionLife()))
	s.revoked.Add(ended...) // also those that ended before an error
	if err == nil && s.cfg.AcceptForeign {
		err = s.endImported(ctx, userID, now)
	}
	if err != nil {
		return 0, fmt.Errorf("ending all sessions of a user: %w", err)
	}
	return len(ended), nil
}

// List returns up to limit sessions of a user that come after the cursor, oldest first.
func (s *Sessions) List(ctx context.Context, userID int64, after storage.SessionCursor, limit int,
) ([]storage.Session, error) {
	return s.store.Sessions(ctx, userID, after, limit)
}

// EndOf ends one session of a user, or returns storage.ErrNotFound if the user has no such session.
func (s *Sessions) EndOf(ctx context.Context, userID int64, id string) error {
	session, err := s.store.Session(ctx, id)
	if err != nil {
		return err
	}
	if session.UserID != userID {
		return storage.ErrNotFound
	}
	return s.endSession(ctx, id, session.ExpiresAt)
}

// End ends a session of any user, or returns storage.ErrNotFound.
func (s *Sessions) End(ctx context.Context, id string) error {
	session, err := s.store.Session(ctx, id)
	if err != nil {
		return err
	}
	return s.endSession(ctx, id, session.ExpiresAt)
}

// newID returns 128 random bits in base64url: the form of every sid and jti. None begins with a dash, which a command
// line would take for a flag.
func newID() string {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails since Go 1.24: crypto/rand ends the process rather than return weak bytes
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}
