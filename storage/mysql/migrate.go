package mysql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"wxgate/storage"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	schemaTable = "wxgate_schema"      // which migrations were applied
	lockTable   = "wxgate_schema_lock" // a lease: GET_LOCK is of one node of Galera alone
	lockEvery   = 300 * time.Millisecond
	lockTries   = 1200 // six minutes, for the process that has it
	lockLease   = 30 * time.Second
	unlockTries = 10 // three seconds: a lock that cannot be given back ends with its lease
)

// A Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string
	Applied time.Time // zero: it waits
	NoBack  bool      // a wxgate that does not know it refuses the database afterwards; others only add
}

// oldestSchema is the row of wxgate_meta by which a migration says so.
const oldestSchema = "oldest_schema"

func migrationOf(source *goose.Source, applied time.Time) Migration {
	text, err := migrations.ReadFile("migrations/" + source.Path)
	return Migration{source.Version, source.Path, applied, err != nil || strings.Contains(string(text), oldestSchema)}
}

// Status lists the migrations that this program knows. newest is the newest that the database has.
func Status(ctx context.Context, cfg storage.MySQL) (known []Migration, newest int64, err error) {
	err = withMigrations(ctx, cfg, slog.New(slog.DiscardHandler), func(db *sql.DB, p *goose.Provider) error {
		if newest, err = schemaOf(ctx, db); err != nil {
			return err
		}
		applied := map[int64]time.Time{}
		if newest > 0 {
			if applied, err = appliedIn(ctx, db); err != nil {
				return err
			}
		}
		for _, source := range p.ListSources() {
			known = append(known, migrationOf(source, applied[source.Version]))
		}
		return nil
	})
	return known, newest, err
}

// Up applies the migrations that wait, and returns them.
func Up(ctx context.Context, cfg storage.MySQL, log *slog.Logger) (done []Migration, err error) {
	err = withMigrations(ctx, cfg, log, func(db *sql.DB, p *goose.Provider) error {
		if err := refuseNewer(ctx, db, p); err != nil {
			return err
		}
		if has, err := schemaOf(ctx, db); err != nil || has >= newestKnown(p) {
			return err // without the lock
		}
		if err := begin(ctx, db); err != nil {
			return err
		}
		results, err := p.Up(ctx)
		for _, r := range results {
			if r.Error == nil {
				done = append(done, migrationOf(r.Source, time.Now()))
			}
		}
		return err
	})
	return done, err
}

// withMigrations connects with a connection that waits as long as a change of a large table takes.
func withMigrations(ctx context.Context, cfg storage.MySQL, log *slog.Logger, do func(*sql.DB, *goose.Provider) error) error {
	a, err := parseDSN(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(newHosts(a.forMigrations(), log))
	defer db.Close()
	db.SetMaxOpenConns(3) // one for the lock, one to say who has it
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("%s: %w", a, explain(err))
	}
	p, err := newProvider(db, log)
	if err != nil {
		return err
	}
	return explain(do(db, p))
}

func newProvider(db *sql.DB, log *slog.Logger) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewMySQLTableLocker(lock.WithTableName(lockTable), lock.WithTableLockTimeout(lockEvery, lockTries),
		lock.WithTableUnlockTimeout(lockEvery, unlockTries), lock.WithTableLeaseDuration(lockLease), lock.WithTableLogger(log),
		lock.WithTableRetryPolicy(isWorthWaiting))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectMySQL, db, files, goose.WithTableName(schemaTable),
		goose.WithLocker(announcedLock{locker, log}), goose.WithDisableGlobalRegistry(true))
}

// announcedLock says whom it waits for.
type announcedLock struct {
	lock.Locker

	log *slog.Logger
}

// announceEvery is how often a process that waits says so.
const announceEvery = 5 * time.Second

// Lock waits until no other process migrates the database. The lock of one that was killed ends with its lease.
func (l announcedLock) Lock(ctx context.Context, db *sql.DB) error {
	waiting, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { l.announce(waiting, db) })
	err := l.Locker.Lock(ctx, db)
	stop()
	group.Wait()
	if holder, _ := lockHolder(ctx, db); err != nil && holder != "" {
		return fmt.Errorf("another process, %s, is migrating the database: %w", holder, err)
	}
	return err
}

// begin gives a table of migrations its first row, without which goose refuses it for good: whoever made it may have been
// killed before that. Two such rows do no harm.
func begin(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "INSERT INTO "+schemaTable+" (version_id, is_applied) SELECT 0, TRUE FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM "+schemaTable+")")
	if isMissing(err) {
		return nil
	}
	return err
}

func (l announcedLock) announce(ctx context.Context, db *sql.DB) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			if holder, left := lockHolder(ctx, db); holder != "" {
				l.log.Warn("waiting for another process that is migrating the database; if it was killed, until its lock ends", "process", holder, "lock_ends_in", left)
			}
			timer.Reset(announceEvery)
		}
	}
}

