package mysql

import (
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxgate/storage"
)

// Of an erased user the id alone remains, so that it is never given again: the other columns are NULL or empty.
const userColumns = "id, appid, openid, unionid, nickname, avatar, bio, recipe_count, follower_count, following_count, favorite_count, created_at, updated_at, " +
	"native, unionid_proved, link_state, linked_to"

const userColumnCount = 17

// scanUser reads userColumns. In a table that was adopted, some may be NULL.
func scanUser(scan func(...any) error) (u storage.User, err error) {
	err = scan(&u.ID, &u.AppID, &u.OpenID, orZero(&u.UnionID), orZero(&u.Nickname), orZero(&u.Avatar), orZero(&u.Bio),
		orZero(&u.RecipeCount), orZero(&u.FollowerCount), orZero(&u.FollowingCount), orZero(&u.FavoriteCount), &u.CreatedAt, &u.UpdatedAt, &u.Native,
		&u.UnionIDProved, &u.Link, &u.LinkedTo)
	if errors.Is(err, sql.ErrNoRows) {
		err = storage.ErrNotFound
	}
	return u, err
}

// zeroed scans a column, and NULL as the zero value.
type zeroed[T any] struct{ into *T }

func orZero[T any](into *T) zeroed[T] { return zeroed[T]{into} }

// Scan is called by database/sql.
func (z zeroed[T]) Scan(value any) error {
	var scanned sql.Null[T]
	err := scanned.Scan(value)
	*z.into = scanned.V
	return err
}

// User returns the user with that id, who is not erased. A write keeps them from being changed by others: whatever it
// decides about them, such as which sessions are too many, is decided in turn.
func (v *view) User(id int64) (storage.User, error) {
	if u, isExpected, err := v.expected.user(id); isExpected {
		return u, err
	}
	if v.writes && v.galera {
		if err := v.exec("UPDATE wxgate_users SET version = version + 1, updated_at = updated_at WHERE id = ? AND openid IS NOT NULL", id); err != nil {
			return storage.User{}, err
		}
	}
	if err := v.insertAdded(); err != nil {
		return storage.User{}, err
	}
	row := v.conn.QueryRowContext(v.ctx, "SELECT "+userColumns+" FROM wxgate_users WHERE id = ? AND openid IS NOT NULL"+v.lock, id)
	return scanUser(row.Scan)
}

// UserByOpenID returns the user of an openid. A write locks by id alone, as everybody does.
func (v *view) UserByOpenID(appID, openID string) (storage.User, error) {
	const where = " FROM wxgate_users WHERE appid = ? AND openid = ?"
	if !v.writes {
		return scanUser(v.conn.QueryRowContext(v.ctx, "SELECT "+userColumns+where, []byte(appID), []byte(openID)).Scan)
	}
	id, isExpected := v.expected.id(appID, openID)
	switch {
	case isExpected && id == 0:
		return storage.User{}, storage.ErrNotFound
	case isExpected:
		return v.User(id)
	}
	if err := v.row("SELECT id"+where, []any{[]byte(appID), []byte(openID)}, &id); err != nil {
		return storage.User{}, err
	}
	return v.User(id)
}

// UsersByUnionID returns the users of one person, by id.
func (v *view) UsersByUnionID(unionID string) ([]storage.User, error) {
	if unionID == "" {
		return nil, nil
	}
	return v.users("WHERE unionid = ? AND openid IS NOT NULL ORDER BY id", []byte(unionID))
}

// LinkedUsers returns the accounts that are linked to a user or about to be, by id.
func (v *view) LinkedUsers(to int64) ([]storage.User, error) {
	if to < 1 {
		return nil, nil
	}
	return v.users("WHERE linked_to = ? AND openid IS NOT NULL ORDER BY id", to)
}

// Users returns at most limit users with ids above after, by id.
func (v *view) Users(after int64, limit int) ([]storage.User, error) {
	return v.users("WHERE id > ? AND openid IS NOT NULL ORDER BY id LIMIT ?", after, limit)
}

func (v *view) users(where string, args ...any) (found []storage.User, err error) {
	err = v.rows("SELECT "+userColumns+" FROM wxgate_users "+where+v.lock, args, func(scan func(...any) error) error {
		u, err := scanUser(scan)
		found = append(found, u)
		return err
	})
	return found, err
}

// CountUsers locks nothing.
func (v *view) CountUsers() (n int64, err error) {
	return n, v.row("SELECT COUNT(*) FROM wxgate_users WHERE openid IS NOT NULL", nil, &n)
}

// AppIDs jumps from one to the next in the index of openids. It locks nothing.
func (v *view) AppIDs(limit int) (ids []string, err error) {
	for last := []byte{}; len(ids) < limit; {
		if err := v.row("SELECT MIN(appid) FROM wxgate_users WHERE appid > ?", []any{last}, &last); err != nil || last == nil {
			return ids, err
		}
		ids = append(ids, string(last))
	}
	return ids, nil
}

