package mysql

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"wxgate/storage"
)

// loader writes records of another data set, those of one kind in one statement.
type loader struct{ *view }

func (l loader) all(records []storage.Record) error {
	for len(records) > 0 {
		kind := records[0].Kind
		n := slices.IndexFunc(records, func(r storage.Record) bool { return r.Kind != kind })
		if n < 0 {
			n = len(records)
		}
		if err := l.load(kind, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

func (l loader) load(kind storage.Kind, records []storage.Record) error {
	switch kind {
	case storage.KindHeader:
		return decoded(records, l.headers)
	case storage.KindUser:
		return decoded(records, l.users)
	case storage.KindSecret:
		return l.secrets(records)
	case storage.KindSession:
		return decoded(records, l.sessions)
	case storage.KindRevocation:
		return decoded(records, l.revocations)
	case storage.KindEvents:
		return decoded(records, l.events)
	case storage.KindEpoch:
		return decoded(records, l.epochs)
	case storage.KindDeletion:
		return decoded(records, l.deletions)
	}
	return fmt.Errorf("this wxgate does not know %v: %w", kind, storage.ErrNewerSchema)
}

// decoded loads the values of records.
func decoded[T any](records []storage.Record, load func([]T) error) error {
	values := make([]T, len(records))
	for i, r := range records {
		if err := r.Decode(&values[i]); err != nil {
			return err
		}
	}
	return load(values)
}

// insert writes rows in one statement; replace is what becomes of those that are there.
func (l loader) insert(into, replace string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	marks := "(?" + strings.Repeat(", ?", len(rows[0])-1) + ")"
	statement := "INSERT INTO " + into + " VALUES " + marks + strings.Repeat(", "+marks, len(rows)-1)
	if replace != "" {
		statement += " ON DUPLICATE KEY UPDATE " + replace
	}
	return l.exec(statement, slices.Concat(rows...)...)
}

// raise raises a counter.
func (l loader) raise(name string, to uint64) error {
	c, err := l.counter(name)
	if err == nil {
		c.is = max(c.is, to)
	}
	return err
}

func (l loader) headers(headers []storage.Header) error {
	for _, h := range headers {
		if err := l.noteKeys(h); err != nil {
			return err
		}
		if err := errors.Join(l.raise(countedUsers, h.Users), l.raise(countedRevocations, h.Revocations)); err != nil {
			return err
		}
		var text []byte
		if err := l.row("SELECT value FROM wxgate_meta WHERE name = 'horizon'"+l.lock, nil, &text); err != nil {
			return err
		}
		var r horizonRecord
		if err := decode(text, &r); err != nil || !h.Horizon.At.Before(r.horizon().At) {
			return err
		}
		r.At, r.Lead, r.Doubt = h.Horizon.At.UnixMilli(), h.Horizon.Lead.Milliseconds(), h.Horizon.Doubt.Milliseconds()
		r.Beats++
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := l.exec("UPDATE wxgate_meta SET value = ? WHERE name = 'horizon'", text); err != nil {
			return err
		}
	}
	return nil
}

// noteKeys notes which keys the secrets to come may be sealed with.
func (l loader) noteKeys(h storage.Header) error {
	if err := h.WantKeys(l.driver.sealer); err != nil {
		return err
	}
	return changeKeys(l.view, func(was string) (string, error) { return storage.ParseKeyChecks(was).Join(h.KeyChecks).String(), nil })
}

func (l loader) users(users []storage.UserRecord) error {
	known, err := l.known(users)
	if err != nil {
		return err
	}
	var added [][]any
	highest := int64(0)
	for _, u := range users {
		if u.ID < 1 {
			return fmt.Errorf("a user with the id %d: %w", u.ID, storage.ErrDamaged)
		}
		highest = max(highest, u.ID)
		old, isKnown := known[u.ID]
		switch {
		case !isKnown:
			added = append(added, userRecordValues(u))
		case old.Erased != u.Erased, old.AppID != u.AppID, old.OpenID != u.OpenID:
			return fmt.Errorf("user %d: %w", u.ID, storage.ErrConflict)
		case old != u:
			if err := l.PutUser(old.User, u.User); err != nil {
				return err
			}
		}
	}
	if err := l.raise(countedUsers, uint64(highest)); err != nil {
		return err
	}
	err = l.insert("wxgate_users ("+userColumns+")", "", added)
	var answer *mysql.MySQLError
	if errors.As(err, &answer) && answer.Number == 1062 {
		if err := l.conflict(users); err != nil {
			return err
		}
	}
	return err
}

// known returns which of the users are there, by id.
func (l loader) known(users []storage.UserRecord) (map[int64]storage.UserRecord, error) {
	ids := make([]any, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	known := map[int64]storage.UserRecord{}
	query := "SELECT " + userRecordColumns + " FROM wxgate_users WHERE id IN (?" + strings.Repeat(", ?", len(ids)-1) + ")" + l.lock
	err := l.rows(query, ids, func(scan func(...any) error) error {
		u, err := scanUserRecord(scan)
		known[u.ID] = u
		return err
	})
	return known, err
}

// conflict names the user whose openid has another id.
func (l loader) conflict(users []storage.UserRecord) error {
	for _, u := range users {
		var other int64
		err := l.row("SELECT id FROM wxgate_users WHERE appid = ? AND openid = ?", []any{[]byte(u.AppID), []byte(u.OpenID)}, &other)
		if err == nil && other != u.ID {
			return fmt.Errorf("the openid of user %d is that of user %d: %w", u.ID, other, storage.ErrConflict)
		}
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return nil
}

// userRecordValues are what userColumns hold of a user, who may be erased.
func userRecordValues(u storage.UserRecord) []any {
	values := userValues(u.User)
	if u.Erased {
		values[1], values[2] = nil, nil
		values[11], values[12] = erasedAt, erasedAt
	}
	return values
}

// erasedAt is when erased users were created and changed, in a DATETIME, and in a TIMESTAMP of a table that was adopted.
const erasedAt = "1970-01-02"

func (l loader) secrets(records []storage.Record) error {
	if err := noteKey(l.view); err != nil {
		return err
	}
	rows := make([][]any, len(records))
	for i, r := range records {
		rows[i] = []any{[]byte(r.Name), r.Data}
	}
	return l.insert("wxgate_secrets (name, sealed)", "sealed = VALUES(sealed)", rows)
}

// sessions are put as PutSession does. No token of them is issued here, so no epoch is noted.
func (l loader) sessions(sessions []storage.SessionRecord) error {
	rows := make([][]any, len(sessions))
	for i, s := range sessions {
		values, err := sessionValues(s)
		if err != nil {
			return err
		}
		rows[i] = values
	}
	return l.insert("wxgate_sessions ("+sessionColumns+")", sessionReplace, rows)
}

func (l loader) revocations(revocations []storage.Revocation) error {
	rows, seqs, loaded := make([][]any, len(revocations)), make([]any, len(revocations)), map[uint64]storage.Revocation{}
	for i, r := range revocations {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		rows[i], seqs[i], loaded[r.Seq] = []any{r.Seq, r.Until.UnixMilli(), text}, r.Seq, r
	}
	query := "SELECT record FROM wxgate_revocations WHERE seq IN (?" + strings.Repeat(", ?", len(seqs)-1) + ")" + l.lock
	highest := uint64(0)
	for seq := range loaded {
		highest = max(highest, seq)
	}
	err := l.rows(query, seqs, func(scan func(...any) error) error {
		var text []byte
		var known storage.Revocation
		if err := scan(&text); err != nil {
			return err
		}
		if err := decode(text, &known); err != nil {
			return err
		}
		if r := loaded[known.Seq]; r.Scope != known.Scope || r.ID != known.ID {
			return fmt.Errorf("revocation %d is another: %w", known.Seq, storage.ErrConflict)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := l.raise(countedRevocations, highest); err != nil {
		return err
	}
	return l.insert("wxgate_revocations (seq, until_ms, record)", "until_ms = VALUES(until_ms), record = VALUES(record)", rows)
}

func (l loader) events(events []storage.UserEvents) error {
	rows := make([][]any, len(events))
	for i, e := range events {
		text, err := json.Marshal(e.Waiting)
		if err != nil {
			return err
		}
		rows[i] = []any{e.UserID, text}
	}
	return l.insert("wxgate_events (user_id, waiting)", "waiting = VALUES(waiting)", rows)
}

func (l loader) epochs(epochs []storage.EpochRecord) error {
	rows := make([][]any, len(epochs))
	for i, e := range epochs {
		rows[i] = []any{[]byte(e.ID), e.Until.UnixMilli(), e.Expires.UnixMilli()}
	}
	return l.insert("wxgate_epochs (id, latest_ms, expires_ms)", epochReplace, rows)
}
