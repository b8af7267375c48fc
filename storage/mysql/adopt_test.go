package mysql

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/storage"
)

// backendSchema is what TypeORM makes of the entities of a NestJS backend on a server in China.
const backendSchema = "CREATE TABLE `users` (`id` int NOT NULL AUTO_INCREMENT, `openid` varchar(64) NOT NULL, `nickname` varchar(50) NULL, " +
	"`avatar` varchar(255) NULL, `session_key` varchar(100) NULL COMMENT 'of WeChat', `bio` text NULL, `recipe_count` int NOT NULL DEFAULT '0', " +
	"`follower_count` int NOT NULL DEFAULT '0', `following_count` int NOT NULL DEFAULT '0', `favorite_count` int NOT NULL DEFAULT '0', " +
	"`level` enum ('normal', 'chef') NOT NULL DEFAULT 'normal', `phone` varchar(20) NULL, `version` int NOT NULL DEFAULT '1', `inviter_id` int NULL, " +
	"`created_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), `updated_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), " +
	"UNIQUE INDEX `IDX_48a4f28b6f5e4ec2e0d3b3a3b6` (`openid`), UNIQUE INDEX `IDX_phone` (`phone`), PRIMARY KEY (`id`)) " +
	"ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;" +
	"ALTER TABLE `users` ADD CONSTRAINT `FK_inviter` FOREIGN KEY (`inviter_id`) REFERENCES `users`(`id`) ON DELETE SET NULL;" +
	"CREATE TABLE `recipes` (`id` int NOT NULL AUTO_INCREMENT PRIMARY KEY, `user_id` int NOT NULL, `title` varchar(200) NOT NULL, " +
	"CONSTRAINT `FK_recipes` FOREIGN KEY (`user_id`) REFERENCES `users`(`id`) ON DELETE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;" +
	"CREATE TABLE `favorites` (`user_id` int NOT NULL, `recipe_id` int NOT NULL, PRIMARY KEY (`user_id`, `recipe_id`), " +
	"CONSTRAINT `FK_f_user` FOREIGN KEY (`user_id`) REFERENCES `users`(`id`), CONSTRAINT `FK_f_recipe` FOREIGN KEY (`recipe_id`) REFERENCES `recipes`(`id`)) ENGINE=InnoDB;" +
	"CREATE TRIGGER `count_recipes` AFTER INSERT ON `recipes` FOR EACH ROW UPDATE `users` SET `recipe_count` = `recipe_count` + 1 WHERE `id` = NEW.`user_id`"

// backend is the database of a backend, as its connections see it.
type backend struct {
	t  *testing.T
	db *sql.DB
}

// newBackend makes a database with that many users.
func newBackend(t *testing.T, schema string, users int) (b backend, dsn string) {
	t.Helper()
	dsn = newDatabase(t)
	db, err := sql.Open("mysql", dsn+"?multiStatements=true")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	b = backend{t, db}
	b.exec(schema)
	for first := 1; first <= users; first += 1000 {
		var rows []string
		for n := first; n < min(first+1000, users+1); n++ {
			rows = append(rows, backendUser(n))
		}
		b.exec("INSERT INTO users (openid, nickname, avatar, session_key, bio, follower_count, phone, inviter_id, created_at) VALUES " + strings.Join(rows, ", "))
	}
	return b, dsn
}

func openIDOf(n int) string { return fmt.Sprintf("oAQSzRVoGnFD_JkJ5umqN9%06d", n) }

func sessionKeyOf(n int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "key of %9d", n))
}

// backendUser is the row of one user: every third has no name, every fifth no session_key.
func backendUser(n int) string {
	nickname, key, inviter, phone := fmt.Sprintf("'小爱 😀 %d'", n), "'"+sessionKeyOf(n)+"'", "NULL", "NULL"
	if n%3 == 0 {
		nickname = "NULL"
	}
	if n%5 == 0 {
		key = "NULL"
	}
	if n%7 == 0 {
		inviter, phone = "1", fmt.Sprintf("'138%08d'", n)
	}
	return fmt.Sprintf("('%s', %s, 'https://img.example/%d.png', %s, '做饭', %d, %s, %s, '2024-02-29 23:59:59.123456' + INTERVAL %d SECOND)",
		openIDOf(n), nickname, n, key, n%90, phone, inviter, n)
}

