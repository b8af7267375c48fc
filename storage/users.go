package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxUserID keeps ids exact in a JavaScript number.
const maxUserID = 1<<53 - 1

// Stamp returns t as every driver can store it: UTC, in whole milliseconds.
func Stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// User returns the user, or ErrNotFound.
func (s *Store) User(ctx context.Context, id int64) (User, error) {
	return read(ctx, s, opUser, func(r Reader) (User, error) { return r.User(id) }, id)
}

// UserByOpenID returns the user of a mini-program, or ErrNotFound.
func (s *Store) UserByOpenID(ctx context.Context, appID, openID string) (User, error) {
	return read(ctx, s, opUserByOpenID, func(r Reader) (User, error) { return r.UserByOpenID(appID, openID) })
}

// UsersByUnionID returns the users of one person in all mini-programs, ordered by id. There may be none.
func (s *Store) UsersByUnionID(ctx context.Context, unionID string) ([]User, error) {
	return read(ctx, s, opUsersByUnionID, func(r Reader) ([]User, error) { return r.UsersByUnionID(unionID) })
}

// Person returns the user whose account it is, with the openid and the unionid of the account.
func (s *Store) Person(ctx context.Context, account User) (User, error) {
	if account.Person() == account.ID {
		return account, nil
	}
	return read(ctx, s, opPerson, func(r Reader) (User, error) {
		person, err := personOf(r, account)
		return person.through(account), err
	}, account.ID)
}

// Account returns the account of a user in a mini-program, or ErrNotFound. Without an appid it is the record of that id.
func (s *Store) Account(ctx context.Context, userID int64, appID string) (User, error) {
	return read(ctx, s, opAccount, func(r Reader) (User, error) {
		user, err := r.User(userID)
		if err != nil || appID == "" || user.AppID == appID {
			return user, err
		}
		linked, err := r.LinkedUsers(userID)
		if err != nil {
			return User{}, err
		}
		at := slices.IndexFunc(linked, func(u User) bool { return u.AppID == appID && u.Link == LinkComplete })
		if at < 0 {
			return User{}, ErrNotFound
		}
		return linked[at], nil
	}, userID)
}

// Accounts returns the accounts that are linked to a user, or about to be, by id: also those that are linked to one that waits.
func (s *Store) Accounts(ctx context.Context, userID int64) ([]User, error) {
	return read(ctx, s, opAccount, func(r Reader) ([]User, error) { return accountsOf(r, userID) }, userID)
}

// Users returns up to limit users with ids above after, ordered by id.
func (s *Store) Users(ctx context.Context, after int64, limit int) ([]User, error) {
	return read(ctx, s, opUsers, func(r Reader) ([]User, error) { return r.Users(max(0, after), limit) })
}

// The bounds of one look for users.
const (
	maxLooked = 5000
	lookPage  = 500
)

// UsersByNickname returns up to limit users with ids above after whose nickname holds a text, in letters of either case, ordered
// by id. It looks at some thousand users at most and then says where to go on: next is the after of another look; 0: all were
// looked at. Each page that it reads is an operation of its own, so that no other waits for a long one.
func (s *Store) UsersByNickname(ctx context.Context, text string, after int64, limit int) (found []User, next int64, err error) {
	text, after = strings.ToLower(text), max(0, after)
	for range maxLooked / lookPage {
		page, err := s.Users(ctx, after, lookPage)
		if err != nil {
			return nil, 0, err
		}
		for i, u := range page {
			after = u.ID
			if strings.Contains(strings.ToLower(u.Nickname), text) {
				found = append(found, u)
			}
			if len(found) == limit && (i < len(page)-1 || len(page) == lookPage) {
				return found, after, nil
			}
		}
		if len(page) < lookPage {
			return found, 0, nil
		}
	}
	return found, after, nil
}

// CountUsers returns how many users there are. It reads none of them, but takes a moment for each million.
func (s *Store) CountUsers(ctx context.Context) (int64, error) {
	return read(ctx, s, opCountUsers, func(r Reader) (int64, error) { return r.CountUsers() })
}

// AppIDs returns the mini-programs of the users, at most limit of them, in any order. It takes no longer for a million users.
func (s *Store) AppIDs(ctx context.Context, limit int) ([]string, error) {
	return read(ctx, s, opAppIDs, func(r Reader) ([]string, error) { return r.AppIDs(limit) })
}

