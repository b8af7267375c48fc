package command

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxgate/secret"
)

// mysqlUsers is a table of users in MySQL or MariaDB.
type mysqlUsers struct {
	dsn      secret.Text
	table    string
	columns  map[string]string // by key of an import; others have the key's name
	timeZone string            // of DATETIME columns; empty: the server's
	nextID   int64             // what new users get at least; 0: nothing was said
	stderr   io.Writer
}

// importKeys are the keys of an import that a table may have columns for.
func importKeys() []string {
	return []string{"id", "openid", "appid", "unionid", "nickname", "avatar", "bio", "recipe_count", "follower_count", "following_count", "favorite_count", "created_at"}
}

const (
	mysqlConnect = 10 * time.Second // to connect, and for each look at the table
	mysqlRead    = 5 * time.Minute  // without a row while others are being imported
)

// open connects. The session is in UTC, so that TIMESTAMP columns are. An error never holds the password.
func (m mysqlUsers) open(ctx context.Context) (*sql.DB, error) {
	cfg, err := mysql.ParseDSN(m.dsn.Reveal())
	if err != nil || cfg.DBName == "" {
		return nil, errors.New("--from-mysql: want user:password@tcp(127.0.0.1:3306)/database")
	}
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout, cfg.ParseTime = mysqlConnect, mysqlRead, mysqlConnect, false
	cfg.Params = map[string]string{"time_zone": "'+00:00'"}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("--from-mysql: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1) // of which the session is set
	ctx, cancel := context.WithTimeout(ctx, mysqlConnect)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to %s: %w", cfg.Addr, err), db.Close())
	}
	return db, nil
}

// importInto reads the table by id, and imports each row that has an openid.
func (m mysqlUsers) importInto(ctx context.Context, i *usersImport) error {
	db, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	zone, err := m.zone(ctx, db)
	if err != nil {
		return err
	}
	table, err := quoteName(m.table)
	if err != nil {
		return err
	}
	keys, list, err := m.selected(ctx, db, table)
	if err != nil {
		return err
	}
	openID := list[slices.Index(keys, "openid")]
	if err := m.tellSkipped(ctx, db, table, openID); err != nil {
		return err
	}
	if i.dry || m.nextID != 0 {
		m.tellIDs(ctx, db, table)
	}
	if err := m.reserveIDs(ctx, db, table, openID, list[slices.Index(keys, "id")], i); err != nil {
		return err
	}
	i.share = m.shareOf(ctx, db, table, openID, i)
	rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s IS NOT NULL AND %s <> '' ORDER BY %s",
		strings.Join(list, ", "), table, openID, openID, list[slices.Index(keys, "id")]))
	if err != nil {
		return fmt.Errorf("reading %s: %w", m.table, err)
	}
	defer rows.Close()
	if err := m.importRows(ctx, rows, keys, zone, i); err != nil {
		return err
	}
	return i.send(ctx)
}

// shareOf counts the rows that are imported, and returns which share of them i has imported.
func (m mysqlUsers) shareOf(ctx context.Context, db *sql.DB, table, openID string, i *usersImport) func() float64 {
	var users int64
	if err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE %s <> ''", table, openID)).Scan(&users); err != nil || users == 0 {
		return nil
	}
	return func() float64 { return float64(i.sent) / float64(users) }
}

// zone returns the time zone of DATETIME columns, such as +08:00.
func (m mysqlUsers) zone(ctx context.Context, db *sql.DB) (zone string, err error) {
	if m.timeZone != "" {
		if _, err := time.Parse("Z07:00", m.timeZone); err != nil {
			return "", fmt.Errorf("--time-zone: %q is not such as +08:00", m.timeZone)
		}
		return m.timeZone, nil
	}
	var offset sql.NullInt64 // in minutes
	const server = "SELECT ROUND(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', @@global.time_zone)) / 60)"
	if err := db.QueryRowContext(ctx, server).Scan(&offset); err != nil || !offset.Valid {
		return "", errors.Join(errors.New("the server does not tell its time zone; say --time-zone +08:00"), err)
	}
	sign, minutes := '+', offset.Int64
	if minutes < 0 {
		sign, minutes = '-', -minutes
	}
	return fmt.Sprintf("%c%02d:%02d", sign, minutes/60, minutes%60), nil
}