func (b backend) exec(statement string, args ...any) {
	b.t.Helper()
	if _, err := b.db.ExecContext(b.t.Context(), statement, args...); err != nil {
		b.t.Fatalf("%s: %v", statement[:min(200, len(statement))], err)
	}
}

// query is what a query returns, as text.
func (b backend) query(query string, args ...any) string {
	b.t.Helper()
	rows, err := b.db.QueryContext(b.t.Context(), query, args...)
	if err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		b.t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintln(&text, columns)
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			b.t.Fatal(err)
		}
		fmt.Fprintln(&text, values)
	}
	if err := rows.Err(); err != nil {
		b.t.Fatal(err)
	}
	return text.String()
}

// backendReads are what a backend asks for.
func (b backend) reads() map[string]string {
	b.t.Helper()
	found := map[string]string{}
	for _, query := range []string{
		"SELECT `User`.`id` AS `User_id`, `User`.`openid` AS `User_openid`, `User`.`nickname` AS `User_nickname`, `User`.`avatar`, `User`.`bio`, `User`.`recipe_count`, " +
			"`User`.`level`, `User`.`phone`, `User`.`version`, `User`.`inviter_id`, `User`.`created_at`, `User`.`updated_at` FROM `users` `User` ORDER BY `User`.`id`",
		"SELECT id FROM users WHERE openid = '" + openIDOf(17) + "'",
		"SELECT id FROM users WHERE openid = '" + strings.ToUpper(openIDOf(17)) + "'", // the old collation
		"SELECT r.title, u.nickname, u.openid FROM recipes r JOIN users u ON u.id = r.user_id ORDER BY r.id",
		"SELECT COUNT(*), MIN(created_at), MAX(updated_at), SUM(follower_count) FROM users WHERE created_at > '2024-03-01 00:10:00'",
		"SELECT id, nickname FROM users WHERE nickname LIKE '小爱%' ORDER BY created_at DESC LIMIT 20",
	} {
		found[query] = b.query(query)
	}
	return found
}

func (b backend) wantReads(want map[string]string) {
	b.t.Helper()
	for query, found := range b.reads() {
		if found != want[query] {
			at := 0
			for at < min(len(found), len(want[query])) && found[at] == want[query][at] {
				at++
			}
			b.t.Errorf("%s\ndiffers at %d:\n%.200q\nwas\n%.200q", query, at, found[at:], want[query][at:])
		}
	}
}

const testApp = "wx0123456789abcdef"

func adoptionOf(app string) Adoption {
	return Adoption{Table: "users", AppID: app, Apps: []string{testApp}}
}