// UpdateUser applies change to the user and returns the result; if change fails, the user stays as it was. Changes of
// ID, AppID, OpenID, CreatedAt, Native and the link are ignored, and UpdatedAt is set.
func (s *Store) UpdateUser(ctx context.Context, id int64, change func(*User) error) (User, error) {
	return write(ctx, s, opUpdateUser, func(w Writer) (User, error) {
		old, err := w.User(id)
		if err != nil {
			return User{}, err
		}
		changed := old
		if err := guarded(func() error { return change(&changed) }); err != nil {
			return User{}, err
		}
		changed.UnionIDProved, changed.Link, changed.LinkedTo = old.UnionIDProved, old.Link, old.LinkedTo
		return changed, putUser(w, old, &changed)
	}, id)
}

// putUser records what old became, unless it is the same.
func putUser(w Writer, old User, changed *User) error {
	changed.ID, changed.AppID, changed.OpenID = old.ID, old.AppID, old.OpenID
	changed.CreatedAt, changed.UpdatedAt, changed.Native = old.CreatedAt, old.UpdatedAt, old.Native
	if *changed == old {
		return nil
	}
	changed.UpdatedAt = Stamp(w.Now())
	return w.PutUser(old, *changed)
}

// addUser records a user whose openid is free.
func addUser(w Writer, u User) (User, error) {
	if u.ID < 1 || u.ID > maxUserID {
		return User{}, fmt.Errorf("a user needs an id from 1 to %d, not %d", maxUserID, u.ID)
	}
	if u.AppID == "" || u.OpenID == "" || !utf8.ValidString(u.AppID+u.OpenID) {
		return User{}, errors.New("a user needs an appid and an openid in UTF-8")
	}
	if u.CreatedAt.IsZero() {
		u.CreatedAt = w.Now()
	}
	u.CreatedAt, u.UpdatedAt = Stamp(u.CreatedAt), Stamp(w.Now())
	return u, w.AddUser(u)
}

// ImportUsers adds users of an existing backend under the ids they have there, in their order and in one transaction; new
// users get ids above the highest. A user that exists already stays as it is, except for Native. One whose id or openid
// belongs to somebody else, or whose id was erased, is refused with ErrConflict; the others are imported all the same.
func (s *Store) ImportUsers(ctx context.Context, users []User) ([]Imported, error) {
	return write(ctx, s, opImportUsers, func(w Writer) ([]Imported, error) { return importUsers(w, users, opImportUsers) })
}

// CheckImport returns what ImportUsers would, and changes nothing.
func (s *Store) CheckImport(ctx context.Context, users []User) (imported []Imported, err error) {
	_, err = write(ctx, s, opCheckImport, func(w Writer) (_ struct{}, err error) {
		if imported, err = importUsers(w, users, opCheckImport); err == nil {
			err = errNotMeant
		}
		return struct{}{}, err
	})
	if errors.Is(err, errNotMeant) {
		return imported, nil
	}
	return nil, err
}

// ReserveUserIDs gives new users ids from next on, and returns the id of the next one: a higher one if a higher id was
// given already. Lower ids can still be imported.
func (s *Store) ReserveUserIDs(ctx context.Context, next int64) (int64, error) {
	return write(ctx, s, opReserveUserIDs, func(w Writer) (int64, error) {
		if next < 1 || next > maxUserID {
			return 0, fmt.Errorf("an id is from 1 to %d, not %d", maxUserID, next)
		}
		at, err := w.NextUserID()
		if err != nil || at >= next {
			return at, err
		}
		return next, w.ReserveUserIDs(next - 1)
	})
}

// EraseUser removes everything about a user but the id, which is never reused, ends the sessions as EndSessions does,
// and revokes the user, for tokens whose session is unknown here. The same person may come back as a new user.
//
// The user is erased together with the last session, and so are the accounts that are linked to them or about to be: the
// service may have moved their data already. ErrLinked is such an account. After an error, sessions that ended stay ended, and
// calling it again ends the rest; after ErrNotFound there is nothing left to end.
func (s *Store) EraseUser(ctx context.Context, id int64, from, until time.Time) ([]Revocation, error) {
	return s.erase(ctx, opEraseUser, id, from, until, func(Writer) error { return nil })
}

// erase asks admit in each transaction whether the user may still be erased.
func (s *Store) erase(ctx context.Context, op operation, id int64, from, until time.Time, admit func(Writer) error) ([]Revocation, error) {
	return s.endAll(ctx, op, id, func(w Writer) (ended []Revocation, more bool, err error) {
		u, err := w.User(id)
		if err == nil && u.Link == LinkComplete {
			err = ErrLinked
		}
		if err == nil {
			err = admit(w)
		}
		if err != nil {
			return nil, false, err
		}
		accounts, err := accountsOf(w, id)
		if err != nil {
			return nil, false, err
		}
		accounts = append(accounts, u)
		for _, account := range accounts {
			some, more, err := endSome(w, account.ID, from, until)
			if ended = append(ended, some...); err != nil || more {
				return ended, more, err
			}
		}
		for _, account := range accounts {
			revoked, err := w.Revoke(Revocation{Scope: ScopeUser, ID: strconv.FormatInt(account.ID, 10), From: from, Until: until})
			if err == nil {
				err = eraseRecords(w, account)
			}
			if err != nil {
				return nil, false, err
			}
			ended = append(ended, revoked)
		}
		return ended, false, nil
	})
}

