package mysql

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"time"

	"wxgate/storage"
)

// Inspection is what a look at the database finds. Nothing is changed.
type Inspection struct {
	Version string        // of the server
	Galera  bool          // it is one of a cluster
	Schema  int64         // the newest migration that was applied; 0: none
	Known   int64         // the newest that this program knows
	Skew    time.Duration // how far our clock is ahead of the server's, negative for behind
	TLS     bool          // the connection is encrypted
}

// Inspect connects and looks. An error wraps storage.ErrWrongKey if the data were sealed with another key, and
// storage.ErrNewerSchema if this program must not work with them.
func Inspect(ctx context.Context, cfg storage.Config) (found Inspection, err error) {
	a, err := parseDSN(cfg.MySQL)
	if err != nil {
		return found, err
	}
	log := slog.New(slog.DiscardHandler)
	db := sql.OpenDB(newHosts(a.forWork(), log))
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return found, explain(err)
	}
	defer conn.Close()
	_ = conn.Raw(func(raw any) error {
		if c, ok := raw.(*hostConn); ok {
			found.Galera = c.galera
		}
		return nil
	})
	asked := time.Now()
	var at time.Time
	if err := conn.QueryRowContext(ctx, "SELECT VERSION(), UTC_TIMESTAMP(3)").Scan(&found.Version, &at); err != nil {
		return found, err
	}
	found.Skew = asked.Add(time.Since(asked) / 2).Sub(at)
	var name, cipher string
	if err := conn.QueryRowContext(ctx, "SHOW STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher); err == nil {
		found.TLS = strings.TrimSpace(cipher) != ""
	}
	return found, found.inspectSchema(ctx, db, cfg, log)
}

func (i *Inspection) inspectSchema(ctx context.Context, db *sql.DB, cfg storage.Config, log *slog.Logger) error {
	p, err := newProvider(db, log)
	if err != nil {
		return err
	}
	i.Known = newestKnown(p)
	if i.Schema, err = schemaOf(ctx, db); err != nil || i.Schema == 0 {
		return err
	}
	if err := refuseNewer(ctx, db, p); err != nil {
		return err
	}
	sealer, err := newSealer(cfg.EncryptionKeys)
	if err != nil {
		return err
	}
	var checks string
	err = db.QueryRowContext(ctx, "SELECT value FROM wxgate_meta WHERE name = 'key_check'").Scan(&checks)
	if err == nil {
		return wantKeysOfSealed(ctx, db, checks, sealer)
	}
	if isMissing(err) || errors.Is(err, sql.ErrNoRows) { // no gateway has started on it yet
		return nil
	}
	return err
}

// wantKeysOfSealed refuses keys that do not open every secret, if there is one: a start replaces a key that sealed nothing.
func wantKeysOfSealed(ctx context.Context, db *sql.DB, checks string, sealer *storage.Sealer) error {
	wrong := wantKeys(checks, sealer)
	var sealed bool
	if wrong == nil {
		return nil
	}
	err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM wxgate_secrets) OR EXISTS (SELECT 1 FROM wxgate_temporary WHERE LEFT(name, ?) = ? AND until_ms > "+
		serverNow+")", len(storage.GatewayPrefix), []byte(storage.GatewayPrefix)).Scan(&sealed)
	if err == nil && sealed {
		err = wrong
	}
	return err
}