// TestABackendsTableIsAdopted: the backend goes on reading what it read, its foreign keys take new users, and the gateway
// knows everybody under the id that they have.
func TestABackendsTableIsAdopted(t *testing.T) {
	t.Parallel()
	const users = 10_000
	b, dsn := newBackend(t, backendSchema, users)
	b.exec("DELETE FROM users WHERE id = ?", users) // an id that was given
	b.exec("INSERT INTO recipes (user_id, title) VALUES (17, '宫保鸡丁'), (9999, '鱼香肉丝')")
	cfg, before, columns := configOf(dsn), b.reads(), b.columns()

	checked, err := CheckAdoption(t.Context(), cfg, adoptionOf(testApp))
	if err != nil || len(checked.InTheWay) > 0 || checked.Users != users-1 || checked.Keys != 8000-0 {
		t.Fatalf("looking: %+v, %v", checked, err)
	}
	if after := b.columns(); after != columns || strings.Contains(b.query("SHOW TABLES"), "wxgate") {
		t.Fatalf("looking changed something: %s", after)
	}
	done, err := Adopt(t.Context(), cfg, adoptionOf(testApp), quiet())
	if err != nil || len(done.InTheWay) > 0 || done.Keys != 8000 {
		t.Fatalf("adopting: %+v, %v", done, err)
	}
	b.wantReads(before)
	if left := b.query("SELECT COUNT(*) FROM wxgate_users WHERE session_key IS NOT NULL"); !strings.Contains(left, "{0 ") {
		t.Errorf("session_keys in the clear: %s", left)
	}

	s := openAt(t, dsn)
	old, err := s.Login(t.Context(), loginTo(testApp, openIDOf(17)))
	if err != nil || old.User.ID != 17 || old.Created || old.User.Native || old.User.FollowerCount != 17 || old.User.Nickname != "小爱 😀 17" {
		t.Errorf("user 17 logs in as %+v, created %t, %v", old.User, old.Created, err)
	}
	if want := time.Date(2024, 2, 29, 16, 0, 16, 123456000, time.UTC); !old.User.CreatedAt.Equal(want) {
		t.Errorf("created at %v, want %v", old.User.CreatedAt, want)
	}
	if keys, err := s.SessionKeys(t.Context(), 18); err != nil || len(keys) != 1 || keys[0].Key != sessionKeyOf(18) {
		t.Errorf("the session_key of user 18: %v, %v", len(keys), err)
	}
	added, err := s.Login(t.Context(), loginTo(testApp, "oNEW_one"))
	if err != nil || added.User.ID != users+1 || !added.Created {
		t.Errorf("a new user: %+v, %v; want id %d: %d was given once", added.User, err, users+1, users)
	}
	b.exec("INSERT INTO recipes (user_id, title) VALUES (?, '麻婆豆腐')", added.User.ID)
	b.exec("INSERT INTO favorites (user_id, recipe_id) VALUES (?, 1)", added.User.ID)
	b.exec("UPDATE users SET nickname = '新人', updated_at = CURRENT_TIMESTAMP(6) WHERE id = ?", added.User.ID)
	if got, err := s.User(t.Context(), added.User.ID); err != nil || got.RecipeCount != 1 || got.Nickname != "新人" || time.Since(got.UpdatedAt).Abs() > time.Minute {
		t.Errorf("what the backend changed: %+v, %v", got, err)
	}
	for name, statement := range map[string]string{
		"a row of another login": "INSERT INTO users (nickname, phone) VALUES ('x', '1')", "an openid": "UPDATE users SET openid = 'oX' WHERE id = 1",
	} {
		if _, err := b.db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("the backend may write %s", name)
		}
	}
	if _, err := s.EraseUser(t.Context(), 18, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if _, err := s.User(t.Context(), 18); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("an erased user: %v", err)
	}
	b.goBack(done.Back, columns)
	if got := b.query("SELECT openid, nickname FROM users WHERE id IN (18, 10001) ORDER BY id"); got != "[openid nickname]\n[{none-18 true} { true}]\n[{oNEW_one true} {新人 true}]\n" {
		t.Errorf("after going back: %s", got)
	}
}

