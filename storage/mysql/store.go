// Package mysql stores users, session_keys, sessions and revocations in MySQL or MariaDB, for several processes at once.
//
// Every method is atomic and safe for concurrent use. A nil error from a write means that the server has committed it, and
// that it was committed once: whether a COMMIT counted whose answer was lost is looked up before anything is tried again.
// Nothing waits for ever. A server that cannot be reached within the patience of an operation is storage.ErrUnavailable.
package mysql

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
)

const (
	patience      = 8 * time.Second  // of one operation, retries included; callContainer gives up after 15 s
	startPatience = 30 * time.Second // of Open with a server, which may be starting too; a migration takes its time
	readyPatience = time.Second
	connLifetime  = 3 * time.Minute  // below what servers and balancers in between allow
	connIdle      = 60 * time.Second // a serverless database pauses when there are no connections
)

// Store is an open database. Close it.
type Store struct {
	*storage.Store
	driver *mysqlDriver
}

// Open connects to cfg.MySQL, creates or migrates the tables, and reads what identifies the data. Metrics are registered
// with reg until Close. now is the clock by which records expire; those of all processes must agree to a second or so.
//
// Errors wrap storage.ErrWrongKey, ErrNewerSchema, or ErrUnavailable when no server answers within half a minute.
func Open(ctx context.Context, cfg storage.Config, reg prometheus.Registerer, log *slog.Logger, now func() time.Time) (*Store, error) {
	return open(ctx, cfg, reg, log, clockOf(now))
}

func clockOf(now func() time.Time) clock {
	began := time.Now()
	return clock{now: now, ran: func() time.Duration { return time.Since(began) }}
}

// clock is the wall clock, and a monotonic one.
type clock struct {
	now func() time.Time
	ran func() time.Duration
}

func open(ctx context.Context, cfg storage.Config, reg prometheus.Registerer, log *slog.Logger, c clock) (*Store, error) {
	d, err := newDriver(cfg, reg, log, c)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", d.place, err), d.Close())
	}
	store, err := storage.New(storage.DriverMySQL, d, reg, log)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &Store{store, d}, nil
}

// mysqlDriver is the driver of one process.
type mysqlDriver struct {
	cfg   storage.MySQL
	place string // the servers and the database, without the password
	db    *sql.DB
	feed  *sql.DB // one connection, for the revocations of others
	hosts *hosts  // of db
	log   *slog.Logger
	clock
	registerer prometheus.Registerer
	metrics    *metrics
	sealer     *storage.Sealer

	identity   atomic.Pointer[identity]
	epoch      string // of this opening
	slots      chan int
	commits    atomic.Int64 // numbers of this process's transactions
	epochs     sync.Map     // epoch → the last moment of it that is known, in Unix milliseconds
	noted      notedEpoch
	keyNoted   atomic.Bool // the key that seals is noted, so that no start goes without it
	forgetting forgetful
	past       atomic.Int64 // what Past says, in Unix milliseconds
	closed     atomic.Bool
	close      func() error
}

// newDriver prepares the pools; nothing is connected yet.
func newDriver(cfg storage.Config, reg prometheus.Registerer, log *slog.Logger, c clock) (*mysqlDriver, error) {
	sealer, err := newSealer(cfg.EncryptionKeys)
	if err != nil {
		return nil, err
	}
	address, err := parseDSN(cfg.MySQL)
	if err != nil {
		return nil, err
	}
	d := &mysqlDriver{
		cfg: cfg.MySQL, place: address.String(), hosts: newHosts(address.forWork(), log), log: log, clock: c, registerer: reg, sealer: sealer,
		epoch: rand.Text()[:13], slots: make(chan int, cfg.MySQL.Connections),
	}
	if d.metrics, err = newMetrics(reg); err != nil {
		return nil, err
	}
	d.db = sql.OpenDB(d.hosts)
	d.db.SetMaxOpenConns(cfg.MySQL.Connections)
	d.db.SetMaxIdleConns(cfg.MySQL.Connections)
	d.db.SetConnMaxLifetime(connLifetime)
	d.db.SetConnMaxIdleTime(connIdle)
	d.feed = sql.OpenDB(newHosts(address.forFeed(), log))
	d.feed.SetMaxOpenConns(1)
	d.feed.SetConnMaxLifetime(connLifetime)
	d.feed.SetConnMaxIdleTime(connIdle)
	for i := range cfg.MySQL.Connections {
		d.slots <- i
	}
	d.close = sync.OnceValue(func() error {
		d.closed.Store(true)
		d.awaitWrites()
		d.metrics.unregister(reg)
		return errors.Join(d.db.Close(), d.feed.Close())
	})
	return d, nil
}

// start does what Open promises.
func (d *mysqlDriver) start(ctx context.Context) error {
	if err := d.awaitServer(ctx); err != nil {
		return err
	}
	if err := migrate(ctx, d.db, d.cfg, d.log); err != nil { // for as long as it takes, or another process takes
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := d.identify(ctx); err != nil {
		return err
	}
	return d.beginForgetting(ctx)
}

// awaitServer waits until a server answers. A mistake in the configuration ends it at once.
func (d *mysqlDriver) awaitServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for wait := newBackoff(); ; {
		err := d.db.PingContext(ctx)
		if err == nil {
			return nil
		}
		if classOf(err) == fatal {
			return explain(err)
		}
		if !wait.pause(ctx) {
			return fmt.Errorf("no server answers: %w: %w", storage.ErrUnavailable, err)
		}
	}
}

