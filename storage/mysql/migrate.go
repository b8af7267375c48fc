package mysql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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
)

// A Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string
	Applied time.Time // zero: it waits
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
			known = append(known, Migration{source.Version, source.Path, applied[source.Version]})
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
		results, err := p.Up(ctx)
		for _, r := range results {
			if r.Error == nil {
				done = append(done, Migration{r.Source.Version, r.Source.Path, time.Now()})
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
	db.SetMaxOpenConns(2) // one for the lock
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	p, err := newProvider(db, log)
	if err != nil {
		return err
	}
	return do(db, p)
}

func newProvider(db *sql.DB, log *slog.Logger) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewMySQLTableLocker(lock.WithTableName(lockTable), lock.WithTableLockTimeout(lockEvery, lockTries),
		lock.WithTableUnlockTimeout(lockEvery, lockTries), lock.WithTableLeaseDuration(lockLease), lock.WithTableLogger(log),
		lock.WithTableRetryPolicy(isWorthWaiting))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectMySQL, db, files, goose.WithTableName(schemaTable), goose.WithLocker(locker), goose.WithDisableGlobalRegistry(true))
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
	done, err := Up(context.WithoutCancel(ctx), cfg, log) // as long as it takes
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	if len(done) > 0 {
		log.Info("migrated the database", "migrations", len(done), "schema", done[len(done)-1].Version)
	}
	return nil
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
	err := db.QueryRowContext(ctx, "SELECT CAST(value AS SIGNED) FROM wxgate_meta WHERE name = 'oldest_schema'").Scan(&oldest)
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