// lockHolder is the process that has the lock, by its host and number, and how long it keeps it unless it says more.
func lockHolder(ctx context.Context, db *sql.DB) (holder string, left time.Duration) {
	var seconds int64
	err := db.QueryRowContext(ctx, "SELECT locked_by, TIMESTAMPDIFF(SECOND, NOW(), lease_expires_at) FROM "+lockTable+" WHERE locked AND lease_expires_at > NOW()").Scan(&holder, &seconds)
	if err != nil {
		return "", 0
	}
	return holder, time.Duration(seconds) * time.Second
}

// isWorthWaiting reports whether the lock may be had later: another process has it, or the server is away.
func isWorthWaiting(err error) bool {
	var answer *mysql.MySQLError
	return !errors.As(err, &answer) || classOf(err) != fatal
}

// migrate brings the schema up to date, unless it is. Processes that start at once wait for the one that does it.
func migrate(ctx context.Context, db *sql.DB, cfg storage.MySQL, log *slog.Logger) error {
	p, err := newProvider(db, log)
	if err != nil {
		return err
	}
	has, err := schemaOf(ctx, db)
	if err != nil {
		return err
	}
	if err := refuseNewer(ctx, db, p); err != nil || has >= newestKnown(p) {
		return err
	}
	log.Warn("migrating the database; "+wayBack(p, has), "from", has, "to", newestKnown(p))
	done, err := Up(context.WithoutCancel(ctx), cfg, log) // as long as it takes
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	if len(done) > 0 {
		log.Info("migrated the database", "migrations", len(done), "schema", done[len(done)-1].Version)
	}
	return nil
}

// wayBack says whether a wxgate of the version before works with the database after the migrations behind has.
func wayBack(p *goose.Provider, has int64) string {
	for _, source := range p.ListSources() {
		if source.Version > has && migrationOf(source, time.Time{}).NoBack {
			return "a wxgate of the version before cannot work with it any more"
		}
	}
	return "a wxgate of the version before still works with it"
}

func newestKnown(p *goose.Provider) int64 {
	sources := p.ListSources()
	return sources[len(sources)-1].Version
}

// refuseNewer refuses a database whose schema this program cannot work with any more. A newer schema alone is none such:
// while versions are rolled, N and N+1 run side by side, and so a migration only adds; one that takes away notes which
// program is the oldest that may still run.
func refuseNewer(ctx context.Context, db *sql.DB, p *goose.Provider) error {
	var oldest int64
	err := db.QueryRowContext(ctx, "SELECT CAST(value AS SIGNED) FROM wxgate_meta WHERE name = '"+oldestSchema+"'").Scan(&oldest)
	if errors.Is(err, sql.ErrNoRows) || isMissing(err) {
		return nil
	}
	if err == nil && oldest > newestKnown(p) {
		err = fmt.Errorf("the database needs schema %d, this wxgate knows %d: %w", oldest, newestKnown(p), storage.ErrNewerSchema)
	}
	return err
}

// schemaOf is the newest migration that a database has; 0: none.
func schemaOf(ctx context.Context, db *sql.DB) (newest int64, err error) {
	err = db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+schemaTable+" WHERE is_applied = 1").Scan(&newest)
	if isMissing(err) {
		return 0, nil
	}
	return newest, err
}

// appliedIn says when migrations were applied.
func appliedIn(ctx context.Context, db *sql.DB) (map[int64]time.Time, error) {
	rows, err := db.QueryContext(ctx, "SELECT version_id, tstamp FROM "+schemaTable+" WHERE is_applied = 1")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	applied := map[int64]time.Time{}
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, err
		}
		applied[version] = at
	}
	return applied, rows.Err()
}

// isMissing reports whether an error is that a table does not exist.
func isMissing(err error) bool {
	var answer *mysql.MySQLError
	return errors.As(err, &answer) && answer.Number == 1146
}

// explain says of an error of the server what to do about it.
func explain(err error) error {
	var answer *mysql.MySQLError
	var network net.Error
	switch {
	case errors.Is(err, mysql.ErrNoTLS):
		return fmt.Errorf("set TLS up on the server, or leave tls=true out of the dsn: %w", err)
	case errors.As(err, &answer):
		if advice := adviceFor(answer.Number); advice != "" {
			return fmt.Errorf("%s: %w", advice, err)
		}
	case errors.As(err, &network):
		return fmt.Errorf("no server answers there: %w", err)
	}
	return err
}

func adviceFor(number uint16) string {
	switch number {
	case 1045, 1698:
		return "the server does not take this user with this password from here"
	case 1049:
		return "the database does not exist, CREATE DATABASE makes it"
	case 1044:
		return "the database does not exist, or the user has no right to it: CREATE DATABASE, and GRANT ALL ON <database>.* TO <user>"
	case 1142, 1227:
		return "the user lacks a right, GRANT ALL ON <database>.* TO <user> gives it"
	case 1290, 1792, 1836:
		return "the server is read-only, name the primary first in storage.mysql.dsn"
	}
	return ""
}
