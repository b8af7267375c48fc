package mysql

import (
	"errors"
	"fmt"
	"time"

	"wxgate/storage"
)

const (
	snapshotPage    = 500 // rows
	snapshotTimeout = 10 * time.Second
)

// snapshot reads all records in pages.
type snapshot struct {
	*view
	each func(storage.Record) error
}

func (s snapshot) run() error {
	header, err := s.header()
	if err != nil {
		return s.driver.unavailable(err)
	}
	if err := s.each(header); err != nil {
		return err
	}
	for _, t := range tables() {
		if err := s.table(t); err != nil {
			return err
		}
	}
	return nil
}

func (s snapshot) header() (r storage.Record, err error) {
	h := storage.Header{StoreID: s.driver.ID(), At: storage.Stamp(s.now)}
	var checks string
	var horizon []byte
	err = errors.Join(s.row("SELECT value FROM wxgate_meta WHERE name = 'key_check'", nil, &checks),
		s.row("SELECT value FROM wxgate_meta WHERE name = 'horizon'", nil, &horizon),
		s.row("SELECT value FROM wxgate_counters WHERE name = 'users'", nil, &h.Users),
		s.row("SELECT value FROM wxgate_counters WHERE name = 'revocations'", nil, &h.Revocations))
	if err != nil {
		return r, err
	}
	var record horizonRecord
	if err := decode(horizon, &record); err != nil {
		return r, err
	}
	h.KeyChecks, h.Horizon = storage.ParseKeyChecks(checks), record.horizon()
	return storage.NewRecord(storage.KindHeader, h)
}

// table is where records of one kind are.
type table struct {
	name, key, columns string
	first              any // before every key
	record             func(scan func(...any) error) (r storage.Record, key any, err error)
}

// tables are in the order of storage.Kinds.
func tables() []table {
	return []table{
		{"wxgate_users", "id", userRecordColumns, int64(0), userOf},
		{"wxgate_secrets", "name", "name, sealed", []byte{}, secretOf},
		{"wxgate_sessions", "id", "id, record", []byte{}, jsonOf(storage.KindSession, new(string))},
		{"wxgate_revocations", "seq", "seq, record", int64(0), jsonOf(storage.KindRevocation, new(uint64))},
		{"wxgate_events", "user_id", "user_id, waiting", int64(0), eventsOf},
		{"wxgate_epochs", "id", "id, latest_ms, expires_ms", []byte{}, epochOf},
		{"wxgate_deletions", "user_id", "user_id, at_ms", int64(0), deletionOf},
	}
}

// table yields the records of a table, ordered by key. Nothing is read while one is taken.
func (s snapshot) table(t table) error {
	query := fmt.Sprintf("SELECT %s FROM %s WHERE %s > ? ORDER BY %s LIMIT %d", t.columns, t.name, t.key, t.key, snapshotPage)
	for after := t.first; ; {
		var page []storage.Record
		err := s.rows(query, []any{after}, func(scan func(...any) error) error {
			r, key, err := t.record(scan)
			after, page = key, append(page, r)
			return err
		})
		if err != nil {
			return s.driver.unavailable(err)
		}
		for _, r := range page {
			if err := s.each(r); err != nil {
				return err
			}
		}
		if len(page) < snapshotPage {
			return nil
		}
	}
}

// userRecordColumns are userColumns that are not NULL, and whether the user is erased.
const userRecordColumns = "id, COALESCE(appid, ''), COALESCE(openid, ''), unionid, nickname, avatar, bio, recipe_count, follower_count, following_count, " +
	"favorite_count, created_at, updated_at, native, unionid_proved, link_state, linked_to, openid IS NULL"

func scanUserRecord(scan func(...any) error) (u storage.UserRecord, err error) {
	u.User, err = scanUser(func(into ...any) error { return scan(append(into, &u.Erased)...) })
	if u.Erased {
		u.User = storage.User{ID: u.ID}
	}
	return u, err
}

func userOf(scan func(...any) error) (r storage.Record, key any, err error) {
	u, err := scanUserRecord(scan)
	if err != nil {
		return r, nil, err
	}
	r, err = storage.NewRecord(storage.KindUser, u)
	return r, u.ID, err
}

func secretOf(scan func(...any) error) (r storage.Record, key any, err error) {
	r.Kind = storage.KindSecret
	err = scan(&r.Name, &r.Data)
	return r, []byte(r.Name), err
}

// jsonOf is for records that are kept as they are. id is where the key is read.
func jsonOf[K any](kind storage.Kind, id *K) func(func(...any) error) (storage.Record, any, error) {
	return func(scan func(...any) error) (r storage.Record, key any, err error) {
		r.Kind = kind
		err = scan(id, &r.Data)
		return r, *id, err
	}
}

func eventsOf(scan func(...any) error) (r storage.Record, key any, err error) {
	var e storage.UserEvents
	var waiting []byte
	if err := scan(&e.UserID, &waiting); err != nil {
		return r, nil, err
	}
	if err := decode(waiting, &e.Waiting); err != nil {
		return r, nil, err
	}
	r, err = storage.NewRecord(storage.KindEvents, e)
	return r, e.UserID, err
}

func epochOf(scan func(...any) error) (r storage.Record, key any, err error) {
	var id []byte
	var latest, expires int64
	if err := scan(&id, &latest, &expires); err != nil {
		return r, nil, err
	}
	r, err = storage.NewRecord(storage.KindEpoch, storage.EpochRecord{ID: string(id), Until: time.UnixMilli(latest).UTC(), Expires: time.UnixMilli(expires).UTC()})
	return r, id, err
}
