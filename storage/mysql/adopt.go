package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
)

// An Adoption makes an existing table of users the gateway's own: it becomes wxgate_users, with its ids, its other columns
// and the foreign keys to it, and a view has its old name.
type Adoption struct {
	Table    string
	AppID    string            // of its users, unless it has a column of appids
	Apps     []string          // the mini-programs of the gateway, of which AppID must be one
	Columns  map[string]string // what columns are called, by our name; "" for one that is not ours
	TimeZone string            // of the backend's connections; "" for the server's
}

// Adopted says what an Adoption does or has done.
type Adopted struct {
	InTheWay   []string // reasons why nothing was changed, each with what to do
	Notes      []string
	Statements []string // that were run, or that would be
	Back       []string // the statements that undo them
	Users      int64    // rows of the table
	Keys       int64    // session_keys that were sealed, or that would be
	Unfinished bool     // an earlier adoption was cut off
}

// CheckAdoption looks at the table and changes nothing.
func CheckAdoption(ctx context.Context, cfg storage.Config, a Adoption) (Adopted, error) {
	return withAdoption(ctx, cfg, a, nil, func(w *adopter) error { return nil })
}

// Adopt carries an adoption out if nothing is in its way. Every step can be repeated: what was cut off goes on.
func Adopt(ctx context.Context, cfg storage.Config, a Adoption, log *slog.Logger) (Adopted, error) {
	if _, err := Up(ctx, cfg.MySQL, log); err != nil {
		return Adopted{}, err
	}
	if _, err := newSealer(cfg.EncryptionKeys); err != nil {
		return Adopted{}, err
	}
	found, err := withAdoption(ctx, cfg, a, log, func(w *adopter) error {
		if err := w.wantNoGateway(ctx); err != nil || len(w.found.InTheWay) > 0 {
			return err
		}
		return w.carryOut(ctx)
	})
	if err != nil || len(found.InTheWay) > 0 {
		return found, err
	}
	found.Keys, err = sealColumn(ctx, cfg, log)
	return found, err
}

// adopter carries out a plan on one connection.
type adopter struct {
	conn    *sql.Conn
	plan    plan
	found   Adopted
	changed bool // the ALTER was done
	renamed bool // the table is wxgate_users
	next    int64
}

