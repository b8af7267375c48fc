package mysql

import (
	"encoding/json"
	"time"

	"wxgate/storage"
)

// Session reads a session, also one that ended or expired.
func (v *view) Session(id string) (record storage.SessionRecord, err error) {
	var text []byte
	err = v.remember("session "+id, v.row("SELECT record FROM wxgate_sessions WHERE id = ?"+v.lock, []any{[]byte(id)}, &text))
	if err == nil {
		err = decode(text, &record)
	}
	return record, err
}

// PutSession records the session. One that lives may have a token, so the epoch that issues it is committed with it.
func (v *view) PutSession(r storage.SessionRecord) error {
	values, err := sessionValues(r)
	if err != nil {
		return err
	}
	if !r.Ended {
		v.noteEpoch(r.RefreshedAt, r.ExpiresAt)
	}
	return v.put("session "+r.ID, "wxgate_sessions", sessionColumns, "?, ?, ?, ?, ?, ?", sessionReplace, values...)
}

const (
	sessionColumns = "id, user_id, created_ms, expires_ms, ended, record"
	sessionReplace = "user_id = VALUES(user_id), created_ms = VALUES(created_ms), expires_ms = VALUES(expires_ms), ended = VALUES(ended), record = VALUES(record)"
)

// sessionValues are what sessionColumns hold of a session.
func sessionValues(r storage.SessionRecord) ([]any, error) {
	text, err := json.Marshal(r)
	return []any{[]byte(r.ID), r.UserID, r.CreatedAt.UnixMilli(), r.ExpiresAt.UnixMilli(), r.Ended, text}, err
}

// SessionRefs returns the living sessions of the user behind after, at most limit of them, oldest first. A write has
// locked the user, and so nobody else begins one.
func (v *view) SessionRefs(userID int64, after storage.SessionCursor, limit int) (refs []storage.SessionRef, err error) {
	created := int64(-1 << 62)
	if after != (storage.SessionCursor{}) {
		created = after.CreatedAt.UnixMilli()
	}
	const query = "SELECT id, created_ms, expires_ms FROM wxgate_sessions WHERE user_id = ? AND ended = 0 AND expires_ms > ? " +
		"AND (created_ms > ? OR created_ms = ? AND id > ?) ORDER BY created_ms, id LIMIT ?"
	args := []any{userID, v.now.UnixMilli(), created, created, []byte(after.ID), limit}
	err = v.rows(query, args, func(scan func(...any) error) error {
		var ref storage.SessionRef
		var created, expires int64
		err := scan(&ref.ID, &created, &expires)
		ref.CreatedAt, ref.ExpiresAt = time.UnixMilli(created).UTC(), time.UnixMilli(expires).UTC()
		refs = append(refs, ref)
		return err
	})
	return refs, err
}

// SomeSessions returns at most limit living sessions of the user.
func (v *view) SomeSessions(userID int64, limit int) (ids []string, more bool, err error) {
	const query = "SELECT id FROM wxgate_sessions WHERE user_id = ? AND ended = 0 AND expires_ms > ? ORDER BY created_ms, id LIMIT ?"
	err = v.rows(query, []any{userID, v.now.UnixMilli(), limit}, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, len(ids) == limit, err
}
