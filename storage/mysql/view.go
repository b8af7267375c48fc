package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"wxgate/storage"
)

// view is what one operation sees: the newest state and, for a write, what it has written.
//
// A write locks what it reads, so that what it decides still holds when it commits. A row that it did not find is
// inserted, not replaced: of two that found nothing, one meets error 1062 and runs again.
type view struct {
	driver   *mysqlDriver
	ctx      context.Context // of the operation, whose methods by their contract take none
	conn     *sql.Conn
	now      time.Time
	identity identity // of the data
	writes   bool
	galera   bool // where a lock is of one node alone, and only what is written is compared with others

	lock     string          // " FOR UPDATE" in a write
	found    map[string]bool // sessions, secrets, events and temporary values by key, as they were read
	counters map[string]*counter
	expected *expected // may be nil
	note     epochNote
	keyNoted bool // the key that seals
	wrote    bool
	err      error // of a method that returns none
}

func (d *mysqlDriver) newView(ctx context.Context, conn *sql.Conn) *view {
	return &view{driver: d, ctx: ctx, conn: conn, now: d.now(), identity: *d.identity.Load()}
}

func (d *mysqlDriver) newWriteView(ctx context.Context, conn *sql.Conn) *view {
	v := d.newView(ctx, conn)
	v.writes, v.lock = true, " FOR UPDATE"
	v.found, v.counters = map[string]bool{}, map[string]*counter{}
	v.galera = isGalera(conn)
	return v
}

// run runs a change, and writes what is written once for all of it.
func (v *view) run(change func(*view) error, slot []byte, number int64) error {
	if err := change(v); err != nil {
		return err
	}
	if err := errors.Join(v.insertAdded(), v.err, v.saveCounters(), v.saveEpoch()); err != nil || !v.wrote {
		return err
	}
	return v.saveNumber(slot, number)
}

// saveNumber notes the number of the transaction, if the data are still those that were opened. It locks their identity, or
// whoever replaces the data could do so before the COMMIT of a process that is frozen just then.
func (v *view) saveNumber(slot []byte, number int64) error {
	const statement = "INSERT INTO wxgate_commits (slot, number, at_ms) SELECT ?, ?, ? FROM wxgate_meta AS filling JOIN wxgate_meta AS id " +
		"WHERE filling.name = 'filling' AND filling.value = ? AND id.name = 'store_id' AND id.value IN (?, ?) LOCK IN SHARE MODE " +
		"ON DUPLICATE KEY UPDATE number = VALUES(number), at_ms = VALUES(at_ms)"
	noted, err := v.conn.ExecContext(v.ctx, statement, slot, number, v.now.UnixMilli(),
		[]byte(v.identity.filling), []byte(v.identity.id), []byte(storage.ServedID(v.identity.id)))
	if err != nil {
		return err
	}
	if n, err := noted.RowsAffected(); n > 0 || err != nil {
		return err
	}
	return storage.ErrReplaced
}

// wantSameData refuses data that are not those that were opened any more.
func (v *view) wantSameData() error {
	has, err := v.hasIdentity()
	if err != nil {
		return err
	}
	if was := v.identity; has.filling != was.filling || has.id != was.id && has.id != storage.ServedID(was.id) {
		return storage.ErrReplaced
	}
	return nil
}

// hasIdentity reads which data the database has now.
func (v *view) hasIdentity() (has identity, err error) {
	err = v.rows("SELECT name, value FROM wxgate_meta WHERE name IN ('filling', 'store_id')"+v.lock, nil, func(scan func(...any) error) error {
		var name, value string
		err := scan(&name, &value)
		if name == "filling" {
			has.filling = value
		} else {
			has.id = value
		}
		return err
	})
	return has, err
}

// Now is when the operation began.
func (v *view) Now() time.Time { return v.now }

// exec runs a statement that writes.
func (v *view) exec(statement string, args ...any) error {
	if err := v.insertAdded(); err != nil {
		return err
	}
	v.wrote = true
	_, err := v.conn.ExecContext(v.ctx, statement, args...)
	return err
}

// row reads one row, or says ErrNotFound.
func (v *view) row(query string, args []any, into ...any) error {
	if err := v.insertAdded(); err != nil {
		return err
	}
	err := v.conn.QueryRowContext(v.ctx, query, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return storage.ErrNotFound
	}
	return err
}

// rows calls each for every row.
func (v *view) rows(query string, args []any, each func(scan func(...any) error) error) error {
	if err := v.insertAdded(); err != nil {
		return err
	}
	return eachRow(v.ctx, v.conn, query, args, each)
}

// eachRow calls each for every row.
func eachRow(ctx context.Context, conn *sql.Conn, query string, args []any, each func(scan func(...any) error) error) error {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// remember notes whether a row that a write read was there.
func (v *view) remember(key string, err error) error {
	if v.writes && (err == nil || errors.Is(err, storage.ErrNotFound)) {
		v.found[key] = err == nil
	}
	return err
}

// put writes a row: one that was read and not there is inserted, any other is inserted or replaced. columns are all
// columns, the key first.
func (v *view) put(key, table, columns, marks, replace string, args ...any) error {
	statement := "INSERT INTO " + table + " (" + columns + ") VALUES (" + marks + ")"
	if there, read := v.found[key]; there || !read {
		statement += " ON DUPLICATE KEY UPDATE " + replace
	}
	err := v.exec(statement, args...)
	if err == nil {
		v.found[key] = true
	}
	return err
}

// decode reads the JSON of a record.
func decode(record []byte, into any) error {
	if err := json.Unmarshal(record, into); err != nil {
		return fmt.Errorf("a record in the database: %w: %w", storage.ErrDamaged, err)
	}
	return nil
}

// counter is a number of wxgate_counters, locked until the transaction ends.
type counter struct{ was, is uint64 }

// The counters.
const (
	countedUsers       = "users"       // the highest id of a user
	countedRevocations = "revocations" // the Seq of the newest revocation
)

// counter locks a counter: whoever takes the next number waits until this transaction has ended, so numbers are in the
// order of commits and have no gaps.
func (v *view) counter(name string) (*counter, error) {
	if c, known := v.counters[name]; known {
		return c, nil
	}
	c := new(counter)
	if err := v.row("SELECT value FROM wxgate_counters WHERE name = ?"+v.lock, []any{[]byte(name)}, &c.was); err != nil {
		return nil, fmt.Errorf("counter %s: %w", name, errors.Join(err, storage.ErrDamaged))
	}
	c.is = c.was
	if v.writes {
		v.counters[name] = c
	}
	return c, nil
}

func (v *view) saveCounters() error {
	for name, c := range v.counters {
		if c.is == c.was {
			continue
		}
		if err := v.exec("UPDATE wxgate_counters SET value = ? WHERE name = ?", c.is, []byte(name)); err != nil {
			return err
		}
	}
	return nil
}