// ExpectUsers reads and locks everybody who has one of the ids or openids.
func (v *view) ExpectUsers(users []storage.User) error {
	if err := v.insertAdded(); err != nil || len(users) == 0 {
		return err
	}
	e := &expected{users: map[int64]storage.User{}, given: map[int64]bool{}, ids: map[openID]int64{}}
	apps := map[string][]any{}
	for _, u := range users {
		e.given[u.ID], e.ids[openID{u.AppID, u.OpenID}] = false, 0
		apps[u.AppID] = append(apps[u.AppID], []byte(u.OpenID))
	}
	for app, openIDs := range apps {
		if err := e.findOpenIDs(v, app, openIDs); err != nil {
			return err
		}
	}
	v.expected = e
	return e.readUsers(v)
}

// maxInserted is how many users one statement inserts.
const maxInserted = 500

// insertAdded inserts the users who wait for it.
func (v *view) insertAdded() error {
	if v.expected == nil {
		return nil
	}
	adding := v.expected.adding
	v.expected.adding = nil
	for some := range slices.Chunk(adding, maxInserted) {
		args := make([]any, 0, userColumnCount*len(some))
		for _, u := range some {
			args = append(args, userValues(u)...)
		}
		row := "(?" + strings.Repeat(", ?", userColumnCount-1) + ")"
		if err := v.exec("INSERT INTO wxgate_users ("+userColumns+") VALUES "+row+strings.Repeat(", "+row, len(some)-1), args...); err != nil {
			return err
		}
	}
	return nil
}

// NextUserID is above every id that was given, imported or reserved.
func (v *view) NextUserID() (int64, error) {
	c, err := v.counter(countedUsers)
	if err != nil {
		return 0, err
	}
	return int64(c.is + 1), nil
}

// ReserveUserIDs counts the ids up to that one as given.
func (v *view) ReserveUserIDs(to int64) error {
	c, err := v.counter(countedUsers)
	if err == nil {
		c.is = max(c.is, uint64(to))
	}
	return err
}

