package e2e

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxgate/storage/mysql/mysqltest"
)

// storageKey seals what the tests keep in a database.
const storageKey = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="

// databasePassword must not be in any log.
const databasePassword = "data/base-p@ss:word"

// startServer starts a MariaDB that ends with the test.
func startServer(t *testing.T) *mysqltest.Server {
	t.Helper()
	server, err := mysqltest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// newDatabase starts a MariaDB, and returns it with the DSN of an empty database.
func newDatabase(t *testing.T) (server *mysqltest.Server, dsn string) {
	t.Helper()
	server = startServer(t)
	const make = "CREATE DATABASE wxgate; CREATE USER wx@localhost IDENTIFIED BY '" + databasePassword + "'; GRANT ALL ON wxgate.* TO wx@localhost"
	if _, err := server.DB.ExecContext(t.Context(), make); err != nil {
		t.Fatal(err)
	}
	return server, fmt.Sprintf("wx:%s@unix(%s)/wxgate", databasePassword, server.Socket)
}

// onDatabase lets the store of a world be in a database.
func (w *world) onDatabase(dsn string) {
	w.t.Helper()
	text, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "storage:") {
			lines[i] = fmt.Sprintf("storage: { driver: mysql, encryption_key: %q, mysql: { dsn: %q, max_staleness: 2s } }", storageKey, dsn)
		}
	}
	if err := os.WriteFile(w.config, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// beside starts another gateway on the same configuration.
func (w *world) beside() *world {
	w.t.Helper()
	other := *w
	other.process = nil
	other.serve()
	return &other
}

// TestAGatewayOnMariaDB logs in, refreshes, logs out and restarts, as with the folder.
func TestAGatewayOnMariaDB(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, dsn := newDatabase(t)
	w.onDatabase(dsn)
	for _, step := range []struct{ command, want string }{
		{"migrate status", "00011_temporary.sql       waits"}, {"migrate status", "an older wxgate still works with the database after that"}, {"migrate up", "applied 00001_meta.sql"}, {"migrate up", "nothing waits"},
	} {
		stdout, stderr, code := run(t, "", append(strings.Fields(step.command), "-c", w.config)...)
		if code != 0 || !strings.Contains(stdout, step.want) || strings.Contains(stdout+stderr, databasePassword) {
			t.Errorf("wxgate %s: exit %d\n%s%s\nwant %q", step.command, code, stdout, stderr, step.want)
		}
	}
	w.serve()
	doctor := start(t, []string{"doctor", "-c", w.config})
	<-doctor.exited
	if said := doctor.output.String(); !strings.Contains(said, "-MariaDB") || !regexp.MustCompile(`schema (\d+) of \d+`).MatchString(said) || strings.Contains(said, "applies the rest") || strings.Contains(said, databasePassword) {
		t.Errorf("wxgate doctor does not name the server and its schema:\n%s", said)
	}
	alice, bob := w.login("alice"), w.login("bob")
	w.want("alice", w.call("GET", "/api/v1/user/profile", alice, ""), http.StatusOK, "")
	w.want("changing the profile", w.call("PUT", "/api/v1/user/profile", alice, `{"nickname":"爱丽丝 😀"}`), http.StatusOK, "")
	refreshed := w.call("POST", "/api/v1/auth/refresh", bob, "")
	w.want("refreshing", refreshed, http.StatusOK, "")
	w.want("logging out", w.call("POST", "/api/v1/auth/logout", bob, ""), http.StatusOK, "")
	w.want("after the logout", w.call("GET", "/api/v1/user/profile", bob, ""), http.StatusUnauthorized, "token_revoked")
	if code := w.stop(t); code != 0 {
		t.Errorf("the gateway ended with %d:\n%s", code, w.output)
	}
	w.serve()
	if got := w.call("GET", "/api/v1/user/profile", alice, ""); got.data()["nickname"] != "爱丽丝 😀" {
		t.Errorf("after a restart: %d %s", got.status, got.body)
	}
	w.want("after a restart", w.call("GET", "/api/v1/user/profile", bob, ""), http.StatusUnauthorized, "token_revoked")
	if id, _, _ := w.tryLogin("carol"); id != 3 {
		t.Errorf("the third user is %d", id)
	}
	if said := w.output.String(); strings.Contains(said, databasePassword) || strings.Contains(said, storageKey) {
		t.Error("the log holds the password of the database or the key")
	}
}

// TestALogoutHoldsOnEveryGateway within a second, also a ban and the end of all sessions.
func TestALogoutHoldsOnEveryGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, dsn := newDatabase(t)
	w.onDatabase(dsn)
	w.serve()
	one, two := w, w.beside()
	for i, logout := range []string{"/api/v1/auth/logout", "/api/v1/auth/logout?all=true"} {
		person := fmt.Sprint("person", i)
		token := one.login(person)
		two.want("a token of the other gateway", two.call("GET", "/api/v1/user/profile", token, ""), http.StatusOK, "")
		one.want("logging out", one.call("POST", logout, token, ""), http.StatusOK, "")
		start := time.Now()
		eventually(t, 5*time.Second, func() bool {
			return two.call("GET", "/api/v1/user/profile", token, "").status == http.StatusUnauthorized
		})
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s held on the other gateway after %v, want a second at most", logout, took)
		}
	}
	token := two.login("banned")
	one.does([]string{"users", "ban", "3", "--for", "1h"})
	start := time.Now()
	eventually(t, 5*time.Second, func() bool {
		return two.call("GET", "/api/v1/user/profile", token, "").status == http.StatusUnauthorized
	})
	if took := time.Since(start); took > time.Second {
		t.Errorf("a ban held on the other gateway after %v", took)
	}
	if _, got, _ := two.tryLogin("banned"); got.status != http.StatusForbidden {
		t.Errorf("a login of the banned user on the other gateway: %d %s", got.status, got.body)
	}
}

