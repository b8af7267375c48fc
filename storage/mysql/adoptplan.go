package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The tables of an adoption.
const (
	usersTable  = "wxgate_users"
	standInName = "wxgate_adopting" // an empty table that the view is made for
	beforeName  = "wxgate_before"   // the table that another one takes the place of
	viewName    = "wxgate_adopted"  // the view, before it has the old name
)

// openIDPattern is what the gateway takes for an openid or unionid.
const openIDPattern = "'^[!-~]{1,64}$'"

// maxUserID keeps ids exact in a JavaScript number.
const maxUserID = 1<<53 - 1

// A plan is how a table becomes wxgate_users. It is kept in wxgate_meta while it is carried out, since a table that was
// changed does not tell any more what it was.
type plan struct {
	Table      string   `json:"table"`
	AppID      string   `json:"appid"`
	TimeZone   string   `json:"time_zone"` // of the session that changes the table
	SessionKey string   `json:"session_key,omitempty"`
	Alter      []string `json:"alter"`
	View       string   `json:"view"` // its columns
	Back       []string `json:"back"` // the statements that undo it all
}

// planner finds a plan, and what is in the way of it.
type planner struct {
	*backendTable
	Adoption

	plan  plan
	undo  []string          // parts of the ALTER that goes back
	fits  []string          // statements before it, by which what was written since fits into the columns of before
	names map[string]string // of columns that get another name, by the one that they have
	way   []string          // what is in the way, with what to do about it
	notes []string
}

// textKind is how wide a text of the gateway is, in characters.
type textKind struct {
	name  string
	width int64
}

func textKinds() []textKind { return []textKind{{"nickname", 64}, {"avatar", 512}, {"bio", 500}} }

func counterNames() []string {
	return []string{"recipe_count", "follower_count", "following_count", "favorite_count"}
}

// adoptable are the columns of ours that a table may have.
func adoptable() []string {
	return slices.Concat([]string{"openid", "appid", "unionid", "nickname", "avatar", "bio", "created_at", "updated_at", "session_key"}, counterNames())
}

// makePlan looks at the columns and keys of the table alone.
func makePlan(t *backendTable, a Adoption) (*planner, error) {
	for _, key := range slices.Sorted(maps.Keys(a.Columns)) {
		if !slices.Contains(adoptable(), key) {
			return nil, fmt.Errorf("%s is none of the columns that may be called otherwise: %s", key, strings.Join(adoptable(), ", "))
		}
		if _, found := t.column(a.Columns[key]); !found && a.Columns[key] != "" {
			return nil, fmt.Errorf("%s has no column %s", t.name, a.Columns[key])
		}
	}
	if _, found := t.column("id"); !found {
		return nil, fmt.Errorf("%s has no column id", t.name)
	}
	p := &planner{backendTable: t, Adoption: a, names: map[string]string{}, plan: plan{Table: t.name, AppID: a.AppID, TimeZone: a.TimeZone}}
	if _, found := p.theirs("openid"); !found {
		return nil, fmt.Errorf("%s has no column openid; name yours by --map openid=COLUMN", t.name)
	}
	p.planTable()
	p.planID()
	p.planBytes("openid", 512)
	p.planBytes("appid", 128)
	p.planBytes("unionid", 512)
	for _, kind := range textKinds() {
		p.planText(kind)
	}
	for _, name := range counterNames() {
		p.planCounter(name)
	}
	p.planTime("created_at")
	p.planTime("updated_at")
	p.planSessionKey()
	p.planOthers()
	p.change("ADD `native` TINYINT NOT NULL DEFAULT 0", "DROP COLUMN `native`")
	p.change("ADD `version` BIGINT NOT NULL DEFAULT 0", "DROP COLUMN `version`")
	p.change("ADD `unionid_proved` TINYINT NOT NULL DEFAULT 0", "DROP COLUMN `unionid_proved`")
	p.change("ADD `link_state` VARBINARY(16) NOT NULL DEFAULT ''", "DROP COLUMN `link_state`")
	p.change("ADD `linked_to` BIGINT NOT NULL DEFAULT 0", "DROP COLUMN `linked_to`")
	p.change("ADD UNIQUE KEY `openid` (`appid`, `openid`)", "DROP INDEX `openid`")
	p.change("ADD KEY `unionid` (`unionid`)", "DROP INDEX `unionid`")
	p.change("ADD KEY `linked_to` (`linked_to`)", "DROP INDEX `linked_to`")
	p.planIndexes()
	p.plan.View = p.viewColumns()
	p.planBack()
	return p, nil
}

