package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"wxgate/storage"
)

// Read runs find on the newest state. Each of its statements is a snapshot of its own.
func (d *mysqlDriver) Read(ctx context.Context, find func(storage.Reader) error) error {
	return d.persist(ctx, func(ctx context.Context) error {
		return d.withConn(ctx, d.db, func(conn *sql.Conn) error { return find(d.newView(ctx, conn)) })
	})
}

// Write runs change in one transaction, and again when the server asks for it. The lost answer of a COMMIT is looked up:
// every transaction leaves its number in a row that only its connection writes.
func (d *mysqlDriver) Write(ctx context.Context, change func(storage.Writer) error) error {
	return d.write(ctx, func(v *view) error { return change(v) })
}

func (d *mysqlDriver) write(ctx context.Context, change func(*view) error) error {
	slot, err := d.takeSlot(ctx)
	if err != nil {
		return err
	}
	defer func() { d.slots <- slot }()
	t := transaction{mysqlDriver: d, slot: d.slotName(slot), number: d.commits.Add(1), change: change}
	return d.persist(ctx, func(ctx context.Context) error {
		return d.withConn(ctx, d.db, func(conn *sql.Conn) error { return t.attempt(ctx, conn) })
	})
}

// Snapshot yields every record of one moment, over a connection of its own, whose transaction sees nothing that is
// committed later. It does not try again: a connection that is lost has lost the moment.
func (d *mysqlDriver) Snapshot(ctx context.Context, each func(storage.Record) error) error {
	if d.closed.Load() {
		return errClosed
	}
	a, err := parseDSN(d.cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(newHosts(a.forSnapshots(), d.log))
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return d.unavailable(err)
	}
	defer conn.Close()
	for _, statement := range []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return d.unavailable(err)
		}
	}
	return snapshot{d.newView(ctx, conn), each}.run()
}

// unavailable says so of an error of a server that is gone.
func (d *mysqlDriver) unavailable(err error) error {
	if classOf(err) == fatal {
		return err
	}
	return fmt.Errorf("%s: %w: %w", d.place, storage.ErrUnavailable, err)
}

// Load writes records of another data set as they are.
func (d *mysqlDriver) Load(ctx context.Context, records []storage.Record) error {
	return d.write(ctx, func(v *view) error { return loader{v}.all(records) })
}

// takeSlot waits for one of as many writes as there are connections.
func (d *mysqlDriver) takeSlot(ctx context.Context) (int, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case slot := <-d.slots:
		return slot, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-timer.C:
		return 0, fmt.Errorf("waiting for a connection: %w", storage.ErrUnavailable)
	}
}

// transaction is one change on its way into the database.
type transaction struct {
	*mysqlDriver
	slot      []byte
	number    int64
	change    func(*view) error
	uncertain bool // the answer to a COMMIT was lost
}

// attempt runs the change once, unless an earlier attempt turns out to be committed.
func (t *transaction) attempt(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "START TRANSACTION"); err != nil {
		return err
	}
	if t.uncertain {
		committed, err := t.isCommitted(ctx, conn)
		if err != nil || committed {
			return errors.Join(err, rollback(ctx, conn))
		}
		// An attempt still on its way meets that row and fails, or this one does: on Galera, where it may be on another
		// node, and so each later attempt looks again.
	}
	v := t.newWriteView(ctx, conn)
	if err := v.run(t.change, t.slot, t.number); err != nil {
		return errors.Join(err, rollback(ctx, conn))
	}
	_, err := conn.ExecContext(ctx, "COMMIT")
	if err == nil {
		t.noted.raise(v.note)
		if v.keyNoted {
			t.keyNoted.Store(true)
		}
		return nil
	}
	if v.wrote && !isRolledBack(err) {
		t.uncertain = true
		t.metrics.uncertain.Inc()
	}
	return err
}

// isCommitted looks for the number of the transaction. It waits for the attempt that may still hold the row.
func (t *transaction) isCommitted(ctx context.Context, conn *sql.Conn) (bool, error) {
	var number int64
	err := conn.QueryRowContext(ctx, "SELECT number FROM wxgate_commits WHERE slot = ? FOR UPDATE", t.slot).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return number == t.number, err
}

// rollback ends a transaction. A connection that cannot is closed by its caller, which ends it too.
func rollback(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		discard(conn)
	}
	return nil
}

// withConn runs do on a connection, which is closed after an error that says that it or its server is gone, or a panic.
func (d *mysqlDriver) withConn(ctx context.Context, db *sql.DB, do func(*sql.Conn) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, err) // also a password or a certificate that is not good any more
	}
	clean := false
	defer func() {
		if !clean {
			discard(conn)
		}
		_ = conn.Close()
	}()
	err = do(conn)
	switch classOf(err) {
	case elsewhere:
		onHosts(conn, func(h *hosts, at int) { h.failed(at) })
	case reconnect:
		onHosts(conn, func(h *hosts, _ int) { h.broke() })
	case fatal, again, classes:
		clean = ctx.Err() == nil // a statement that was given up may still run
	}
	return err
}

// discard closes a connection instead of giving it back to its pool.
func discard(conn *sql.Conn) { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }

// onHosts tells the others of a connection about its server.
func onHosts(conn *sql.Conn, tell func(h *hosts, at int)) {
	_ = conn.Raw(func(raw any) error {
		if c, ok := raw.(*hostConn); ok {
			tell(c.hosts, c.host)
		}
		return nil
	})
}

// persist tries until it succeeds, fails for good, or the patience with an operation is at its end.
func (d *mysqlDriver) persist(ctx context.Context, try func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for wait := newBackoff(); ; {
		if d.closed.Load() {
			return errClosed
		}
		err := try(waiting)
		c := classOf(err)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case c == fatal:
			return err
		}
		d.metrics.retries[c].Inc()
		if !wait.pause(waiting) {
			return errors.Join(ctx.Err(), fmt.Errorf("%s: %w: %w", d.place, storage.ErrUnavailable, err))
		}
	}
}
