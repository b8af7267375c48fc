package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"wxgate/storage"
)

// serverNow is the time by the clock of the server, in Unix milliseconds.
const serverNow = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"

// Temporary returns a value that has not ended. One that has is replaced and never inserted.
func (v *view) Temporary(name string) (value []byte, left time.Duration, err error) {
	var ms int64
	const query = "SELECT value, until_ms - " + serverNow + " FROM wxgate_temporary WHERE name = ?"
	err = v.remember(temporaryKey(name), v.row(query+v.lock, []any{[]byte(name)}, &value, &ms))
	if err == nil && ms <= 0 {
		err = storage.ErrNotFound
	}
	if err != nil {
		return nil, 0, err
	}
	return value, time.Duration(ms) * time.Millisecond, nil
}

func temporaryKey(name string) string { return "temporary " + name }

// Temporaries returns the names of values that have not ended. It locks none of them.
func (v *view) Temporaries(prefix string, limit int) (names []string, err error) {
	const query = "SELECT name FROM wxgate_temporary WHERE name >= ? AND LEFT(name, ?) = ? AND until_ms > " + serverNow + " ORDER BY name LIMIT ?"
	args := []any{[]byte(prefix), len(prefix), []byte(prefix), limit}
	err = v.rows(query, args, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	})
	return names, err
}

// PutTemporary records a value until life has passed from now, by the clock of the server.
func (v *view) PutTemporary(name string, value []byte, life time.Duration) error {
	return v.put(temporaryKey(name), "wxgate_temporary", "name, value, until_ms", "?, ?, ? + "+serverNow,
		"value = VALUES(value), until_ms = VALUES(until_ms)", []byte(name), append([]byte{}, value...), life.Milliseconds())
}

// DropTemporary deletes a value.
func (v *view) DropTemporary(name string) error {
	v.found[temporaryKey(name)] = false
	return v.exec("DELETE FROM wxgate_temporary WHERE name = ?", []byte(name))
}

// temporaryPages bounds what one call of Forget deletes of them: those of logins come and go within seconds.
const temporaryPages = 100

// deleteTemporary deletes values that ended a while ago.
func deleteTemporary(ctx context.Context, conn *sql.Conn) error {
	statement := fmt.Sprintf("DELETE FROM wxgate_temporary WHERE until_ms < %s ORDER BY until_ms, name LIMIT %d", serverNow, forgetMost)
	for range temporaryPages {
		result, err := conn.ExecContext(ctx, statement)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n < forgetMost {
			return err
		}
	}
	return nil
}