// change notes a part of the ALTER and its undoing.
func (p *planner) change(part, undo string) {
	p.plan.Alter = append(p.plan.Alter, part)
	p.undo = append(p.undo, undo)
}

// obstacle notes what is in the way.
func (p *planner) obstacle(format string, args ...any) {
	p.way = append(p.way, fmt.Sprintf(format, args...))
}

// theirs is the column that becomes one of ours: the one that was named, or one of our name, such as openId for openid.
func (p *planner) theirs(name string) (column, bool) {
	mapped, isMapped := p.Columns[name]
	if isMapped {
		return p.column(mapped)
	}
	bare := func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
	i := slices.IndexFunc(p.columns, func(c column) bool { return bare(c.name) == bare(name) })
	if i < 0 {
		return column{}, false
	}
	return p.columns[i], true
}

// become gives a column of theirs another name or definition, and tells.
func (p *planner) become(theirs column, name, definition string) {
	if !strings.EqualFold(theirs.name, name) {
		p.names[theirs.name] = name
	}
	if theirs.name == name && strings.EqualFold(theirs.definition, definition) {
		return
	}
	p.notes = append(p.notes, fmt.Sprintf("the column %s %s becomes %s %s", theirs.name, theirs.definition, name, definition))
	p.change(fmt.Sprintf("CHANGE %s %s %s", quoted(theirs.name), quoted(name), definition),
		fmt.Sprintf("CHANGE %s %s %s", quoted(name), quoted(theirs.name), theirs.definition))
}

// fit lets the way back give each row a value that the column of before takes. IGNORE makes ? of characters that it does not.
func (p *planner) fit(name, value string) {
	p.fits = append(p.fits, fmt.Sprintf("UPDATE IGNORE %s SET %s = %s, updated_at = updated_at", quoted(p.name), quoted(name), value))
}

func (p *planner) planTable() {
	if p.engine != "InnoDB" {
		p.obstacle("the table is of the engine %s: ALTER TABLE %s ENGINE=InnoDB", p.engine, quoted(p.name))
	}
	if len(p.triggers) > 0 {
		p.obstacle("it has the triggers %s, which would see its columns change: drop them, and create those that you need again for %s",
			strings.Join(p.triggers, ", "), usersTable)
	}
	for _, r := range p.references {
		if r.to == p.name && r.referenced != "id" {
			p.obstacle("the foreign key %s of %s refers to its column %s: only such to id can stay", r.name, r.from, r.referenced)
		}
		if own, _ := p.column(r.column); r.from == p.name && p.isOurs(own.name) {
			p.obstacle("its foreign key %s is on the column %s, which becomes the gateway's: ALTER TABLE %s DROP FOREIGN KEY %s",
				r.name, r.column, quoted(p.name), quoted(r.name))
		}
	}
}

// isOurs reports whether a column of theirs becomes one of ours.
func (p *planner) isOurs(name string) bool {
	return slices.ContainsFunc(adoptable(), func(ours string) bool {
		c, found := p.theirs(ours)
		return found && c.name == name
	})
}

func (p *planner) planID() {
	id, _ := p.column("id")
	primary := slices.ContainsFunc(p.indexes, func(i index) bool { return i.name == "PRIMARY" && slices.Equal(i.columns, []string{"id"}) })
	if !primary || id.name != "id" || !slices.Contains([]string{"int", "bigint"}, id.dataType) {
		p.obstacle("want a PRIMARY KEY (id) of type INT or BIGINT; import such a table instead")
		return
	}
	p.become(id, "id", strings.Replace(id.definition, " AUTO_INCREMENT", "", 1))
}