// goBack runs the statements by which an adoption is undone.
func (b backend) goBack(statements []string, columns string) {
	b.t.Helper()
	conn, err := b.db.Conn(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	for _, statement := range statements {
		if _, err := conn.ExecContext(b.t.Context(), statement); err != nil {
			b.t.Fatalf("%s: %v", statement, err)
		}
	}
	if got := b.columns(); got != columns {
		b.t.Errorf("after going back the table is\n%s\nwant\n%s", got, columns)
	}
}

// columns are those of the table, without the next id, which the server counts anew now and then.
func (b backend) columns() string {
	return regexp.MustCompile(`AUTO_INCREMENT=\d+`).ReplaceAllString(b.query("SHOW CREATE TABLE users"), "")
}

func loginTo(app, openID string) storage.Login {
	l := loginAs(openID, "s"+openID)
	l.AppID = app
	return l
}

// TestWhatIsInTheWayOfAnAdoptionIsSaid with the statement that removes it, and nothing is changed.
func TestWhatIsInTheWayOfAnAdoptionIsSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil, want string
		remedied    string // what to run, unless the message has it
	}{
		"a column that must be given": {"ALTER TABLE users ADD city varchar(20) NOT NULL", "the column city must not be left out", ""},
		"a text that must be given":   {"ALTER TABLE users ADD notes text NOT NULL", "MODIFY `notes` text NULL", ""},
		"another unique key":          {"ALTER TABLE users ADD UNIQUE KEY names (nickname)", "the unique key names (nickname) would refuse new users", ""},
		"a unique default":            {"ALTER TABLE users ADD email varchar(9) NOT NULL DEFAULT ''; UPDATE users SET email = id; ALTER TABLE users ADD UNIQUE KEY mails (email)", "the unique key mails (email)", ""},
		"openids twice":               {"ALTER TABLE users DROP INDEX `IDX_48a4f28b6f5e4ec2e0d3b3a3b6`; UPDATE users SET openid = 'oX' WHERE id IN (3, 8)", "the rows 3, 8 have one openid", "UPDATE users SET openid = '' WHERE id = 8"},
		"dates of zeros":              {"SET sql_mode=''; UPDATE users SET created_at = '0000-00-00' WHERE id = 4", "no time from 1970 to 2038", ""},
		"far dates":                   {"UPDATE users SET updated_at = '2100-01-01' WHERE id = 4", "no time from 1970 to 2038", ""},
		"long texts":                  {"UPDATE users SET bio = REPEAT('😀', 501) WHERE id = 5", "have a bio longer than 500 characters", ""},
		"large ids":                   {"ALTER TABLE users DROP FOREIGN KEY FK_inviter; DROP TABLE favorites, recipes; ALTER TABLE users MODIFY id bigint NOT NULL AUTO_INCREMENT; UPDATE users SET id = 9007199254740992 WHERE id = 6", "not from 1 to 2^53-1", "DELETE FROM users WHERE id > 9007199254740991"},
		"a counter below 0":           {"UPDATE users SET recipe_count = -1 WHERE id = 4", "(the first has the id 4) have a recipe_count that is not from 0", ""},
		"a trigger":                   {"CREATE TRIGGER loud BEFORE INSERT ON users FOR EACH ROW SET NEW.nickname = 'x'", "it has the triggers loud", "DROP TRIGGER loud"},
		"another engine":              {"SET foreign_key_checks = 0; ALTER TABLE users DROP FOREIGN KEY FK_inviter; DROP TABLE favorites, recipes; ALTER TABLE users ENGINE=MyISAM", "of the engine MyISAM", ""},
		"a key to the openid":         {"CREATE TABLE visits (openid varchar(64), CONSTRAINT v FOREIGN KEY (openid) REFERENCES users(openid)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci", "the foreign key v of visits refers to its column openid", "DROP TABLE visits"},
		"a check":                     {"ALTER TABLE users ADD CONSTRAINT named CHECK (nickname <> '')", "adding a new user to an empty copy", "ALTER TABLE users DROP CONSTRAINT named"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, dsn := newBackend(t, backendSchema, 20)
			b.exec(c.spoil)
			columns, rows := b.columns(), b.query("SELECT * FROM users")
			found, err := Adopt(t.Context(), configOf(dsn), adoptionOf(testApp), quiet())
			if err != nil || len(found.InTheWay) != 1 || !strings.Contains(found.InTheWay[0], c.want) {
				t.Fatalf("got %q, %v, want %q", found.InTheWay, err, c.want)
			}
			if b.columns() != columns || b.query("SELECT * FROM users") != rows {
				t.Error("the table was changed")
			}
			remedy := c.remedied
			if remedy == "" {
				_, remedy, _ = strings.Cut(found.InTheWay[0], ": ")
			}
			b.exec(remedy)
			if found, err := Adopt(t.Context(), configOf(dsn), adoptionOf(testApp), quiet()); err != nil || len(found.InTheWay) > 0 {
				t.Errorf("after %s: %v, %v", remedy, found.InTheWay, err)
			}
		})
	}
}

