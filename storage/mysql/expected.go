package mysql

import (
	"maps"
	"slices"
	"strings"

	"wxgate/storage"
)

// expected are users that a write was told to expect. They are read with three statements, and those of them that are
// added wait and are inserted with one, before any other statement.
type expected struct {
	users  map[int64]storage.User // who has an id
	given  map[int64]bool         // whether an id was ever given; an id that is not in it was not asked for
	ids    map[openID]int64       // who has an openid, 0 for nobody
	adding []storage.User
}

type openID struct{ app, open string }

// findOpenIDs reads who has openids of a mini-program, without locking: everybody locks by id alone.
func (e *expected) findOpenIDs(v *view, app string, openIDs []any) error {
	query := "SELECT id, openid FROM wxgate_users WHERE appid = ? AND openid IN (?" + strings.Repeat(", ?", len(openIDs)-1) + ")"
	return v.rows(query, append([]any{[]byte(app)}, openIDs...), func(scan func(...any) error) error {
		var id int64
		var open string
		err := scan(&id, &open)
		e.given[id], e.ids[openID{app, open}] = true, id
		return err
	})
}

// readUsers reads and locks who has the ids, and notes which of them are erased.
func (e *expected) readUsers(v *view) error {
	var ids []any
	for _, id := range slices.Sorted(maps.Keys(e.given)) {
		ids = append(ids, id)
	}
	among := " WHERE id IN (?" + strings.Repeat(", ?", len(ids)-1) + ")"
	if v.galera {
		if err := v.exec("UPDATE wxgate_users SET version = version + 1"+among+" AND openid IS NOT NULL", ids...); err != nil {
			return err
		}
	}
	err := v.rows("SELECT id FROM wxgate_users"+among+v.lock, ids, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		e.given[id] = true
		return err
	})
	if err != nil {
		return err
	}
	found, err := v.users(strings.TrimPrefix(among, " ")+" AND openid IS NOT NULL", ids...)
	for _, u := range found {
		e.users[u.ID] = u
	}
	return err
}

// user returns a user that was expected.
func (e *expected) user(id int64) (u storage.User, isExpected bool, err error) {
	if e == nil {
		return u, false, nil
	}
	if _, isExpected = e.given[id]; !isExpected {
		return u, false, nil
	}
	u, found := e.users[id]
	if !found {
		err = storage.ErrNotFound
	}
	return u, true, err
}

// id returns who has an openid that was expected; 0 is nobody.
func (e *expected) id(appID, open string) (id int64, isExpected bool) {
	if e != nil {
		id, isExpected = e.ids[openID{appID, open}]
	}
	return id, isExpected
}

// put notes a change of a user.
func (e *expected) put(changed storage.User) {
	if e == nil {
		return
	}
	if _, known := e.users[changed.ID]; known {
		e.users[changed.ID] = changed
	}
}

// add lets a user wait to be inserted, if that one was expected.
func (e *expected) add(u storage.User) (isExpected bool, err error) {
	if e == nil {
		return false, nil
	}
	of := openID{u.AppID, u.OpenID}
	given, hasID := e.given[u.ID]
	if _, hasOpenID := e.ids[of]; !hasID || !hasOpenID {
		return false, nil
	}
	if given {
		return true, storage.ErrConflict
	}
	e.given[u.ID], e.ids[of], e.users[u.ID] = true, u.ID, u
	e.adding = append(e.adding, u)
	return true, nil
}
