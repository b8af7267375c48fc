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
	in, err := identify(w, l)
	if err != nil {
		return LoginResult{}, err
	}
	if err := rememberKey(w, sealer, in.Account, l.SessionKey); err != nil {
		return LoginResult{}, err
	}
	if err := l.hold(w, &in); err != nil || in.Held {
		return in, err
	}
	if l.Session.ID != "" {
		in.Session = l.Session
		in.Session.UserID = in.User.ID
		if in.Account != in.User.ID {
			in.Session.Account = in.Account
		}
		if in.Created {
			l.MaxSessions = 0 // nobody has to make room, so nobody is looked for
		}
		started, err := beginSession(w, in.Session, l.MaxSessions)
		if err != nil {
			return LoginResult{}, err
		}
		in.Ended = append(in.Ended, started.Ended...)
	}
	return in, noteOutcome(w, l.Outcome, in)
}

// identify finds or creates the account of a login, and whose it is, and changes both as the login says.
func identify(w Writer, l Login) (in LoginResult, err error) {
	old, created, err := userOf(w, l)
	if err != nil {
		return in, err
	}
	if err := l.refuse(old.ID); err != nil {
		return in, err
	}
	account := old
	if l.UnionID != "" {
		account.UnionID, account.UnionIDProved = l.UnionID, true
	}
	if account.Person() == account.ID {
		if err := l.changeProfile(&account); err != nil {
			return in, err
		}
	}
	if err := putUser(w, old, &account); err != nil {
		return in, err
	}
	var done linked
	if !created {
		in.TookBack, err = l.takeBack(w, account.ID) // or it would be in the way of a link
	}
	if l.Link != nil && err == nil {
		account, done, err = l.link(w, account)
	}
	if err != nil {
		return in, err
	}
	for of := account; of.LinkedTo != 0; {
		took, err := l.takeBack(w, of.LinkedTo)
		if in.TookBack = in.TookBack || took; err == nil {
			of, err = w.User(of.LinkedTo) // which may wait for another one
		}
		if err != nil {
			return in, err
		}
	}
	person, err := l.personOf(w, account)
	in.User, in.Account, in.Created, in.Linking, in.Ended = person.through(account), account.ID, created && person.ID == account.ID, done.waits, done.ended
	return in, err
}

// takeBack drops the deletion of a user who is back, and reports whether there was one.
func (l Login) takeBack(w Writer, userID int64) (bool, error) {
	if !l.TakeBack || l.Session.ID == "" {
		return false, nil
	}
	return takeBack(w, userID)
}

// personOf finds whose account it is, and changes what a user of several accounts says about themselves.
func (l Login) personOf(w Writer, account User) (User, error) {
	old, err := personOf(w, account)
	if err != nil || old.ID == account.ID {
		return old, err
	}
	if err := l.refuse(old.ID); err != nil {
		return User{}, err
	}
	person := old
	if err := l.changeProfile(&person); err != nil {
		return User{}, err
	}
	return person, putUser(w, old, &person)
}

func (l Login) refuse(userID int64) error {
	if l.Refuse == nil {
		return nil
	}
	return guarded(func() error { return l.Refuse(userID) })
}

// heldFor is how long it is remembered that a user is new whose first login was held.
const heldFor = 7 * 24 * time.Hour

// hold holds a login while a service must still be told about the first one of the user, or has a chance to be told that the
// user is another one. It notes that the user is new until a login succeeds.
func (l Login) hold(w Writer, in *LoginResult) (err error) {
	if in.Held = in.Linking; !l.Hold && in.User.Link != LinkPending {
		return nil
	}
	if l.Hold && !in.Held {
		if in.Held, err = untold(w, in.User.ID); err != nil {
			return err
		}
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
	UserID    int64  `json:"user"` // the account
	SessionID string `json:"session,omitempty"`
	Created   bool   `json:"created,omitempty"`
}

func outcomeName(name string) string { return "login " + name }

func noteOutcome(w Writer, o Outcome, in LoginResult) error {
	if o.Name == "" {
		return nil
	}
	text, err := json.Marshal(outcome{in.Account, in.Session.ID, in.Created})
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
		account, err := r.User(o.UserID)
		if err != nil {
			return in, err
		}
		person, err := personOf(r, account)
		in.Created, in.Account, in.User = o.Created, account.ID, person.through(account)
		if err != nil || o.SessionID == "" {
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
		later, err := r.SessionRefs(user.Person(), SessionCursor{CreatedAt: Stamp(since)}, 1)
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

// changeProfile applies what the login says about nickname, avatar and bio.
func (l Login) changeProfile(u *User) error {
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