// AddUser records a user under its id and its openid, and keeps the ids of new users above it.
func (v *view) AddUser(u storage.User) error {
	c, err := v.counter(countedUsers)
	if err != nil {
		return err
	}
	if isExpected, err := v.expected.add(u); isExpected {
		if err == nil {
			c.is = max(c.is, uint64(u.ID))
		}
		return err
	}
	if uint64(u.ID) <= c.is { // an imported one, or below a reserved one
		var given int64
		err := v.row("SELECT id FROM wxgate_users WHERE id = ?"+v.lock, []any{u.ID}, &given)
		if err == nil {
			return storage.ErrConflict
		}
		if !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	c.is = max(c.is, uint64(u.ID))
	defer func() { v.expected = nil }() // which knows nothing of this user
	return v.exec("INSERT INTO wxgate_users ("+userColumns+") VALUES (?"+strings.Repeat(", ?", userColumnCount-1)+")", userValues(u)...)
}

// userValues are what userColumns hold of a user.
func userValues(u storage.User) []any {
	return []any{
		u.ID, []byte(u.AppID), []byte(u.OpenID), []byte(u.UnionID), utf8Of(u.Nickname), utf8Of(u.Avatar), utf8Of(u.Bio),
		u.RecipeCount, u.FollowerCount, u.FollowingCount, u.FavoriteCount, u.CreatedAt, u.UpdatedAt, u.Native,
		u.UnionIDProved, []byte(u.Link), u.LinkedTo,
	}
}

// utf8Of is a text as JSON would keep it: a column of text takes nothing else.
func utf8Of(text string) string { return strings.ToValidUTF8(text, "\ufffd") }

// PutUser replaces old by changed.
func (v *view) PutUser(_, changed storage.User) error {
	v.expected.put(changed)
	values := userValues(changed)[3:]
	return v.exec("UPDATE wxgate_users SET unionid = ?, nickname = ?, avatar = ?, bio = ?, recipe_count = ?, follower_count = ?, "+
		"following_count = ?, favorite_count = ?, created_at = ?, updated_at = ?, native = ?, unionid_proved = ?, link_state = ?, linked_to = ? WHERE id = ? AND openid IS NOT NULL", append(values, changed.ID)...)
}

// EraseUser leaves the id.
func (v *view) EraseUser(u storage.User) error {
	defer func() { v.expected = nil }()
	return v.exec("UPDATE wxgate_users SET appid = NULL, openid = NULL, unionid = '', nickname = '', avatar = '', bio = '', recipe_count = 0, "+
		"follower_count = 0, following_count = 0, favorite_count = 0, native = 0, unionid_proved = 0, link_state = '', linked_to = 0, created_at = ?, updated_at = ? WHERE id = ?", erasedAt, erasedAt, u.ID)
}

// Events returns what must be told about a user, the oldest first, or ErrNotFound.
func (v *view) Events(userID int64) (waiting []storage.Event, err error) {
	var record []byte
	err = v.remember(eventsKey(userID), v.row("SELECT waiting FROM wxgate_events WHERE user_id = ?"+v.lock, []any{userID}, &record))
	if err == nil {
		err = decode(record, &waiting)
	}
	if err == nil && len(waiting) == 0 {
		err = storage.ErrDamaged
	}
	return waiting, err
}

func eventsKey(userID int64) string { return "events " + strconv.FormatInt(userID, 10) }

// UsersWithEvents returns at most limit ids above after.
func (v *view) UsersWithEvents(after int64, limit int) (ids []int64, err error) {
	err = v.rows("SELECT user_id FROM wxgate_events WHERE user_id > ? ORDER BY user_id LIMIT ?", []any{after, limit}, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// PutEvents replaces what must be told about a user.
func (v *view) PutEvents(userID int64, waiting []storage.Event) error {
	key := eventsKey(userID)
	if len(waiting) == 0 {
		v.found[key] = false
		return v.exec("DELETE FROM wxgate_events WHERE user_id = ?", userID)
	}
	record, err := json.Marshal(waiting)
	if err != nil {
		return err
	}
	return v.put(key, "wxgate_events", "user_id, waiting", "?, ?", "waiting = VALUES(waiting)", userID, record)
}

// Secret returns a sealed record.
func (v *view) Secret(name string) (sealed []byte, err error) {
	err = v.remember("secret "+name, v.row("SELECT sealed FROM wxgate_secrets WHERE name = ?"+v.lock, []any{[]byte(name)}, &sealed))
	return sealed, err
}

// Secrets returns at most limit names behind after, in the order of their bytes.
func (v *view) Secrets(after string, limit int) (names []string, err error) {
	err = v.rows("SELECT name FROM wxgate_secrets WHERE name > ? ORDER BY name LIMIT ?", []any{[]byte(after), limit}, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	})
	return names, err
}

// CountSecrets locks nothing.
func (v *view) CountSecrets() (n int64, err error) {
	return n, v.row("SELECT COUNT(*) FROM wxgate_secrets", nil, &n)
}

// PutSecret records a sealed record. Nothing is not kept.
func (v *view) PutSecret(name string, sealed []byte) error {
	key := "secret " + name
	if len(sealed) == 0 {
		v.found[key] = false
		return v.exec("DELETE FROM wxgate_secrets WHERE name = ?", []byte(name))
	}
	if err := noteKey(v); err != nil {
		return err
	}
	return v.put(key, "wxgate_secrets", "name, sealed", "?, ?", "sealed = VALUES(sealed)", []byte(name), sealed)
}

// Deletion returns when a user is to be erased, or ErrNotFound.
func (v *view) Deletion(userID int64) (at time.Time, err error) {
	var ms int64
	err = v.remember(deletionKey(userID), v.row("SELECT at_ms FROM wxgate_deletions WHERE user_id = ?"+v.lock, []any{userID}, &ms))
	return time.UnixMilli(ms).UTC(), err
}

func deletionKey(userID int64) string { return "deletion " + strconv.FormatInt(userID, 10) }

// Deletions returns at most limit of users with ids above after, by id.
func (v *view) Deletions(after int64, limit int) (waiting []storage.Deletion, err error) {
	err = v.rows("SELECT user_id, at_ms FROM wxgate_deletions WHERE user_id > ? ORDER BY user_id LIMIT ?", []any{after, limit}, func(scan func(...any) error) error {
		d, err := scanDeletion(scan)
		waiting = append(waiting, d)
		return err
	})
	return waiting, err
}

func scanDeletion(scan func(...any) error) (d storage.Deletion, err error) {
	var ms int64
	err = scan(&d.UserID, &ms)
	d.At = time.UnixMilli(ms).UTC()
	return d, err
}

// PutDeletion records when a user is to be erased.
func (v *view) PutDeletion(d storage.Deletion) error {
	return v.put(deletionKey(d.UserID), "wxgate_deletions", "user_id, at_ms", "?, ?", "at_ms = VALUES(at_ms)", d.UserID, d.At.UnixMilli())
}

// DropDeletion deletes it.
func (v *view) DropDeletion(userID int64) error {
	v.found[deletionKey(userID)] = false
	return v.exec("DELETE FROM wxgate_deletions WHERE user_id = ?", userID)
}

func deletionOf(scan func(...any) error) (r storage.Record, key any, err error) {
	d, err := scanDeletion(scan)
	if err != nil {
		return r, nil, err
	}
	r, err = storage.NewRecord(storage.KindDeletion, d)
	return r, d.UserID, err
}

func (l loader) deletions(deletions []storage.Deletion) error {
	rows := make([][]any, len(deletions))
	for i, d := range deletions {
		rows[i] = []any{d.UserID, d.At.UnixMilli()}
	}
	return l.insert("wxgate_deletions (user_id, at_ms)", "at_ms = VALUES(at_ms)", rows)
}