// TestAnAdoptionThatIsCutOffGoesOn cuts the connection at each statement, before the server sees it and after.
func TestAnAdoptionThatIsCutOffGoesOn(t *testing.T) {
	t.Parallel()
	b, dsn := newBackend(t, backendSchema, 50)
	b.exec("UPDATE users SET openid = '' WHERE id = 50")
	b.exec("INSERT INTO recipes (user_id, title) VALUES (17, '宫保鸡丁')")
	before := b.reads()
	cfg := configOf(dsn)
	if _, err := Up(t.Context(), cfg.MySQL, quiet()); err != nil {
		t.Fatal(err)
	}
	cut := 0
	for at := int64(1); ; at++ {
		r := newRelay(t)
		r.cutAt.Store(at)
		r.cutWhen.Store(at % int64(moments))
		broken := cfg
		broken.MySQL.DSN = configOf(through(dsn, r)).MySQL.DSN
		ctx, cancel := context.WithCancel(t.Context())
		r.killed = cancel
		adopted, err := Adopt(ctx, broken, adoptionOf(testApp), quiet())
		cancel()
		r.cut()
		reads := b.query("SELECT COUNT(*) FROM users")
		if !strings.Contains(reads, "{50 ") {
			t.Fatalf("cut at %d: the backend reads %s", at, reads)
		}
		if err == nil {
			if len(adopted.InTheWay) == 0 {
				break
			}
			t.Logf("cut at %d: %q is in the way", at, adopted.InTheWay) // the server is still at the ALTER of the one before
		}
		if at > 500 {
			t.Fatal("it does not come to an end")
		}
		cut++
	}
	if cut < 20 {
		t.Errorf("cut off %d times, want each statement", cut)
	}
	found, err := CheckAdoption(t.Context(), cfg, adoptionOf(testApp))
	if err != nil || found.Unfinished || found.Keys != 0 || found.Users != 50 {
		t.Errorf("in the end: %+v, %v", found, err)
	}
	for query, rows := range before {
		before[query] = strings.ReplaceAll(rows, "{50 true} { true}", "{50 true} { false}") // the openid that was empty
	}
	b.wantReads(before)
	if tables := b.query("SHOW TABLES"); strings.Contains(tables, standInName) || strings.Contains(tables, beforeName) || strings.Contains(tables, viewName) {
		t.Errorf("left over: %s", tables)
	}
	s := openAt(t, dsn)
	if in, err := s.Login(t.Context(), loginTo(testApp, openIDOf(17))); err != nil || in.User.ID != 17 {
		t.Errorf("user 17 logs in as %d, %v", in.User.ID, err)
	}
	if keys, err := s.SessionKeys(t.Context(), 18); err != nil || len(keys) != 1 || keys[0].Key != sessionKeyOf(18) {
		t.Errorf("the session_key of user 18: %d, %v", len(keys), err)
	}
}

// TestAnAdoptionForAnotherMiniProgramIsRefused before it, since everybody who logs in would be new, and after it.
func TestAnAdoptionForAnotherMiniProgramIsRefused(t *testing.T) {
	t.Parallel()
	const other = "wxfedcba9876543210"
	b, dsn := newBackend(t, backendSchema, 20)
	for _, adopt := range []func() (Adopted, error){
		func() (Adopted, error) { return CheckAdoption(t.Context(), configOf(dsn), adoptionOf(other)) },
		func() (Adopted, error) { return Adopt(t.Context(), configOf(dsn), adoptionOf(other), quiet()) },
	} {
		if found, err := adopt(); err != nil || len(found.InTheWay) != 1 || !strings.Contains(found.InTheWay[0], "whose wechat.appid is "+testApp) {
			t.Errorf("for a mini-program that gateway.yaml does not have: %q, %v", found.InTheWay, err)
		}
	}
	if kind := b.query("SHOW FULL TABLES LIKE 'users'"); !strings.Contains(kind, "BASE TABLE") {
		t.Errorf("users is %s", kind)
	}
	if found, err := Adopt(t.Context(), configOf(dsn), adoptionOf(testApp), quiet()); err != nil || len(found.InTheWay) > 0 {
		t.Fatalf("adopting: %q, %v", found.InTheWay, err)
	}
	again := Adoption{Table: "users", AppID: other, Apps: []string{testApp, other}}
	if found, err := CheckAdoption(t.Context(), configOf(dsn), again); err != nil || len(found.InTheWay) != 1 || !strings.Contains(found.InTheWay[0], "adopted for "+testApp+" already") {
		t.Errorf("for another one than it was adopted for: %q, %v", found.InTheWay, err)
	}
}

