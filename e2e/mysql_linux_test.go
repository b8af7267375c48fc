package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// mariaDB is a server with a database of an existing backend.
type mariaDB struct {
	*sql.DB
	dsn string
}

// startMariaDB starts Debian's mariadb-server without any of the system's files.
func startMariaDB(t *testing.T) mariaDB {
	t.Helper()
	server := startServer(t)
	m := mariaDB{server.DB, fmt.Sprintf("shop:shop-password@unix(%s)/shop", server.Socket)}
	m.run(t, "CREATE DATABASE shop; CREATE USER shop@localhost IDENTIFIED BY 'shop-password'; GRANT ALL ON shop.* TO shop@localhost")
	return m
}

func (m mariaDB) run(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := m.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (m mariaDB) number(t *testing.T, query string) (n int64) {
	t.Helper()
	if err := m.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// TestTheMigrationPageOnMariaDB follows docs/migration.md: 100,000 users of whom one in a hundred has a field that does not
// hold, a server in +08:00, and a backend that keeps a login by password. It needs mariadb-server, and WXGATE_MYSQL.
func TestTheMigrationPageOnMariaDB(t *testing.T) {
	t.Parallel()
	if os.Getenv("WXGATE_MYSQL") == "" {
		t.Skip("make long WHAT=mysql")
	}
	const users = 100_000
	db := startMariaDB(t)
	db.run(t, `CREATE TABLE shop.users (
		id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
		wx_openid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
		username VARCHAR(64) NULL, password VARCHAR(255) NULL,
		nickname VARCHAR(255) NOT NULL DEFAULT '', avatar VARCHAR(512) NULL, bio TEXT NULL,
		recipe_count INT NOT NULL DEFAULT 0, follower_count INT NOT NULL DEFAULT 0,
		created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)`)
	db.run(t, `SET SESSION sql_mode = ''; INSERT INTO shop.users (id, wx_openid, nickname, avatar, bio, recipe_count, created_at)
		SELECT seq, CONCAT('oShop', seq), CONCAT('用户', seq),
			CASE WHEN seq % 500 = 1 THEN '/uploads/a.png' ELSE 'https://cdn.example/a.png' END,
			'嗨 😀', CASE WHEN seq % 500 = 2 THEN -1 ELSE seq % 7 END,
			CASE WHEN seq % 500 = 3 THEN '0000-00-00 00:00:00' ELSE '2024-10-16 12:00:00' END
		FROM shop.seq_1_to_100000`)
	db.run(t, `UPDATE shop.users SET nickname = REPEAT('长', 65) WHERE id % 500 = 4; UPDATE shop.users SET nickname = 'a\nb' WHERE id % 500 = 5`)
	db.run(t, `INSERT INTO shop.users (username) VALUES ('by password')`) // user 100001 has no openid

	w, s := newPeopleWorld(t, true)
	w.rewrite("authn: { on_user:", "authn: { accept_foreign: true, on_user:")
	w.serve()
	from := []string{"users", "import", "--from-mysql", db.dsn, "--table", "users", "--map", "openid=wx_openid"}
	_, advice, _ := w.wxgate("", append(from, "--dry-run")...)
	if want := "users gives the id 100002 next; if another login goes on there, import with --next-id 1000000, and before the first login " +
		"through wxgate: ALTER TABLE users AUTO_INCREMENT = 1000000000"; !strings.Contains(advice, want) {
		t.Errorf("the dry run says %s, want %s", advice, want)
	}
	out := w.does(append(from, "--dry-run"), "nothing is written; 100000 would be imported, 0 would fail", "1000 of these would lose a field", `"openid":"oShop1"`)
	if lines := strings.Count(out, `"openid":"oShop`); lines != 10 {
		t.Errorf("the dry run shows %d users, want 10", lines)
	}
	for _, field := range []string{"avatar:", "recipe_count:", "created_at:", "nickname:"} {
		if !strings.Contains(out, field) {
			t.Errorf("the dry run does not list %s", field)
		}
	}
	if got := w.does([]string{"users", "list"}); strings.Contains(got, "oShop") {
		t.Fatalf("the dry run imported: %s", got)
	}
	start := time.Now()
	w.does(append(from, "--next-id", "1000000"), "imported 100000, failed 0", "1000 of these lost a field", "new users get ids from 1000000 on")
	t.Logf("%d users were imported in %v", users, time.Since(start).Round(time.Millisecond))

	// The move: one more has joined, the other login gets out of the way, and everybody is imported once more.
	db.run(t, "INSERT INTO shop.users (wx_openid, nickname) VALUES ('oShopLate', '晚来')")
	db.run(t, "ALTER TABLE shop.users AUTO_INCREMENT = 1000000000")
	w.does(from, "imported 100001, failed 0")
	s.setAnswer(func(event told) int { // the backend's own code
		if _, err := db.Exec("INSERT INTO shop.users (id, wx_openid, nickname) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE nickname = VALUES(nickname)",
			event.ID, event.OpenID, event.Name); err != nil {
			return 500
		}
		return 204
	})
	checkExported(t, w, users)

	token := signedByBackend(fmt.Sprintf(`{"sub":77,"openid":"oShop77","iat":%d,"exp":%d}`, time.Now().Unix(), time.Now().Add(time.Hour).Unix()))
	if got := w.call("GET", "/whoami", token, ""); !strings.Contains(got.body, `"X-User-Id":["77"]`) {
		t.Errorf("a token of the backend: %d %s", got.status, got.body)
	}
	ids := map[int64]bool{}
	for i := range 20 { // new people on both sides, in turn
		id, got, _ := w.tryLogin(fmt.Sprint("new", i))
		if id != int64(1_000_000+i) {
			t.Fatalf("a new user is %d (%s), want %d", id, got.body, 1_000_000+i)
		}
		db.run(t, "INSERT INTO shop.users (username) VALUES ('registers by password')")
		ids[id], ids[db.number(t, "SELECT MAX(id) FROM shop.users WHERE username LIKE 'registers%'")] = true, true
	}
	if len(ids) != 40 {
		t.Errorf("40 new people have %d ids", len(ids))
	}
	if n := db.number(t, "SELECT COUNT(*) FROM shop.users WHERE id >= 1000000 AND id < 1000020 AND wx_openid IS NOT NULL"); n != 20 {
		t.Errorf("the backend knows %d of the 20 new users", n)
	}
	if strings.Contains(w.output.String(), "shop-password") {
		t.Error("the log has the password of the database")
	}
}

// TestNewUsersGetNoIDOfATable whose highest ids are of people without an openid, or of deleted ones, also without --next-id.
func TestNewUsersGetNoIDOfATable(t *testing.T) {
	t.Parallel()
	db := startMariaDB(t)
	db.run(t, "CREATE TABLE shop.people (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, openid VARCHAR(64) NULL)")
	db.run(t, "INSERT INTO shop.people (id, openid) VALUES (7, 'oShop7'), (50, NULL)")
	w := newWorld(t)
	w.serve()
	from := []string{"users", "import", "--from-mysql", db.dsn, "--table", "people"}
	for i, step := range []struct {
		sql     string
		flags   []string
		printed int64
	}{
		{"SELECT 1", nil, 51},
		{"ALTER TABLE shop.people AUTO_INCREMENT = 80", []string{"--next-id", "60"}, 80},                           // 79 was deleted
		{"INSERT INTO shop.people (id) VALUES (90); ALTER TABLE shop.people AUTO_INCREMENT = 1000000000", nil, 91}, // it was moved
		{"INSERT INTO shop.people () VALUES ()", nil, 92},
	} {
		for statement := range strings.SplitSeq(step.sql, "; ") {
			db.run(t, statement)
		}
		w.does(append(from, step.flags...), "imported 1, failed 0", fmt.Sprintf("new users get ids from %d on", step.printed))
		if id, got, _ := w.tryLogin(fmt.Sprint("new", i)); id != step.printed {
			t.Errorf("after %s a new user is %d (%s), want %d", step.sql, id, got.body, step.printed)
		}
	}
}

// checkExported compares what the gateway knows with what the table had.
func checkExported(t *testing.T, w *world, users int) {
	t.Helper()
	stdout, stderr, code := w.wxgate("", "users", "export")
	if code != 0 {
		t.Fatal(stderr)
	}
	seen := 0
	for line := range strings.Lines(stdout) {
		var u struct {
			ID, Recipes int64
			OpenID, Bio string
			Nickname    string
			Avatar      string
			CreatedAt   time.Time `json:"created_at"`
		}
		if err := json.Unmarshal([]byte(line), &u); err != nil {
			t.Fatal(err)
		}
		seen++
		if u.ID > int64(users) {
			continue
		}
		want := time.Date(2024, 10, 16, 4, 0, 0, 0, time.UTC) // 12:00 in China
		if u.ID%500 == 3 {
			want = u.CreatedAt // the time of the import
		}
		if u.OpenID != fmt.Sprint("oShop", u.ID) || u.Bio != "嗨 😀" || !u.CreatedAt.Equal(want) {
			t.Fatalf("user %d is %s", u.ID, line)
		}
		if left := u.ID%500 == 4 || u.ID%500 == 5; left != (u.Nickname == "") || (u.ID%500 == 1) != (u.Avatar == "") {
			t.Fatalf("user %d is %s", u.ID, line)
		}
	}
	if seen != users+1 {
		t.Errorf("%d users came over, want %d", seen, users+1)
	}
}
