package storage

import (
	"errors"
	"fmt"
)

// Imported is what became of one user of an import: the user as stored, or why not.
type Imported struct {
	User User
	Err  error // ErrConflict
}

// errNotMeant takes back a change that was made to see whether it can be.
var errNotMeant = errors.New("not meant")

// importUsers imports one after the other: of two with one id or openid the first wins.
func importUsers(w Writer, users []User, op operation) ([]Imported, error) {
	if err := w.ExpectUsers(users); err != nil {
		return nil, err
	}
	results := make([]Imported, len(users))
	for n, u := range users {
		imported, err := importUser(w, u)
		if err != nil {
			err = op.wrap(err, []int64{u.ID})
		}
		if err != nil && !errors.Is(err, ErrConflict) {
			return nil, err
		}
		results[n] = Imported{imported, err}
	}
	return results, nil
}

func importUser(w Writer, u User) (User, error) {
	known, err := w.User(u.ID)
	if err == nil && (known.AppID != u.AppID || known.OpenID != u.OpenID) {
		return User{}, fmt.Errorf("%w, who has this id with another openid", ErrConflict)
	}
	if err == nil {
		return adoptUser(w, known)
	}
	if !errors.Is(err, ErrNotFound) {
		return User{}, err
	}
	other, err := w.UserByOpenID(u.AppID, u.OpenID)
	if err == nil {
		return User{}, fmt.Errorf("%w: %d has this openid", ErrConflict, other.ID)
	}
	if !errors.Is(err, ErrNotFound) {
		return User{}, err
	}
	u.Native, u.UnionIDProved, u.Link, u.LinkedTo = false, false, LinkNone, 0
	added, err := addUser(w, u)
	if errors.Is(err, ErrConflict) {
		err = fmt.Errorf("%w, who had this id and was erased", ErrConflict)
	}
	return added, err
}

// adoptUser notes that a user who is here already is the one that an existing backend knows by that id.
func adoptUser(w Writer, known User) (User, error) {
	if !known.Native {
		return known, nil
	}
	adopted := known
	adopted.Native, adopted.UnionIDProved = false, known.isOf(known.UnionID)
	return adopted, w.PutUser(known, adopted)
}
