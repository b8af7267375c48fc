package storage

import (
	"context"
	"errors"
)

// Login finds or creates the user, applies l.Change, saves the session_key and starts the session, atomically.
// Repeating a Login is harmless: it yields the same user and the same session.
func (s *Store) Login(ctx context.Context, l Login) (LoginResult, error) {
	return write(ctx, s, opLogin, func(w Writer) (LoginResult, error) { return login(w, s.driver.Sealer(), l) })
}

func login(w Writer, sealer *Sealer, l Login) (LoginResult, error) {
	old, created, err := userOf(w, l)
	if err != nil {
		return LoginResult{}, err
	}
	u := old
	if err := changeAtLogin(&u, l); err != nil {
		return LoginResult{}, err
	}
	if err := putUser(w, old, &u); err != nil {
		return LoginResult{}, err
	}
	if err := rememberKey(w, sealer, u.ID, l.SessionKey); err != nil {
		return LoginResult{}, err
	}
	if l.Hold {
		if held, err := untold(w, u.ID); err != nil || held {
			return LoginResult{User: u, Created: created, Held: held}, err
		}
	}
	session := l.Session
	session.UserID = u.ID
	if session.ID == "" {
		return LoginResult{User: u, Created: created}, nil
	}
	if created {
		l.MaxSessions = 0 // nobody has to make room, so nobody is looked for
	}
	started, err := beginSession(w, session, l.MaxSessions)
	return LoginResult{User: u, Session: session, Created: created, Ended: started.Ended}, err
}

// userOf finds the user by openid, or creates it under the next id.
func userOf(w Writer, l Login) (found User, created bool, err error) {
	found, err = w.UserByOpenID(l.AppID, l.OpenID)
	if !errors.Is(err, ErrNotFound) {
		return found, false, err
	}
	id, err := w.NextUserID()
	if err != nil {
		return User{}, false, err
	}
	found, err = addUser(w, User{ID: max(id, l.FirstID), AppID: l.AppID, OpenID: l.OpenID, Native: true})
	return found, true, err
}

// changeAtLogin applies what the login says about the user: its unionid, and nickname, avatar and bio by Change.
func changeAtLogin(u *User, l Login) error {
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