// planBytes lets an openid, appid or unionid be bytes, so that no collation makes one of two. Beside it, a column that is
// computed and has an index shows it as text of the old collation.
func (p *planner) planBytes(name string, width int) {
	theirs, found := p.theirs(name)
	switch {
	case !found && name == "appid":
		p.change(fmt.Sprintf("ADD `appid` VARBINARY(128) NULL DEFAULT '%s'", p.AppID), "DROP COLUMN `appid`")
		return
	case !found:
		p.change("ADD `unionid` VARBINARY(512) NOT NULL DEFAULT ''", "DROP COLUMN `unionid`")
		return
	case !slices.Contains([]string{"varchar", "char"}, theirs.dataType) || strings.HasPrefix(theirs.charset, "utf16") || strings.HasPrefix(theirs.charset, "utf32"):
		p.obstacle("the column %s is of type %s, want VARCHAR: ALTER TABLE %s MODIFY %s VARCHAR(64)", theirs.name, theirs.columnType, quoted(p.name), quoted(theirs.name))
		return
	}
	p.become(theirs, name, fmt.Sprintf("VARBINARY(%d) NULL", width))
	switch {
	case theirs.nullable:
	case name == "openid": // of which each is unique
		p.fit(name, "COALESCE(openid, CONCAT('none-', id))")
	default:
		p.fit(name, fmt.Sprintf("COALESCE(%s, '')", quoted(name)))
	}
	text := name + "_text"
	p.names[theirs.name] = text
	p.change(fmt.Sprintf("ADD %s VARCHAR(%d) CHARACTER SET %s COLLATE %s GENERATED ALWAYS AS (CONVERT(%s USING %s)) VIRTUAL",
		quoted(text), width, theirs.charset, theirs.collation, quoted(name), theirs.charset), "DROP COLUMN "+quoted(text))
}

// planText lets a text take what the gateway may write into it.
func (p *planner) planText(kind textKind) {
	theirs, found := p.theirs(kind.name)
	if !found {
		p.change(fmt.Sprintf("ADD %s VARCHAR(%d) CHARACTER SET utf8mb4 NOT NULL DEFAULT ''", quoted(kind.name), kind.width), "DROP COLUMN "+quoted(kind.name))
		return
	}
	if !strings.HasSuffix(theirs.dataType, "text") && !strings.HasSuffix(theirs.dataType, "char") {
		p.obstacle("the column %s is of type %s, want a text; --map %s= leaves it to you", theirs.name, theirs.columnType, kind.name)
		return
	}
	columnType := theirs.columnType
	switch {
	case strings.HasSuffix(theirs.dataType, "text"): // a backend could write more into a longer one than backups and copies take
		columnType = "text"
	case theirs.width < kind.width:
		columnType = fmt.Sprintf("varchar(%d)", kind.width)
	}
	rest := strings.TrimPrefix(theirs.definition, theirs.columnType)
	if theirs.charset != "utf8mb4" {
		columnType += " CHARACTER SET utf8mb4 COLLATE " + wideCollation(theirs.collation)
		rest = regexp.MustCompile(`^( CHARACTER SET \w+)?( COLLATE \w+)?`).ReplaceAllString(rest, "")
	}
	p.become(theirs, kind.name, columnType+rest)
	p.fitText(kind, theirs)
}

// fitText lets the way back cut texts, and leave out characters, that the column of before does not take.
func (p *planner) fitText(kind textKind, before column) {
	name := quoted(kind.name)
	value := name
	if before.charset != "utf8mb4" {
		value = fmt.Sprintf("CONVERT(%s USING %s)", name, before.charset)
	}
	switch {
	case before.dataType == "tinytext": // takes 255 bytes
		value = fmt.Sprintf("IF(LENGTH(%s) > 255, LEFT(%s, 63), %s)", value, value, value)
	case strings.HasSuffix(before.dataType, "char") && before.width < kind.width:
		value = fmt.Sprintf("LEFT(%s, %d)", value, before.width)
	}
	if value != name {
		p.fit(kind.name, value)
	}
}

// wideCollation is the collation of utf8mb4 that compares as one of utf8 does.
func wideCollation(collation string) string {
	charset, rest, _ := strings.Cut(collation, "_")
	if charset == "utf8" || charset == "utf8mb3" || charset == "utf8mb4" {
		return "utf8mb4_" + rest
	}
	return "utf8mb4_general_ci"
}