// identity says which data a database has. The id is that of the data set, which a copy of it has too; filling is another
// one each time that filling the database is begun.
type identity struct{ id, filling string }

// identify reads the identity of the data set, or makes it, and settles the keys.
func (d *mysqlDriver) identify(ctx context.Context) (err error) {
	var found identity
	if found.id, err = d.settle(ctx, "store_id", rand.Text()); err != nil {
		return err
	}
	if found.filling, err = d.settle(ctx, "filling", rand.Text()); err != nil {
		return err
	}
	d.identity.Store(&found)
	return d.settleKeys(ctx)
}

// settle returns a value of the data set. Of several processes that start at once, one decides it.
func (d *mysqlDriver) settle(ctx context.Context, name, proposed string) (value string, err error) {
	if _, err := d.db.ExecContext(ctx, "INSERT IGNORE INTO wxgate_meta (name, value) VALUES (?, ?)", []byte(name), []byte(proposed)); err != nil {
		return "", err
	}
	err = d.db.QueryRowContext(ctx, "SELECT value FROM wxgate_meta WHERE name = ?", []byte(name)).Scan(&value)
	return value, err
}

// ID is the random id of the data set, made with it.
func (d *mysqlDriver) ID() string { return d.identity.Load().id }

// SetID replaces the id, unless another process has. Those that have the database open keep the identity before, and write
// nothing any more.
func (d *mysqlDriver) SetID(ctx context.Context, id string) error {
	was := *d.identity.Load()
	is := identity{id, was.filling}
	if storage.CheckComplete(id) != nil { // a filling begins
		is.filling = rand.Text()
	}
	err := d.write(ctx, func(v *view) error {
		has, err := v.hasIdentity()
		if err != nil {
			return err
		}
		if has != was && has != is {
			return cmp.Or(storage.CheckComplete(has.id), storage.ErrReplaced)
		}
		v.identity = is
		const statement = "UPDATE wxgate_meta SET value = ? WHERE name = ?"
		return errors.Join(v.exec(statement, []byte(is.id), []byte("store_id")), v.exec(statement, []byte(is.filling), []byte("filling")))
	})
	if err != nil {
		return err
	}
	d.identity.Store(&is)
	if is.filling == was.filling {
		return nil
	}
	return d.awaitCommits(ctx)
}

// awaitCommits waits for the transactions that have noted their number before the identity was replaced. A lock of the identity
// does, but for those on other nodes of Galera. There, an ALTER TABLE takes its turn among the transactions of all nodes, also
// one that changes nothing: one on that table whose turn comes later, and that began before, is refused.
func (d *mysqlDriver) awaitCommits(ctx context.Context) error {
	return d.persist(ctx, func(ctx context.Context) error {
		return d.withConn(ctx, d.db, func(conn *sql.Conn) error {
			if !isGalera(conn) {
				return nil
			}
			_, err := conn.ExecContext(ctx, "ALTER TABLE wxgate_commits COMMENT = ''")
			return err
		})
	})
}

// Epoch is the id of this opening.
func (d *mysqlDriver) Epoch() string { return d.epoch }

// Shared reports that any number of processes may have the database open.
func (d *mysqlDriver) Shared() bool { return true }

// Sealer seals with the configured key.
func (d *mysqlDriver) Sealer() *storage.Sealer { return d.sealer }

// Past is the time before which whatever ended is forgotten.
func (d *mysqlDriver) Past() time.Time { return time.UnixMilli(d.past.Load()) }

// Ready returns nil while a server answers, or ErrUnavailable.
func (d *mysqlDriver) Ready(ctx context.Context) error {
	if d.closed.Load() {
		return errClosed
	}
	asking, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	var one int
	if err := d.db.QueryRowContext(asking, "SELECT 1 FROM wxgate_meta WHERE name = 'store_id'").Scan(&one); err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("%s does not answer: %w: %w", d.place, storage.ErrUnavailable, err))
	}
	return nil
}

// awaitWrites waits for the writes in progress, which begin nothing anew.
func (d *mysqlDriver) awaitWrites() {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	taken := 0
	for taken < cap(d.slots) {
		select {
		case <-d.slots:
			taken++
			continue
		case <-timer.C:
		}
		break
	}
	for i := range taken {
		d.slots <- i // whoever waits finds the store closed
	}
}

// Close waits for writes in progress, refuses later operations with ErrUnavailable, and closes every connection.
func (d *mysqlDriver) Close() error { return d.close() }

// errClosed is returned by every operation on a closed store.
var errClosed = fmt.Errorf("the store is closed: %w", storage.ErrUnavailable)

// slotName is the row of wxgate_commits that one of the connections of this process writes.
func (d *mysqlDriver) slotName(slot int) []byte { return []byte(d.epoch + "." + strconv.Itoa(slot)) }
