package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// backendTable is what a database says about a table of users that is to be adopted.
type backendTable struct {
	name       string
	kind       string // "BASE TABLE", "VIEW", or "" for none
	engine     string
	created    string // what SHOW CREATE TABLE prints
	columns    []column
	indexes    []index
	references []reference
	triggers   []string
}

// column is one of its columns, in the order of the table.
type column struct {
	name       string
	columnType string // such as varchar(64)
	dataType   string // such as varchar
	charset    string
	collation  string
	width      int64 // of text, in characters
	precision  int64 // of a time: the digits of a second
	nullable   bool
	filled     bool   // an INSERT may leave it out
	extra      string // such as auto_increment, or on update …
	definition string // behind its name in SHOW CREATE TABLE
}

// index is one of its keys.
type index struct {
	name       string
	unique     bool
	columns    []string
	definition string // its line in SHOW CREATE TABLE
}

// reference is a foreign key from or to the table.
type reference struct{ name, from, column, to, referenced string }

func (t *backendTable) column(name string) (column, bool) {
	i := slices.IndexFunc(t.columns, func(c column) bool { return strings.EqualFold(c.name, name) })
	if i < 0 {
		return column{}, false
	}
	return t.columns[i], true
}

// nextID is above every id that the table has given.
func (t *backendTable) nextID() int64 {
	given := regexp.MustCompile(`\) ENGINE=.*AUTO_INCREMENT=([0-9]+)`).FindStringSubmatch(t.created)
	if given == nil {
		return 1
	}
	next, err := strconv.ParseInt(given[1], 10, 64)
	if err != nil {
		return 1
	}
	return next
}

// readTable reads what a table is like.
func readTable(ctx context.Context, conn *sql.Conn, name string) (*backendTable, error) {
	t := &backendTable{name: name}
	err := conn.QueryRowContext(ctx, "SELECT TABLE_TYPE, COALESCE(ENGINE, '') FROM information_schema.TABLES "+
		"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?", name).Scan(&t.kind, &t.engine)
	if errors.Is(err, sql.ErrNoRows) || err == nil && t.kind != "BASE TABLE" {
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	var again string
	if err := conn.QueryRowContext(ctx, "SHOW CREATE TABLE "+quoted(name)).Scan(&again, &t.created); err != nil {
		return nil, err
	}
	return t, errors.Join(t.readColumns(ctx, conn), t.readIndexes(ctx, conn), t.readReferences(ctx, conn), t.readTriggers(ctx, conn))
}

func (t *backendTable) readColumns(ctx context.Context, conn *sql.Conn) error {
	definitions := map[string]string{}
	for _, line := range regexp.MustCompile("(?m)^  `([^`]+)` (.*?),?$").FindAllStringSubmatch(t.created, -1) {
		definitions[line[1]] = line[2]
	}
	return eachRow(ctx, conn, "SELECT COLUMN_NAME, COLUMN_TYPE, DATA_TYPE, COALESCE(CHARACTER_SET_NAME, ''), COALESCE(COLLATION_NAME, ''), "+
		"COALESCE(CHARACTER_MAXIMUM_LENGTH, 0), COALESCE(DATETIME_PRECISION, 0), IS_NULLABLE = 'YES', COLUMN_DEFAULT IS NOT NULL, EXTRA "+
		"FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
		[]any{t.name}, func(scan func(...any) error) error {
			var c column
			var hasDefault bool
			err := scan(&c.name, &c.columnType, &c.dataType, &c.charset, &c.collation, &c.width, &c.precision, &c.nullable, &hasDefault, &c.extra)
			c.filled = c.nullable || hasDefault || strings.Contains(strings.ToUpper(c.extra), "GENERATED") || strings.Contains(c.extra, "auto_increment")
			c.definition = definitions[c.name]
			if err == nil && c.definition == "" {
				err = fmt.Errorf("the name of column %q of %s needs more than quotes", c.name, t.name)
			}
			t.columns = append(t.columns, c)
			return err
		})
}

func (t *backendTable) readIndexes(ctx context.Context, conn *sql.Conn) error {
	definitions := map[string]string{}
	for _, line := range regexp.MustCompile("(?m)^  ((?:[A-Z]+ )?KEY `([^`]+)` .*?),?$").FindAllStringSubmatch(t.created, -1) {
		definitions[line[2]] = line[1]
	}
	return eachRow(ctx, conn, "SELECT INDEX_NAME, NON_UNIQUE = 0, COALESCE(COLUMN_NAME, '') FROM information_schema.STATISTICS "+
		"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY INDEX_NAME, SEQ_IN_INDEX",
		[]any{t.name}, func(scan func(...any) error) error {
			var i index
			var column string
			err := scan(&i.name, &i.unique, &column)
			if last := len(t.indexes) - 1; last >= 0 && t.indexes[last].name == i.name {
				t.indexes[last].columns = append(t.indexes[last].columns, column)
				return err
			}
			i.columns, i.definition = []string{column}, definitions[i.name]
			t.indexes = append(t.indexes, i)
			return err
		})
}

func (t *backendTable) readReferences(ctx context.Context, conn *sql.Conn) error {
	return eachRow(ctx, conn, "SELECT CONSTRAINT_NAME, TABLE_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME "+
		"FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_SCHEMA = DATABASE() AND ? IN (TABLE_NAME, REFERENCED_TABLE_NAME)",
		[]any{t.name}, func(scan func(...any) error) error {
			var r reference
			err := scan(&r.name, &r.from, &r.column, &r.to, &r.referenced)
			t.references = append(t.references, r)
			return err
		})
}

func (t *backendTable) readTriggers(ctx context.Context, conn *sql.Conn) error {
	return eachRow(ctx, conn, "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = DATABASE() AND EVENT_OBJECT_TABLE = ?",
		[]any{t.name}, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			t.triggers = append(t.triggers, name)
			return err
		})
}

// quoted is a name in a statement. Names with backticks are refused where they are read.
func quoted(name string) string { return "`" + name + "`" }