// TestAGatewayThatRunsIsInTheWayOfAnAdoption until it has left.
func TestAGatewayThatRunsIsInTheWayOfAnAdoption(t *testing.T) {
	t.Parallel()
	_, dsn := newBackend(t, backendSchema, 20)
	s := openAt(t, dsn)
	if err := storage.JoinGateways(t.Context(), s.Store, "machine-7", [][]byte{[]byte("key")}); err != nil {
		t.Fatal(err)
	}
	if found, err := CheckAdoption(t.Context(), configOf(dsn), adoptionOf(testApp)); err != nil || len(found.InTheWay) > 0 {
		t.Errorf("looking while a gateway runs: %q, %v", found.InTheWay, err)
	}
	if found, err := Adopt(t.Context(), configOf(dsn), adoptionOf(testApp), quiet()); err != nil || len(found.InTheWay) != 1 || !strings.Contains(found.InTheWay[0], "a gateway runs on machine-7: stop it") {
		t.Errorf("adopting while a gateway runs: %q, %v", found.InTheWay, err)
	}
	if err := storage.LeaveGateways(t.Context(), s.Store); err != nil {
		t.Fatal(err)
	}
	if found, err := Adopt(t.Context(), configOf(dsn), adoptionOf(testApp), quiet()); err != nil || len(found.InTheWay) > 0 {
		t.Errorf("once it has left: %q, %v", found.InTheWay, err)
	}
}

// TestALoginDuringAnAdoptionIsNotLost: a gateway that should not run has a user, whose table gets its place back.
func TestALoginDuringAnAdoptionIsNotLost(t *testing.T) {
	t.Parallel()
	b, dsn := newBackend(t, backendSchema, 20)
	s := openAt(t, dsn)
	r := newRelay(t)
	var once sync.Once
	login := func(statement string) []byte {
		if strings.Contains(statement, "RENAME TABLE") && strings.Contains(statement, viewName) {
			once.Do(func() {
				if _, err := s.Login(t.Context(), loginTo(testApp, "oEARLY")); err != nil {
					t.Error(err)
				}
			})
		}
		return nil
	}
	r.onStatement.Store(&login)
	cfg := configOf(through(dsn, r))
	if _, err := Adopt(t.Context(), cfg, adoptionOf(testApp), quiet()); err == nil || !strings.Contains(err.Error(), "1 people logged in through wxgate meanwhile") {
		t.Errorf("got %v, want a refusal", err)
	}
	if u, err := s.UserByOpenID(t.Context(), testApp, "oEARLY"); err != nil || u.ID != 21 {
		t.Errorf("the user is %d, %v", u.ID, err)
	}
	if kind := b.query("SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'users'"); !strings.Contains(kind, "BASE TABLE") {
		t.Errorf("users is a %s", kind)
	}
}

