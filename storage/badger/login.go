package badger

import (
	"context"
	"errors"
	"fmt"

	"wxgate/storage"
)

// Login finds or creates the user, lets l.Change work on it, remembers the session_key and begins the session: all of it
// or, with an error, nothing. Doing the same Login again is harmless: it is the same user and the same session.
func (s *Store) Login(ctx context.Context, l storage.Login) (storage.LoggedIn, error) {
	var in storage.LoggedIn
	err := s.write(ctx, opLogin, func(v *view) (err error) {
		in, err = s.login(v, l)
		return err
	})
	if err != nil {
		return storage.LoggedIn{}, fmt.Errorf("logging in: %w", err)
	}
	return in, nil
}

func (s *Store) login(v *view, l storage.Login) (storage.LoggedIn, error) {
	old, created, err := userOf(v, l)
	if err != nil {
		return storage.LoggedIn{}, err
	}
	u := old
	if err := changeAtLogin(&u, l); err != nil {
		return storage.LoggedIn{}, err
	}
	if err := putUser(v, old, &u); err != nil {
		return storage.LoggedIn{}, err
	}
	if err := s.remember(v, u.ID, l.SessionKey); err != nil {
		return storage.LoggedIn{}, err
	}
	session := l.Session
	session.UserID = u.ID
	if session.ID == "" {
		return storage.LoggedIn{User: u, Created: created}, nil
	}
	if err := beginSession(v, session); err != nil {
		return storage.LoggedIn{}, err
	}
	ended, err := makeRoom(v, session, l.MaxSessions)
	return storage.LoggedIn{User: u, Session: session, Created: created, Ended: ended}, err
}

// changeAtLogin applies what the login says about the user: its unionid, and nickname, avatar and bio by Change.
func changeAtLogin(u *storage.User, l storage.Login) error {
	if l.UnionID != "" {
		u.UnionID = l.UnionID
	}
	if l.Change == nil {
		return nil
	}
	wanted := *u
	if err := guarded(func() error { return l.Change(&wanted) }); err != nil {
		return err
	}
	u.Nickname, u.Avatar, u.Bio = wanted.Nickname, wanted.Avatar, wanted.Bio
	return nil
}

// beginSession records a session. An id that is taken by another user, or that has ended, begins nothing.
func beginSession(v *view, begun storage.Session) error {
	if begun.ID == "" {
		return errors.New("a session needs an id")
	}
	known, err := sessionRecordOf(v, begun.ID)
	if err == nil && (known.Ended || known.UserID != begun.UserID) {
		return errors.New("the session id was used before")
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return putSession(v, sessionRecord{Session: begun})
}
