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
	AppIDs  []string      // some of those that users are of
}

// appIDsListed is how many mini-programs an inspection names.
const appIDsListed = 100

// Inspect connects and looks, for a gateway that is about to start with these signing keys. An error wraps
// storage.ErrWrongKey if the data were sealed with another encryption key, storage.ErrNewerSchema if this program must not work
// with them, storage.ErrIncomplete if filling them was cut off, and storage.ErrOtherKeys or ErrOtherSealing if a gateway is
// running whose keys do not fit.
func Inspect(ctx context.Context, cfg storage.Config, keys [][]byte) (found Inspection, err error) {
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
	found.Galera = isGalera(conn)
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
	if err := found.inspectSchema(ctx, db, log); err != nil || found.Schema == 0 {
		return found, err
	}
	sealer, err := newSealer(cfg.EncryptionKeys)
	if err != nil {
		return found, err
	}
	err = found.inspectData(&view{ctx: ctx, conn: conn}, sealer, keys)
	if isMissing(err) || errors.Is(err, storage.ErrNotFound) { // no gateway has started on this schema yet
		err = nil
	}
	return found, err
}

func (i *Inspection) inspectSchema(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	p, err := newProvider(db, log)
	if err != nil {
		return err
	}
	i.Known = newestKnown(p)
	if i.Schema, err = schemaOf(ctx, db); err != nil || i.Schema == 0 {
		return err
	}
	return refuseNewer(ctx, db, p)
}

// inspectData looks at what makes a start refuse the data, in the order in which it does.
func (i *Inspection) inspectData(v *view, sealer *storage.Sealer, keys [][]byte) error {
	var id, checks string
	if err := v.row("SELECT value FROM wxgate_meta WHERE name = 'store_id'", nil, &id); err != nil {
		return err
	}
	if err := storage.CheckComplete(id); err != nil {
		return err
	}
	if err := v.row("SELECT value FROM wxgate_meta WHERE name = 'key_check'", nil, &checks); err != nil {
		return err
	}
	if err := wantKeys(checks, sealer); err != nil {
		return err
	}
	if err := storage.CheckGateways(v, sealer, keys); err != nil {
		return err
	}
	var err error
	i.AppIDs, err = v.AppIDs(appIDsListed)
	return err
}