// TestTextsOfEverySizeBecomeText: the gateway can write all that it may into them, and the way back leads to the sizes of
// before.
func TestTextsOfEverySizeBecomeText(t *testing.T) {
	t.Parallel()
	b, dsn := newBackend(t, backendSchema, 20)
	b.exec("ALTER TABLE users MODIFY nickname tinytext, MODIFY avatar mediumtext NOT NULL COMMENT 'mediumtext', MODIFY bio longtext, ADD notes longtext")
	columns := b.columns()
	b.exec("UPDATE users SET bio = REPEAT('字', 501) WHERE id = 5")
	found, err := Adopt(t.Context(), configOf(dsn), adoptionOf(testApp), quiet())
	if err != nil || len(found.InTheWay) != 1 || !strings.Contains(found.InTheWay[0], "have a bio longer than 500 characters") || b.columns() != columns {
		t.Fatalf("got %q, %v, want that a bio is too long, and nothing changed", found.InTheWay, err)
	}
	b.exec("UPDATE users SET bio = '' WHERE id = 5")
	if found, err = Adopt(t.Context(), configOf(dsn), adoptionOf(testApp), quiet()); err != nil || len(found.InTheWay) > 0 {
		t.Fatalf("got %q, %v", found.InTheWay, err)
	}
	const types = "SELECT GROUP_CONCAT(column_name, ' ', column_type ORDER BY column_name) FROM information_schema.columns " +
		"WHERE table_schema = DATABASE() AND table_name = 'wxgate_users' AND data_type LIKE '%text'"
	if got, want := b.query(types), "avatar text,bio text,nickname text,notes longtext"; !strings.Contains(got, want) {
		t.Errorf("the columns are %s, want %s", got, want)
	}
	s := openAt(t, dsn)
	nickname, avatar, bio := strings.Repeat("😀", 64), strings.Repeat("😀", 512), strings.Repeat("😀", 500)
	changed, err := s.UpdateUser(t.Context(), 3, func(u *storage.User) error { u.Nickname, u.Avatar, u.Bio = nickname, avatar, bio; return nil })
	if err != nil || changed.Nickname != nickname || changed.Avatar != avatar || changed.Bio != bio {
		t.Errorf("the longest texts: %v", err)
	}
	b.goBack(found.Back, columns)
	if got, want := b.query("SELECT CHAR_LENGTH(nickname), CHAR_LENGTH(avatar) FROM users WHERE id = 3"), "{63 true} {512 true}"; !strings.Contains(got, want) {
		t.Errorf("after going back the texts have %s characters, want %s", got, want)
	}
}

