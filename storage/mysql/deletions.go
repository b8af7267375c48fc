package mysql

import (
	"strconv"
	"time"

	"wxgate/storage"
)

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