func (p *planner) planCounter(name string) {
	theirs, found := p.theirs(name)
	switch {
	case !found:
		p.change(fmt.Sprintf("ADD %s BIGINT NOT NULL DEFAULT 0", quoted(name)), "DROP COLUMN "+quoted(name))
	case !strings.HasSuffix(theirs.dataType, "int"):
		p.obstacle("the column %s is of type %s, want an integer; --map %s= leaves it to you", theirs.name, theirs.columnType, name)
	case theirs.name != name:
		p.become(theirs, name, theirs.definition)
	}
}

// planTime lets a time be a TIMESTAMP, which each connection sees in its own time zone: the backend as before, and the
// gateway in UTC.
func (p *planner) planTime(name string) {
	theirs, found := p.theirs(name)
	if !found {
		p.change(fmt.Sprintf("ADD %s TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)", quoted(name)), "DROP COLUMN "+quoted(name))
		return
	}
	if theirs.dataType != "datetime" && theirs.dataType != "timestamp" {
		p.obstacle("the column %s is of type %s, want DATETIME or TIMESTAMP; --map %s= leaves it to you", theirs.name, theirs.columnType, name)
		return
	}
	digits := max(3, theirs.precision)
	definition := fmt.Sprintf("TIMESTAMP(%d) NOT NULL DEFAULT CURRENT_TIMESTAMP(%d)", digits, digits)
	if strings.Contains(strings.ToLower(theirs.extra), "on update") {
		definition += fmt.Sprintf(" ON UPDATE CURRENT_TIMESTAMP(%d)", digits)
	}
	p.become(theirs, name, definition)
}

// planSessionKey lets the column be empty: what is in it is sealed elsewhere.
func (p *planner) planSessionKey() {
	theirs, found := p.theirs("session_key")
	if !found {
		return
	}
	if !strings.HasSuffix(theirs.dataType, "char") && !strings.HasSuffix(theirs.dataType, "text") {
		p.obstacle("the column %s is of type %s, want a text; --map session_key= leaves it to you", theirs.name, theirs.columnType)
		return
	}
	p.plan.SessionKey = theirs.name
	if !theirs.nullable {
		p.become(theirs, theirs.name, strings.Replace(theirs.definition, " NOT NULL", " NULL", 1))
		p.fit(theirs.name, fmt.Sprintf("COALESCE(%s, '')", quoted(theirs.name)))
	}
}

// planOthers leaves columns that are none of ours alone, but for a name that we need.
func (p *planner) planOthers() {
	ours := slices.Concat(adoptable(), []string{"native", "version", "unionid_proved", "link_state", "linked_to", "openid_text", "appid_text", "unionid_text"})
	for _, c := range p.columns {
		if c.name == "id" || p.isOurs(c.name) {
			continue
		}
		if !c.filled {
			p.obstacle("the column %s must not be left out of a new row, and the gateway does not know it: %s", c.name, p.optional(c))
		}
		if slices.ContainsFunc(ours, func(name string) bool { return strings.EqualFold(name, c.name) }) && c.name != "session_key" {
			p.become(c, "their_"+c.name, c.definition)
		}
	}
}

// optional is the statement by which rows may leave a column out.
func (p *planner) optional(c column) string {
	value := ""
	switch {
	case strings.HasSuffix(c.dataType, "char"):
		value = "''"
	case strings.HasSuffix(c.dataType, "int") || slices.Contains([]string{"decimal", "float", "double", "bit"}, c.dataType):
		value = "0"
	default:
		return fmt.Sprintf("ALTER TABLE %s MODIFY %s %s NULL", quoted(p.name), quoted(c.name), c.columnType)
	}
	return fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", quoted(p.name), quoted(c.name), value)
}

// planIndexes moves the index of an openid to its text, and refuses unique keys that new users would violate.
func (p *planner) planIndexes() {
	for _, i := range p.indexes {
		text := ""
		if len(i.columns) == 1 {
			text = p.names[i.columns[0]]
		}
		moves := strings.HasSuffix(text, "_text") && !strings.HasPrefix(text, "their_")
		switch {
		case i.name == "PRIMARY":
		case i.unique && !p.isOpenID(i.columns):
			if slices.ContainsFunc(i.columns, func(name string) bool { return p.isOurs(name) || !p.isNull(name) }) {
				p.obstacle("the unique key %s (%s) would refuse new users, who have the same there: ALTER TABLE %s DROP INDEX %s",
					i.name, strings.Join(i.columns, ", "), quoted(p.name), quoted(i.name))
			}
		case moves:
			p.change("DROP INDEX "+quoted(i.name), "ADD "+i.definition)
			if added := fmt.Sprintf("ADD KEY %s (%s(64))", quoted(text), quoted(text)); !slices.Contains(p.plan.Alter, added) {
				p.change(added, "DROP INDEX "+quoted(text))
			}
		}
	}
}

