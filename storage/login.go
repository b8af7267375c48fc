package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
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
	in := LoginResult{User: u, Created: created}
	if l.TakeBack && l.Session.ID != "" && !created {
		if in.TookBack, err = takeBack(w, u.ID); err != nil {
			return LoginResult{}, err
		}
	}
	if l.Hold {
		if err := holdLogin(w, &in); err != nil || in.Held {
			return in, err
		}
	}
	if l.Session.ID != "" {
		in.Session = l.Session
		in.Session.UserID = u.ID
		if created {
			l.MaxSessions = 0 // nobody has to make room, so nobody is looked for
		}
		started, err := beginSession(w, in.Session, l.MaxSessions)
		if err != nil {
			return LoginResult{}, err
		}
		in.Ended = started.Ended
	}
	return in, noteOutcome(w, l.Outcome, in)
}

// heldFor is how long it is remembered that a user is new whose first login was held.
const heldFor = 7 * 24 * time.Hour

// holdLogin holds a login while a service must still be told about the first one of the user, and notes that the user is
// new until one succeeds.
func holdLogin(w Writer, in *LoginResult) (err error) {
	if in.Held, err = untold(w, in.User.ID); err != nil {
		return err
	}
	name := "new " + strconv.FormatInt(in.User.ID, 10)
	if in.Held {
		if in.Created {
			return putTemporary(w, name, nil, heldFor)
		}
		return nil
	}
	isNew, err := temporaryOrNil(w, name)
	if err != nil || isNew == nil {
		return err
	}
	in.Created = true
	return w.DropTemporary(name)
}

// outcome is what is kept of a login under a name, for whoever repeats it.
type outcome struct {
	UserID    int64  `json:"user"`
	SessionID string `json:"session,omitempty"`
	Created   bool   `json:"created,omitempty"`
}

func outcomeName(name string) string { return "login " + name }

func noteOutcome(w Writer, o Outcome, in LoginResult) error {
	if o.Name == "" {
		return nil
	}
	text, err := json.Marshal(outcome{in.User.ID, in.Session.ID, in.Created})
	if err != nil {
		return err
	}
	return putTemporary(w, outcomeName(o.Name), text, o.Life)
}

// LoginOf returns the user and the session of a login that had an Outcome of that name, as they are now, or ErrNotFound if
// there was none, or too long ago, or its session has ended.
func (s *Store) LoginOf(ctx context.Context, name string) (LoginResult, error) {
	return read(ctx, s, opLoginOf, func(r Reader) (in LoginResult, err error) {
		text, _, err := r.Temporary(outcomeName(name))
		if err != nil {
			return in, err
		}
		var o outcome
		if err := json.Unmarshal(text, &o); err != nil {
			return in, fmt.Errorf("the outcome of a login: %w: %w", ErrDamaged, err)
		}
		in.Created = o.Created
		if in.User, err = r.User(o.UserID); err != nil || o.SessionID == "" {
			return in, err
		}
		session, err := livingSession(r, o.SessionID)
		in.Session = session.Session
		return in, err
	})
}

// LoggedInSince reports whether somebody logged in to a mini-program at a time or later, and was not erased. A login yields a
// session_key, which a logout leaves, or, on WeChat Cloud Run, a session alone.
func (s *Store) LoggedInSince(ctx context.Context, appID, openID string, since time.Time) (bool, error) {
	return read(ctx, s, opLoggedInSince, func(r Reader) (bool, error) {
		user, err := r.UserByOpenID(appID, openID)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		keys, err := sessionKeys(r, s.driver.Sealer(), user.ID)
		if err != nil || len(keys) > 0 && !keys[0].At.Before(since) {
			return err == nil, err
		}
		later, err := r.SessionRefs(user.ID, SessionCursor{CreatedAt: Stamp(since)}, 1)
		return len(later) > 0, err
	})
}

// Alone reports whether no other gateway serves from the store, nor has been killed within the last minute and a half. What
// one did that is gone is there to be read.
func (s *Store) Alone(ctx context.Context) (bool, error) {
	if !s.Shared() {
		return true, nil
	}
	return read(ctx, s, opAlone, func(r Reader) (bool, error) {
		names, err := r.Temporaries(GatewayPrefix, 2)
		return !slices.ContainsFunc(names, func(name string) bool { return name != gatewayName(s.Epoch()) }), err
	})
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