// selected returns the keys that the table has, and their columns in quotes.
func (m mysqlUsers) selected(ctx context.Context, db *sql.DB, table string) (keys, list []string, err error) {
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+table+" LIMIT 0")
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", m.table, err)
	}
	defer rows.Close()
	there, err := rows.Columns()
	if err != nil {
		return nil, nil, err
	}
	keys, at, err := chooseColumns(m.table, m.columns, there)
	if err != nil {
		return nil, nil, err
	}
	for _, column := range at {
		quoted, err := quoteName(there[column])
		if err != nil {
			return nil, nil, err
		}
		list = append(list, quoted)
	}
	return keys, list, rows.Err()
}

// chooseColumns returns the keys that there are columns for, and at which place of there each has its own. columns are by
// key; the others have the key's name.
func chooseColumns(table string, columns map[string]string, there []string) (keys []string, at []int, err error) {
	for _, key := range slices.Sorted(maps.Keys(columns)) {
		if !slices.Contains(importKeys(), key) {
			return nil, nil, fmt.Errorf("--map: %s is none of %s", key, strings.Join(importKeys(), ", "))
		}
	}
	for _, key := range importKeys() {
		column, mapped := columns[key]
		if !mapped {
			column = key
		}
		is := func(name string) bool { return strings.EqualFold(strings.TrimSpace(name), column) }
		place := slices.IndexFunc(there, is)
		switch {
		case place < 0 && (mapped || key == "id" || key == "openid"):
			return nil, nil, fmt.Errorf("%s has no column %s; name the right one by --map %s=COLUMN: it has %s", table, column, key, strings.Join(there, ", "))
		case place >= 0 && slices.ContainsFunc(there[place+1:], is):
			return nil, nil, fmt.Errorf("%s has two columns %s", table, column)
		case place >= 0:
			keys, at = append(keys, key), append(at, place)
		}
	}
	return keys, at, nil
}

// quoteName quotes a name, or a database and a table. Names that would need more than quotes are refused.
func quoteName(name string) (string, error) {
	if !regexp.MustCompile(`^[^\x00-\x1f` + "`" + `.]{1,64}(\.[^\x00-\x1f` + "`" + `.]{1,64})?$`).MatchString(name) {
		return "", fmt.Errorf("%q is not a name of a table or column", name)
	}
	return "`" + strings.ReplaceAll(name, ".", "`.`") + "`", nil
}

// tellSkipped tells how many rows have no openid, and which openids several rows have: of these the first is imported.
func (m mysqlUsers) tellSkipped(ctx context.Context, db *sql.DB, table, openID string) error {
	var without, twice int64
	err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE %s IS NULL OR %s = ''", table, openID, openID)).Scan(&without)
	if err == nil {
		err = db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1 FROM %s WHERE %s <> '' GROUP BY BINARY %s HAVING COUNT(*) > 1) AS twice",
			table, openID, openID)).Scan(&twice)
	}
	if err != nil {
		return fmt.Errorf("counting rows of %s: %w", m.table, err)
	}
	if without > 0 {
		_, _ = fmt.Fprintf(m.stderr, "wxgate: %s without an openid: no mini-program knows these users, and they stay where they are\n", counted(int(without), "row is", "rows are"))
	}
	if twice > 0 {
		_, _ = fmt.Fprintf(m.stderr, "wxgate: %s in several rows: the one with the lowest id is imported, the others conflict\n", counted(int(twice), "openid is", "openids are"))
	}
	return nil
}

// tellIDs tells how to keep the ids of a login that goes on in the table apart from those of new users. A table that gives
// no ids, such as a view, needs nothing.
func (m mysqlUsers) tellIDs(ctx context.Context, db *sql.DB, table string) {
	next := nextOf(ctx, db, table)
	if next == 0 {
		return
	}
	if advice := adviseIDs(m.table, next, m.nextID); advice != "" {
		_, _ = fmt.Fprintf(m.stderr, "wxgate: %s gives the id %d next; if another login goes on there, %s\n", m.table, next, advice)
	}
}

// nextOf is the id that a table gives next; 0 for one that gives none, or does not tell.
func nextOf(ctx context.Context, db *sql.DB, table string) int64 {
	var name, created string
	if err := db.QueryRowContext(ctx, "SHOW CREATE TABLE "+table).Scan(&name, &created); err != nil {
		return 0
	}
	given := regexp.MustCompile(`\) ENGINE=.* AUTO_INCREMENT=([0-9]+)`).FindStringSubmatch(created)
	if given == nil {
		return 0
	}
	next, err := strconv.ParseInt(given[1], 10, 64)
	if err != nil {
		return 0
	}
	return next
}