// TestTheWayBackOfAnAdoptionRestoresEachColumn with its character set, DEFAULT and COMMENT, and what changes is said before.
func TestTheWayBackOfAnAdoptionRestoresEachColumn(t *testing.T) {
	t.Parallel()
	b, dsn := newBackend(t, backendSchema, 0)
	b.exec("ALTER TABLE users MODIFY nickname varchar(8) CHARACTER SET gbk NOT NULL DEFAULT '无名' COMMENT 'it''s NOT NULL', " +
		"MODIFY avatar tinytext CHARACTER SET latin1 COMMENT 'a picture', " +
		"MODIFY bio longtext CHARACTER SET utf8mb3 COLLATE utf8mb3_unicode_ci COMMENT 'of any length', " +
		"MODIFY session_key varchar(100) CHARACTER SET ascii NOT NULL DEFAULT '' COMMENT 'of WeChat', " +
		"ADD appid varchar(32) NOT NULL DEFAULT '" + testApp + "' COMMENT 'of WeChat' AFTER openid")
	b.exec("INSERT INTO users (openid, nickname, avatar, bio, session_key) VALUES (?, '小明', 'https://img.example/1.png', '做饭', ?), ('oB', '小红', NULL, NULL, '')", openIDOf(1), sessionKeyOf(1))
	columns := b.columns()
	const kept = "SELECT id, openid, appid, nickname, avatar, bio, created_at, updated_at FROM users WHERE id = 1"
	row := b.query(kept)
	found, err := CheckAdoption(t.Context(), configOf(dsn), adoptionOf(testApp))
	if err != nil || len(found.InTheWay) > 0 {
		t.Fatalf("got %q, %v", found.InTheWay, err)
	}
	said := strings.Join(found.Notes, "\n")
	for _, want := range []string{
		"the column nickname varchar(8) CHARACTER SET gbk COLLATE gbk_chinese_ci NOT NULL DEFAULT '无名' COMMENT 'it''s NOT NULL' becomes " +
			"nickname varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL DEFAULT '无名' COMMENT 'it''s NOT NULL'",
		"the column bio longtext CHARACTER SET utf8mb3 COLLATE utf8mb3_unicode_ci DEFAULT NULL COMMENT 'of any length' becomes bio text CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
		"the column avatar tinytext", "the column session_key varchar(100)", "the column id int(11)", "the column created_at datetime(6)",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it says\n%s\nand not %s", said, want)
		}
	}
	if found, err = Adopt(t.Context(), configOf(dsn), adoptionOf(testApp), quiet()); err != nil || len(found.InTheWay) > 0 {
		t.Fatalf("got %q, %v", found.InTheWay, err)
	}
	s := openAt(t, dsn)
	if _, err := s.UpdateUser(t.Context(), 2, func(u *storage.User) error {
		u.Nickname, u.Avatar, u.Bio = "小红😀 is here", strings.Repeat("é", 500), "😀"
		return nil
	}); err != nil {
		t.Error(err)
	}
	if _, err := s.Login(t.Context(), loginTo(testApp, "oNEW")); err != nil {
		t.Error(err)
	}
	if _, err := s.EraseUser(t.Context(), 3, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	b.goBack(found.Back, columns)
	if got := b.query(kept); got != row {
		t.Errorf("after going back user 1 is\n%s\nwant\n%s", got, row)
	}
	const want = "[id openid appid nickname CHAR_LENGTH(avatar) bio session_key]\n" +
		"[{2 true} {oB true} {" + testApp + " true} {小红? is h true} {63 true} {? true} { true}]\n" +
		"[{3 true} {none-3 true} { true} { true} {0 true} { true} { true}]\n"
	if got := b.query("SELECT id, openid, appid, nickname, CHAR_LENGTH(avatar), bio, session_key FROM users WHERE id > 1"); got != want {
		t.Errorf("after going back the others are\n%s\nwant\n%s", got, want)
	}
}

// TestAnAdoptionWaitsForTheAlterOfOneThatWasCutOff, with which the server goes on, and whoever only looks is told of it.
func TestAnAdoptionWaitsForTheAlterOfOneThatWasCutOff(t *testing.T) {
	t.Parallel()
	b, dsn := newBackend(t, backendSchema, 20)
	reading, err := b.db.BeginTx(t.Context(), nil) // so that the ALTER takes long
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reading.Rollback() }()
	if _, err := reading.ExecContext(t.Context(), "SELECT * FROM users"); err != nil {
		t.Fatal(err)
	}
	altered := make(chan error, 1)
	go func() {
		_, err := b.db.ExecContext(t.Context(), "ALTER TABLE `users` ADD later int NULL")
		altered <- err
	}()
	const said = "the server has been at an ALTER TABLE of it for "
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-ticker.C {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		found, err := CheckAdoption(ctx, configOf(dsn), adoptionOf(testApp))
		cancel()
		if err == nil && len(found.InTheWay) == 1 && strings.HasPrefix(found.InTheWay[0], said) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %q, %v, want %q", found.InTheWay, err, said)
		}
	}
	var log bytes.Buffer
	waits := slog.New(slog.NewTextHandler(&releasing{&log, "waiting for the end of an ALTER TABLE", func() { _ = reading.Rollback() }}, nil))
	if found, err := Adopt(t.Context(), configOf(dsn), adoptionOf(testApp), waits); err != nil || len(found.InTheWay) > 0 {
		t.Errorf("got %q, %v\n%s", found.InTheWay, err, log.String())
	}
	if err := <-altered; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "waiting for the end of an ALTER TABLE") {
		t.Errorf("it did not say that it waits:\n%s", log.String())
	}
}

// releasing is a log that does something at a line.
type releasing struct {
	*bytes.Buffer

	at string
	do func()
}

func (r *releasing) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(r.at)) {
		r.do()
	}
	return r.Buffer.Write(line)
}