// TestADatabaseThatIsAwayEndsTokensInTime: they work on for max_staleness, are then 503 and never 401, and work again.
func TestADatabaseThatIsAwayEndsTokensInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server, dsn := newDatabase(t)
	w.onDatabase(dsn)
	w.serve()
	token := w.login("alice")
	w.want("before", w.call("GET", "/whoami", token, ""), http.StatusOK, "")
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resumed := false
	resume := func() {
		if !resumed {
			resumed = true
			if err := server.Signal(syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}
	}
	defer resume()
	w.want("a token right after", w.call("GET", "/whoami", token, ""), http.StatusOK, "")
	start := time.Now()
	eventually(t, 10*time.Second, func() bool {
		got := w.call("GET", "/whoami", token, "")
		if got.status == http.StatusUnauthorized {
			t.Errorf("after %v the token is refused: %s", time.Since(start), got.body)
		}
		return got.status == http.StatusServiceUnavailable
	})
	if took := time.Since(start); took < 500*time.Millisecond || took > 5*time.Second {
		t.Errorf("tokens were 503 after %v, want about 2s", took)
	}
	w.want("a token later", w.call("GET", "/whoami", token, ""), http.StatusServiceUnavailable, "storage_unavailable")
	resume()
	eventually(t, 10*time.Second, func() bool { return w.call("GET", "/whoami", token, "").status == http.StatusOK })
}