// isOpenID reports whether a unique key is that of openids, each of which stays unique.
func (p *planner) isOpenID(columns []string) bool {
	openID, _ := p.theirs("openid")
	return slices.Contains(columns, openID.name)
}

// isNull reports whether a column of theirs is NULL in the row of a new user.
func (p *planner) isNull(name string) bool {
	c, _ := p.column(name)
	return c.nullable && !strings.Contains(strings.ToUpper(c.definition), " DEFAULT ") || strings.Contains(strings.ToUpper(c.definition), " DEFAULT NULL")
}

// viewColumns are the columns of the table as it was, under their names and in their order.
func (p *planner) viewColumns() string {
	columns := make([]string, 0, len(p.columns))
	for _, c := range p.columns {
		columns = append(columns, quoted(cmp.Or(p.names[c.name], c.name))+" AS "+quoted(c.name))
	}
	return strings.Join(columns, ", ")
}

// planBack notes the statements that undo it all. The last change is undone first.
func (p *planner) planBack() {
	p.plan.Back = []string{
		"DROP VIEW " + quoted(p.name),
		fmt.Sprintf("RENAME TABLE %s TO %s", usersTable, quoted(p.name)),
		"SET time_zone = '" + p.TimeZone + "'",
	}
	p.plan.Back = append(p.plan.Back, p.fits...)
	slices.Reverse(p.undo)
	slices.SortStableFunc(p.undo, func(a, b string) int { return cmp.Compare(undoRank(a), undoRank(b)) })
	p.plan.Back = append(p.plan.Back, fmt.Sprintf("ALTER TABLE %s\n    %s", quoted(p.name), strings.Join(p.undo, ",\n    ")))
}

// undoRank lets keys go before the columns that they are of.
func undoRank(part string) int {
	return slices.IndexFunc([]string{"DROP INDEX", "DROP COLUMN", ""}, func(prefix string) bool { return strings.HasPrefix(part, prefix) })
}

// rowCheck is something that no row may have, or that is worth a note.
type rowCheck struct {
	where  string
	say    string // how many rows come first
	remedy string // "" for a note
}

// checkRows looks at every row for what the changes would refuse.
func (p *planner) checkRows(ctx context.Context, conn *sql.Conn) error {
	for _, check := range p.rowChecks() {
		var n int64
		var first sql.NullString
		if err := conn.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*), MIN(id) FROM %s WHERE %s", quoted(p.name), check.where)).Scan(&n, &first); err != nil {
			return fmt.Errorf("looking at the rows of %s: %w", p.name, err)
		}
		if n == 0 {
			continue
		}
		said := fmt.Sprintf("%d rows (the first has the id %s) %s", n, first.String, check.say)
		if check.remedy == "" {
			p.notes = append(p.notes, said)
		} else {
			p.obstacle("%s: %s", said, check.remedy)
		}
	}
	return p.checkTwice(ctx, conn)
}