// Unlink makes a user of its own again of an account that is linked, or waits for it, and returns the sessions that end: those
// that began through the account. It is not linked again by itself, and to be erased if the user has asked for that. It returns ErrNotFound or ErrNotLinked, and is as atomic as
// Linked.
func (s *Store) Unlink(ctx context.Context, id int64) ([]Revocation, error) {
	return s.endAll(ctx, opUnlink, id, func(w Writer) (ended []Revocation, more bool, err error) {
		account, err := w.User(id)
		switch {
		case err != nil:
			return nil, false, err
		case account.Link != LinkComplete && account.Link != LinkPending:
			return nil, false, ErrNotLinked
		}
		if ended, more, err = endThrough(w, account); err != nil || more {
			return ended, more, err
		}
		undone := account
		undone.Link, undone.LinkedTo = LinkUndone, 0
		if err := putUser(w, account, &undone); err != nil || account.Link == LinkPending {
			return ended, false, err
		}
		at, err := w.Deletion(account.LinkedTo)
		if errors.Is(err, ErrNotFound) {
			return ended, false, nil
		}
		if err == nil {
			err = w.PutDeletion(Deletion{UserID: id, At: at})
		}
		return ended, false, err
	})
}

// eraseRecords leaves secrets without content, which nobody reads again: what a driver deletes may come back.
func eraseRecords(w Writer, u User) error {
	for _, name := range []string{sessionKeysOf(u.ID), phoneOf(u.ID)} {
		if err := w.PutSecret(name, nil); err != nil {
			return err
		}
	}
	if _, err := takeBack(w, u.ID); err != nil {
		return err
	}
	return w.EraseUser(u)
}

// Deletion is a user who asked to be erased, and is from that time on, unless they log in before.
type Deletion struct {
	UserID int64     `json:"user_id"`
	At     time.Time `json:"at"`
}

// PutDeletion records that a user is to be erased at a time, and returns when that is: an earlier deletion that waits stays. A
// link that waits is given up, or the service would move to another user what is to be erased.
func (s *Store) PutDeletion(ctx context.Context, d Deletion) (at time.Time, err error) {
	return write(ctx, s, opPutDeletion, func(w Writer) (time.Time, error) {
		u, err := w.User(d.UserID)
		if err == nil && u.Link == LinkComplete {
			err = ErrLinked
		}
		if err == nil && u.Link == LinkPending {
			apart := u
			apart.Link, apart.LinkedTo = LinkNone, 0
			err = putUser(w, u, &apart)
		}
		if err != nil {
			return time.Time{}, err
		}
		waiting, err := w.Deletion(d.UserID)
		if err == nil {
			return waiting, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return time.Time{}, err
		}
		d.At = Stamp(d.At)
		return d.At, w.PutDeletion(d)
	}, d.UserID)
}

// Deletion returns when a user is to be erased, or ErrNotFound.
func (s *Store) Deletion(ctx context.Context, userID int64) (time.Time, error) {
	return read(ctx, s, opDeletion, func(r Reader) (time.Time, error) { return r.Deletion(userID) }, userID)
}

// Deletions returns up to limit of those of users with ids above after, ordered by id.
func (s *Store) Deletions(ctx context.Context, after int64, limit int) ([]Deletion, error) {
	return read(ctx, s, opDeletions, func(r Reader) ([]Deletion, error) { return r.Deletions(max(0, after), limit) })
}

// EraseDeleted is EraseUser for a user whose deletion is due. For any other it changes nothing and returns ErrNotFound.
func (s *Store) EraseDeleted(ctx context.Context, id int64, from, until time.Time) ([]Revocation, error) {
	return s.erase(ctx, opEraseDeleted, id, from, until, func(w Writer) error {
		at, err := w.Deletion(id)
		if err == nil && at.After(w.Now()) {
			err = ErrNotFound
		}
		return err
	})
}

// takeBack drops the deletion of a user, and reports whether there was one.
func takeBack(w Writer, userID int64) (bool, error) {
	_, err := w.Deletion(userID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, w.DropDeletion(userID)
}