// reserveIDs lets new users get ids above every id that the table has given, also to people who have no openid. What
// another login gives from otherLogin on, once it was moved there, is apart.
func (m mysqlUsers) reserveIDs(ctx context.Context, db *sql.DB, table, openID, id string, i *usersImport) error {
	var highest, imported sql.NullInt64
	query := fmt.Sprintf("SELECT MAX(CAST(%s AS SIGNED)), MAX(CASE WHEN %s <> '' THEN CAST(%s AS SIGNED) END) FROM %s WHERE %s < ?", id, openID, id, table, id)
	if err := db.QueryRowContext(ctx, query, int64(maxNextID)).Scan(&highest, &imported); err != nil {
		return fmt.Errorf("looking for the highest id of %s: %w", m.table, err)
	}
	next := nextOf(ctx, db, table)
	if next >= otherLogin && imported.Int64 < otherLogin { // it was moved
		next = 0
		if err := db.QueryRowContext(ctx, query, int64(otherLogin)).Scan(&highest, &imported); err != nil {
			return fmt.Errorf("looking for the highest id of %s: %w", m.table, err)
		}
	}
	if next > maxNextID { // no id of ours can meet those
		next = 0
	}
	if i.nextID = max(m.nextID, next, highest.Int64+1); i.dry {
		return nil
	}
	_, err := i.client.reserveIDs(ctx, i.nextID)
	return err
}

// maxNextID is the highest id from which new users may begin.
const maxNextID = 1 << 52

// Ids of new users and of another login, in a column of type INT: a thousand million rows have room above.
const (
	leastNextID = 1_000_000
	otherLogin  = 1_000_000_000
)

// adviseIDs says what keeps ids apart where a table gives next, and new users get ids from floor on (0: nothing was said).
// "" means that they are.
func adviseIDs(table string, next, floor int64) string {
	begin := int64(leastNextID)
	for begin < 2*next && begin < otherLogin {
		begin *= 10
	}
	move := fmt.Sprintf("before the first login through wxgate: ALTER TABLE %s AUTO_INCREMENT = %d", table, otherLogin)
	switch {
	case next >= otherLogin && floor < otherLogin && floor != 0: // it was moved
		return ""
	case begin >= otherLogin:
		return "choose ids for it and for --next-id that never meet: docs/users.md"
	case floor == 0:
		return fmt.Sprintf("import with --next-id %d, and %s", begin, move)
	case floor <= next:
		return fmt.Sprintf("it meets new users from --next-id %d on: take --next-id %d, and %s", floor, begin, move)
	case floor >= otherLogin:
		return "it continues behind the first new user that it gets a row of: docs/users.md"
	}
	return move
}

// importRows imports each row as a line of JSON, with all values as texts; numbers are read from them.
func (m mysqlUsers) importRows(ctx context.Context, rows *sql.Rows, keys []string, zone string, i *usersImport) error {
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	values, into := make([]sql.NullString, len(keys)), make([]any, len(keys))
	for n := range values {
		into[n] = &values[n]
	}
	for row := 1; rows.Next(); row++ {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("reading %s: %w", m.table, err)
		}
		line := make(map[string]string, len(keys))
		for n, value := range values {
			if !value.Valid {
				continue
			}
			if keys[n] == "created_at" {
				value.String = inZone(value.String, types[n].DatabaseTypeName(), zone)
			}
			line[keys[n]] = value.String
		}
		text, err := json.Marshal(line)
		if err == nil {
			err = i.add(ctx, text, row)
		}
		if err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", m.table, err)
	}
	return nil
}

// inZone writes the time of a DATETIME column with its zone. A TIMESTAMP is in UTC, and what is no time stays as it is.
func inZone(text, columnType, zone string) string {
	if columnType == "TIMESTAMP" {
		zone = "Z"
	}
	at, err := time.Parse(time.DateTime, text)
	for _, form := range []string{"2006/1/2 15:04:05", "2006/1/2 15:04", "2006/1/2"} { // of Excel
		if err != nil {
			at, err = time.Parse(form, text)
		}
	}
	if err != nil {
		return text
	}
	return at.Format("2006-01-02T15:04:05.999999") + strings.Replace(zone, "+00:00", "Z", 1)
}