func (p *planner) rowChecks() []rowCheck {
	table := quoted(p.name)
	checks := []rowCheck{{"id < 1 OR id > " + fmt.Sprint(int64(maxUserID)), "have an id that is not from 1 to 2^53-1", "a JavaScript number does not hold it; give them others, or delete them"}}
	c, _ := p.theirs("openid")
	name := quoted(c.name)
	checks = append(checks,
		rowCheck{name + " IS NULL OR " + name + " = ''", "have no openid: they keep their ids, and nobody logs in to them here; an empty one becomes NULL", ""},
		rowCheck{fmt.Sprintf("%s <> '' AND NOT CAST(%s AS CHAR) REGEXP %s", name, name, openIDPattern), "have an openid that WeChat does not give: they keep their ids, and nobody logs in to them here", ""})
	if app, found := p.theirs("appid"); found {
		checks = append(checks, rowCheck{
			fmt.Sprintf("COALESCE(%s, '') = '' AND %s <> ''", quoted(app.name), name), "have an openid and no appid",
			fmt.Sprintf("UPDATE %s SET %s = '%s' WHERE COALESCE(%s, '') = ''", table, quoted(app.name), p.AppID, quoted(app.name)),
		}, rowCheck{
			fmt.Sprintf("%s <> '' AND BINARY %s NOT IN ('%s')", quoted(app.name), quoted(app.name), strings.Join(p.Apps, "', '")),
			"have an appid that gateway.yaml does not have: nobody logs in to them here", "",
		})
	}
	for _, kind := range textKinds() {
		if c, found := p.theirs(kind.name); found {
			checks = append(checks, rowCheck{
				fmt.Sprintf("CHAR_LENGTH(%s) > %d", quoted(c.name), kind.width), fmt.Sprintf("have a %s longer than %d characters", c.name, kind.width),
				fmt.Sprintf("UPDATE %s SET %s = LEFT(%s, %d) WHERE CHAR_LENGTH(%s) > %d", table, quoted(c.name), quoted(c.name), kind.width, quoted(c.name), kind.width),
			})
		}
	}
	for _, key := range counterNames() {
		if c, found := p.theirs(key); found {
			bad := fmt.Sprintf("%s NOT BETWEEN 0 AND %d", quoted(c.name), int64(maxUserID)) // NULL is 0
			checks = append(checks, rowCheck{
				bad, fmt.Sprintf("have a %s that is not from 0 to 2^53-1", c.name), fmt.Sprintf("UPDATE %s SET %s = 0 WHERE %s", table, quoted(c.name), bad),
			})
		}
	}
	for _, key := range []string{"created_at", "updated_at"} {
		if c, found := p.theirs(key); found {
			name := quoted(c.name)
			bad := fmt.Sprintf("COALESCE(FROM_UNIXTIME(UNIX_TIMESTAMP(%s)) <> %s, TRUE)", name, name)
			checks = append(checks, rowCheck{
				bad, fmt.Sprintf("have a %s that is no time from 1970 to 2038", c.name),
				fmt.Sprintf("SET time_zone = '%s'; UPDATE %s SET %s = NOW() WHERE %s", p.TimeZone, table, name, bad),
			})
		}
	}
	return checks
}

// checkTwice finds openids that several rows have, byte by byte.
func (p *planner) checkTwice(ctx context.Context, conn *sql.Conn) error {
	openID, _ := p.theirs("openid")
	by := "BINARY " + quoted(openID.name)
	if app, found := p.theirs("appid"); found {
		by += ", BINARY " + quoted(app.name)
	}
	return eachRow(ctx, conn, fmt.Sprintf("SELECT GROUP_CONCAT(id ORDER BY id SEPARATOR ', ') FROM %s WHERE %s <> '' GROUP BY %s HAVING COUNT(*) > 1 ORDER BY MIN(id) LIMIT 10",
		quoted(p.name), quoted(openID.name), by), nil, func(scan func(...any) error) error {
		var ids string
		err := scan(&ids)
		p.obstacle("the rows %s have one openid: decide which of them the person keeps, and set that of the others to NULL", ids)
		return err
	})
}

// rehearse does everything with an empty copy that only this connection sees, and two new users.
func (p *planner) rehearse(ctx context.Context, conn *sql.Conn) error {
	const copied = "wxgate_rehearsal"
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("CREATE TEMPORARY TABLE %s LIKE %s", copied, quoted(p.name))); err != nil {
		return fmt.Errorf("copying the columns of %s to try it out: %w", p.name, err)
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "DROP TEMPORARY TABLE "+copied) }()
	if _, err := conn.ExecContext(ctx, "ALTER TABLE "+copied+" "+strings.Join(p.plan.Alter, ", ")); err != nil {
		p.obstacle("changing an empty copy of it: %v", err)
		return nil
	}
	for id := range 2 {
		if _, err := conn.ExecContext(ctx, "INSERT INTO "+copied+" ("+userColumns+") VALUES (?, ?, ?, '', '', '', '', 0, 0, 0, 0, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), 1, 0, '', 0)",
			id+1, []byte("wx"), []byte{'a' + byte(id)}); err != nil {
			p.obstacle("adding a new user to an empty copy of it: %v", err)
			return nil
		}
	}
	return nil
}