// withAdoption looks at the table, at what was planned earlier, and lets do do the rest. With a log it waits for what the server
// still does of an adoption that was cut off.
func withAdoption(ctx context.Context, cfg storage.Config, a Adoption, log *slog.Logger, do func(*adopter) error) (found Adopted, err error) {
	if !regexp.MustCompile(`^[^\x00-\x1f`+"`"+`'".\\]{1,64}$`).MatchString(a.Table) || strings.HasPrefix(a.Table, "wxgate_") {
		return found, fmt.Errorf("%q is not the name of a table of yours in the database of storage.mysql.dsn", a.Table)
	}
	if !regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`).MatchString(a.AppID) {
		return found, fmt.Errorf("%q is not an appid", a.AppID)
	}
	if a.TimeZone != "" {
		if _, err := time.Parse("Z07:00", a.TimeZone); err != nil {
			return found, fmt.Errorf("the time zone %q is not such as +08:00", a.TimeZone)
		}
	}
	address, err := parseDSN(cfg.MySQL)
	if err != nil {
		return found, err
	}
	db := sql.OpenDB(newHosts(address.forMigrations(), slog.New(slog.DiscardHandler)))
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return found, fmt.Errorf("%s: %w", address, explain(err))
	}
	defer conn.Close()
	defer discard(conn)
	w := &adopter{conn: conn}
	if busy, err := w.awaitAlter(ctx, a.Table, log); busy || err != nil {
		return w.found, err
	}
	if err := w.look(ctx, a); err != nil {
		return w.found, err
	}
	err = do(w)
	return w.found, err
}

// awaitAlter waits for the ALTER of an adoption that was cut off, which the server goes on with. Without a log it does not wait,
// and reports whether that is in the way.
func (w *adopter) awaitAlter(ctx context.Context, table string, log *slog.Logger) (busy bool, err error) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for said := false; ; said = true {
		const query = "SELECT ID, TIME FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID() AND LEFT(INFO, CHAR_LENGTH(?)) = ? LIMIT 1"
		begins := alterOf(table)
		var connection, seconds int64
		err := w.conn.QueryRowContext(ctx, query, begins, begins).Scan(&connection, &seconds)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return false, nil
		case err != nil:
			return false, err
		case log == nil:
			w.found.InTheWay = append(w.found.InTheWay, fmt.Sprintf("the server has been at an ALTER TABLE of it for %d s, on connection %d: that of an adoption that "+
				"was cut off goes on there; wait for its end, or repeat this with --apply, which does", seconds, connection))
			return true, nil
		case !said:
			log.Warn("waiting for the end of an ALTER TABLE, as of an adoption that was cut off", "table", table, "connection", connection, "for", (time.Duration(seconds) * time.Second).String())
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// look finds out how far an adoption is, and plans one that has not begun.
func (w *adopter) look(ctx context.Context, a Adoption) error {
	t, err := readTable(ctx, w.conn, a.Table)
	if err != nil {
		return err
	}
	stored, err := storedPlan(ctx, w.conn)
	if err != nil {
		return err
	}
	if !slices.Contains(a.Apps, a.AppID) {
		w.found.InTheWay = append(w.found.InTheWay, fmt.Sprintf("%s is not a mini-program of gateway.yaml, whose wechat.appid is %s: "+
			"everybody who logs in would be new; name that one by --app, or correct gateway.yaml", a.AppID, cmp.Or(strings.Join(a.Apps, ", "), "empty, as is WX_APPID")))
	}
	if stored != nil && stored.Table != a.Table {
		stored = nil // it was not carried out, or wxgate has users
	}
	_, changed := t.column("openid_text")
	switch {
	case stored != nil && t.kind == "VIEW":
		w.plan, w.changed, w.renamed = *stored, true, true
	case stored != nil && changed:
		w.plan, w.changed = *stored, true
	case t.kind != "BASE TABLE":
		return fmt.Errorf("there is no table %s in this database", a.Table)
	default:
		return w.lookAnew(ctx, t, a)
	}
	if w.plan.AppID != a.AppID {
		w.found.InTheWay = append(w.found.InTheWay, fmt.Sprintf("it is adopted for %s already, not for %s: for another one, go the way back first", w.plan.AppID, a.AppID))
	}
	w.found.Unfinished, w.found.Back = !w.renamed, w.plan.Back
	w.found.Statements = w.remaining()
	return w.count(ctx)
}

// lookAnew plans an adoption, and checks all that can be checked before anything is changed.
func (w *adopter) lookAnew(ctx context.Context, t *backendTable, a Adoption) error {
	if a.TimeZone == "" {
		if err := w.conn.QueryRowContext(ctx, "SELECT @@global.time_zone").Scan(&a.TimeZone); err != nil {
			return err
		}
	}
	if _, err := w.conn.ExecContext(ctx, "SET time_zone = ?", a.TimeZone); err != nil {
		return err
	}
	p, err := makePlan(t, a)
	if err != nil {
		return err
	}
	w.plan, w.next = p.plan, t.nextID()
	if n, err := w.ourUsers(ctx, usersTable); err != nil {
		return err
	} else if n > 0 {
		p.obstacle("wxgate has %d users already: a table is adopted before the first login; import it instead", n)
	}
	if err := p.checkRows(ctx, w.conn); err != nil {
		return err
	}
	if len(p.way) == 0 {
		if err := p.rehearse(ctx, w.conn); err != nil {
			return err
		}
	}
	w.found.InTheWay = append(w.found.InTheWay, p.way...)
	w.found.Notes, w.found.Back = p.notes, p.plan.Back
	w.found.Statements = w.remaining()
	return w.count(ctx)
}

// wantNoGateway lets a gateway that runs be in the way of replacing its table.
func (w *adopter) wantNoGateway(ctx context.Context) error {
	if w.renamed {
		return nil
	}
	const query = "SELECT value FROM wxgate_temporary WHERE name LIKE 'gateway %' AND until_ms > " + serverNow // storage.JoinGateways
	return eachRow(ctx, w.conn, query, nil, func(scan func(...any) error) error {
		var text []byte
		var gateway struct{ Host string }
		if err := scan(&text); err != nil {
			return err
		}
		err := json.Unmarshal(text, &gateway)
		w.found.InTheWay = append(w.found.InTheWay, fmt.Sprintf("a gateway runs on %s: stop it; one that was killed counts for 90 s", gateway.Host))
		return err
	})
}

// count counts users, and session_keys that are not sealed yet.
func (w *adopter) count(ctx context.Context) error {
	keys := "0"
	if w.plan.SessionKey != "" {
		keys = fmt.Sprintf("COALESCE(SUM(%s <> ''), 0)", quoted(w.plan.SessionKey))
	}
	return w.conn.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*), %s FROM %s", keys, quoted(w.plan.Table))).Scan(&w.found.Users, &w.found.Keys)
}

// ourUsers counts the users in a table of ours; none when it does not exist.
func (w *adopter) ourUsers(ctx context.Context, name string) (n int64, err error) {
	err = w.conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+name).Scan(&n)
	if isMissing(err) {
		return 0, nil
	}
	return n, err
}

// storedPlan is the plan that an adoption began with, or nil.
func storedPlan(ctx context.Context, conn *sql.Conn) (*plan, error) {
	var text []byte
	err := conn.QueryRowContext(ctx, "SELECT value FROM wxgate_meta WHERE name = 'adoption'").Scan(&text)
	if isMissing(err) || errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	stored := new(plan)
	return stored, json.Unmarshal(text, stored)
}

// The statements of an adoption.
func (w *adopter) alter() string {
	return alterOf(w.plan.Table) + "\n    " + strings.Join(w.plan.Alter, ",\n    ")
}

func alterOf(table string) string { return "ALTER TABLE " + quoted(table) }

func (w *adopter) clearEmpty() string {
	return fmt.Sprintf("UPDATE %s SET openid = NULL, updated_at = updated_at WHERE openid = ''", quoted(w.plan.Table))
}

func (w *adopter) view() string {
	return fmt.Sprintf("CREATE OR REPLACE ALGORITHM=MERGE VIEW %s AS SELECT %s FROM %s", viewName, w.plan.View, usersTable)
}

func (w *adopter) exchange() string {
	return fmt.Sprintf("RENAME TABLE %s TO %s, %s TO %s, %s TO %s", usersTable, beforeName, quoted(w.plan.Table), usersTable, viewName, quoted(w.plan.Table))
}

// remaining are the statements that are left to run, without those that only hold a place.
func (w *adopter) remaining() (statements []string) {
	if !w.changed {
		statements = append(statements, w.alter())
	}
	if !w.renamed {
		statements = append(statements, w.clearEmpty(), w.view(), w.exchange())
	}
	return statements
}

// carryOut does what is left. A kill between any two statements leaves a state that look recognizes.
func (w *adopter) carryOut(ctx context.Context) error {
	if err := w.run(ctx, step{"SET lock_wait_timeout = 10", nil}); err != nil { // who waits for a table holds up everybody
		return err
	}
	if !w.changed {
		if err := w.change(ctx); err != nil {
			return err
		}
	}
	if !w.renamed {
		if err := w.rename(ctx); err != nil {
			return err
		}
	}
	return w.removeBefore(ctx)
}

// change notes the plan and the ids that were given, and changes the columns in one statement, which happens or does not.
func (w *adopter) change(ctx context.Context) error {
	text, err := json.Marshal(w.plan)
	if err != nil {
		return err
	}
	return w.run(ctx,
		step{"REPLACE INTO wxgate_meta (name, value) VALUES ('adoption', ?)", []any{text}},
		step{"UPDATE wxgate_counters SET value = GREATEST(value, ?) WHERE name = ?", []any{w.next - 1, []byte(countedUsers)}},
		step{"SET time_zone = ?", []any{w.plan.TimeZone}},
		step{w.alter(), nil})
}

// rename gives the table the place of the empty one, and the view that of the table. Nobody sees neither: an empty table
// with the same columns lets the view exist before.
func (w *adopter) rename(ctx context.Context) error {
	if err := w.removeBefore(ctx); err != nil {
		return err
	}
	if err := w.run(ctx,
		step{w.clearEmpty(), nil},
		step{"UPDATE wxgate_counters SET value = GREATEST(value, (SELECT MAX(id) FROM " + quoted(w.plan.Table) + ")) WHERE name = ?", []any{[]byte(countedUsers)}},
		step{"DROP TABLE IF EXISTS " + standInName, nil},
		step{fmt.Sprintf("CREATE TABLE %s LIKE %s", standInName, quoted(w.plan.Table)), nil},
		step{fmt.Sprintf("RENAME TABLE %s TO %s, %s TO %s", usersTable, beforeName, standInName, usersTable), nil}); err != nil {
		return err
	}
	if err := w.removeBefore(ctx); err != nil {
		return err
	}
	if err := w.run(ctx, step{w.view(), nil}, step{w.exchange(), nil}); err != nil {
		return err
	}
	w.renamed = true
	return nil
}

// removeBefore removes the empty table that another one took the place of. If somebody has logged in to it meanwhile, it
// gets its place back. RENAME waits for transactions that write to it, and those that follow write to the table in its
// place, so nobody comes between the count and the end.
func (w *adopter) removeBefore(ctx context.Context) error {
	n, err := w.ourUsers(ctx, beforeName)
	if err != nil {
		return err
	}
	if n == 0 {
		return w.run(ctx, step{"DROP TABLE IF EXISTS " + beforeName, nil})
	}
	back := fmt.Sprintf("RENAME TABLE %s TO %s, %s TO %s", usersTable, standInName, beforeName, usersTable)
	if w.renamed {
		back = fmt.Sprintf("RENAME TABLE %s TO %s, %s TO %s, %s TO %s", quoted(w.plan.Table), viewName, usersTable, quoted(w.plan.Table), beforeName, usersTable)
	}
	w.renamed = false
	return errors.Join(fmt.Errorf("%d people logged in through wxgate meanwhile: stop every gateway, and empty %s, whose users are given up by that; "+
		"then repeat this", n, usersTable), w.run(ctx, step{back, nil}))
}

// step is a statement.
type step struct {
	statement string
	args      []any
}

func (w *adopter) run(ctx context.Context, steps ...step) error {
	for _, s := range steps {
		if _, err := w.conn.ExecContext(ctx, s.statement, s.args...); err != nil {
			return fmt.Errorf("%s: %w", s.statement, err)
		}
	}
	return nil
}

// sealBatch is how many session_keys are sealed in one transaction.
const sealBatch = 200

// sealColumn seals what a column of session_keys has, and clears it.
func sealColumn(ctx context.Context, cfg storage.Config, log *slog.Logger) (sealed int64, err error) {
	s, err := Open(ctx, cfg, prometheus.NewRegistry(), log, time.Now)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	conn, err := s.driver.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stored, err := storedPlan(ctx, conn)
	if err != nil || stored == nil || stored.SessionKey == "" {
		return 0, err
	}
	for more := true; more; {
		var keys int
		if keys, more, err = sealSome(ctx, s, conn, quoted(stored.SessionKey)); err != nil {
			return sealed, err
		}
		sealed += int64(keys)
	}
	return sealed, nil
}

// sealSome seals the keys of some users, and then clears them. What is no key is cleared too.
func sealSome(ctx context.Context, s *Store, conn *sql.Conn, column string) (sealed int, more bool, err error) {
	keys, ids := map[int64]storage.SessionKey{}, []string{}
	err = eachRow(ctx, conn, fmt.Sprintf("SELECT id, %s, updated_at FROM wxgate_users WHERE %s IS NOT NULL ORDER BY id LIMIT %d", column, column, sealBatch),
		nil, func(scan func(...any) error) error {
			var id int64
			var key storage.SessionKey
			err := scan(&id, &key.Key, &key.At)
			ids = append(ids, strconv.FormatInt(id, 10))
			if raw, wrong := base64.StdEncoding.DecodeString(key.Key); wrong == nil && len(raw) == 16 {
				keys[id] = key
			}
			return err
		})
	if err != nil || len(ids) == 0 {
		return 0, false, err
	}
	if err := s.ImportSessionKeys(ctx, keys); err != nil {
		return 0, false, err
	}
	_, err = conn.ExecContext(ctx, fmt.Sprintf("UPDATE wxgate_users SET %s = NULL, updated_at = updated_at WHERE id IN (%s)", column, strings.Join(ids, ", ")))
	return len(keys), true, err
}