// TestAnExistingTableIsImportedIntoTheSameDatabase keeps every id and the table itself.
func TestAnExistingTableIsImportedIntoTheSameDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server, dsn := newDatabase(t)
	run := func(statement string, args ...any) {
		t.Helper()
		if _, err := server.DB.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE TABLE wxgate.users (
		id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, openid VARCHAR(64) NOT NULL UNIQUE, nickname VARCHAR(64), avatar VARCHAR(512),
		session_key VARCHAR(64), bio TEXT, recipe_count INT DEFAULT 0, follower_count INT DEFAULT 0, following_count INT DEFAULT 0,
		favorite_count INT DEFAULT 0, level INT NOT NULL DEFAULT 3) CHARACTER SET utf8mb4`)
	run("INSERT INTO wxgate.users (id, openid, nickname, session_key, bio, recipe_count) VALUES (7, ?, '老用户', 'k', '嗨 😀', 5), (40, 'oSomebody', 'b', 'k', '', 0)",
		w.weChat.OpenID("alice"))
	w.onDatabase(dsn)
	w.serve()
	w.does([]string{"users", "import", "--from-mysql", dsn, "--table", "users"}, "imported 2, failed 0")
	if id, got, _ := w.tryLogin("alice"); id != 7 || !strings.Contains(got.body, "老用户") {
		t.Errorf("alice is user %d: %s", id, got.body)
	}
	if id, _, _ := w.tryLogin("bob"); id != 41 {
		t.Errorf("the first new user is %d, want 41", id)
	}
	var level, count int
	if err := server.DB.QueryRowContext(t.Context(), "SELECT SUM(level), COUNT(*) FROM wxgate.users WHERE session_key = 'k'").Scan(&level, &count); err != nil || level != 6 || count != 2 {
		t.Errorf("the table has %d rows of level %d, %v", count, level, err)
	}
}

// TestATableOfABackendIsAdopted with the commands of docs/migration.md: its users are known, and a new one is in it.
func TestATableOfABackendIsAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server, dsn := newDatabase(t)
	const schema = "USE wxgate; CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, openId VARCHAR(64) NOT NULL UNIQUE, name VARCHAR(20), city VARCHAR(20) NOT NULL, " +
		"createdAt DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP) CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci; " +
		"CREATE TABLE recipes (user_id INT NOT NULL, FOREIGN KEY (user_id) REFERENCES users (id)); " +
		"INSERT INTO users (openId, name, city) VALUES ('oShop1', '小爱', ''), ('oShop2', '大爱 😀', ''); INSERT INTO recipes VALUES (2)"
	if _, err := server.DB.ExecContext(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	w.onDatabase(dsn)
	w.rewrite("limits:", "authn: { accept_foreign: true }\nlimits:")
	w.rewrite("wechat: {", `wechat: { appid: `+appID+`,`)
	adopt := []string{"migrate", "adopt", "users", "--app", appID, "--map", "nickname=name", "-c", w.config}
	stdout, stderr, code := run(t, "", adopt...)
	remedy := "ALTER TABLE `users` ALTER COLUMN `city` SET DEFAULT ''"
	if code != 1 || !strings.Contains(stdout, remedy) || !strings.Contains(stderr, "1 thing is in the way: nothing was changed") {
		t.Errorf("with a column that nobody fills: exit %d\n%s%s", code, stdout, stderr)
	}
	if _, err := server.DB.ExecContext(t.Context(), "USE wxgate; "+remedy); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ flag, want string }{
		{"", "--apply does this"}, {"--apply", "it was adopted and is wxgate_users"}, {"--apply", "it was adopted"}, {"", "it was adopted earlier"},
	} {
		stdout, stderr, code := run(t, "", append(adopt, strings.Fields(step.flag)...)...)
		if code != 0 || !strings.Contains(stdout, step.want) || !strings.Contains(stdout, "DROP VIEW `users`;") {
			t.Errorf("wxgate migrate adopt %s: exit %d\n%s%s\nwant %q", step.flag, code, stdout, stderr, step.want)
		}
	}
	if stdout, _, code := run(t, "", "migrate", "adopt", "users", "--app", "wxfedcba9876543210", "-c", w.config); code != 1 || !strings.Contains(stdout, "is not a mini-program of gateway.yaml") {
		t.Errorf("with the appid of another mini-program: exit %d\n%s", code, stdout)
	}
	w.serve()
	token := signedByBackend(fmt.Sprintf(`{"sub":2,"openid":"oShop2","iat":%d,"exp":%d}`, time.Now().Unix(), time.Now().Add(time.Hour).Unix()))
	if got := w.call("GET", "/api/v1/user/profile", token, ""); got.data()["nickname"] != "大爱 😀" {
		t.Errorf("a token of the backend: %d %s", got.status, got.body)
	}
	if id, got, _ := w.tryLogin("alice"); id != 3 {
		t.Errorf("a new user is %d: %s", id, got.body)
	}
	if _, err := server.DB.ExecContext(t.Context(), "USE wxgate; INSERT INTO recipes VALUES (3); UPDATE users SET name = '新' WHERE id = 3"); err != nil {
		t.Error(err)
	}
	if got := w.call("GET", "/api/v1/user/profile", w.login("alice"), ""); got.data()["nickname"] != "新" {
		t.Errorf("what the backend changed: %d %s", got.status, got.body)
	}
}
