package e2e

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat/sandbox"
)

// saveConfig keeps gateway.yaml under another name, and returns that.
func (w *world) saveConfig(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.dir, name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// copied runs wxgate store copy.
func (w *world) copied(from, to string) (stdout, stderr string, code int) {
	w.t.Helper()
	return run(w.t, "", "store", "copy", "--from", from, "--to", to)
}

// TestEverythingMovesToADatabaseAndBack moves a store as the manual says: from a folder to MariaDB, to another database, and
// back into a folder, each with an encryption key of its own. Nobody notices.
func TestEverythingMovesToADatabaseAndBack(t *testing.T) {
	t.Parallel()
	server, dsn := newDatabase(t)
	secondDatabase(t, server.DB)
	w := operator(t)
	alice, bob, carol := w.login("alice"), w.login("bob"), w.login("carol")
	bound := w.call("POST", "/api/v1/auth/phone", alice, fmt.Sprintf(`{"code":%q}`, w.weChat.IssuePhoneCode("alice")))
	w.want("binding a phone", bound, http.StatusOK, "")
	w.login("dave")
	w.want("logout", w.call("POST", "/api/v1/auth/logout", carol, ""), http.StatusOK, "")
	w.does([]string{"users", "ban", "2"})
	w.does([]string{"users", "erase", "4", "--yes"})
	folder := w.saveConfig("folder.yaml")
	w.onDatabase(dsn)
	database := w.saveConfig("database.yaml")
	if _, stderr, code := w.copied(folder, database); code != 1 || !strings.Contains(stderr, "stop the gateway, and run this again") {
		t.Errorf("a copy of a store in use: exit code %d, %s", code, stderr)
	}
	w.rewrite("/wxgate\"", "/wxgate2\"")
	w.rewrite(storageKey, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	other := w.saveConfig("other.yaml")
	w.rewrite("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	w.rewrite("storage: { driver: mysql", fmt.Sprintf("storage: { driver: badger, badger: { dir: %q }", filepath.Join(w.dir, "data2")))
	back := w.saveConfig("back.yaml")

	for n, move := range [][2]string{{folder, database}, {database, other}, {other, back}} {
		data, err := w.weChat.EncryptData("alice", w.weChat.Object("userinfo", "alice"))
		if err != nil {
			t.Fatal(err)
		}
		w.stop(t)
		out, stderr, code := w.copied(move[0], move[1])
		if code != 0 || !strings.Contains(out, fmt.Sprintf("copied %d users, ", 4+n)) || strings.Contains(stderr, databasePassword) {
			t.Fatalf("%v: exit code %d, %s%s", move, code, out, stderr)
		}
		w.config = move[1]
		w.serve()
		w.want("a token from before", w.call("GET", "/whoami", alice, ""), http.StatusOK, "")
		if got := w.call("POST", "/api/v1/auth/refresh", alice, ""); got.status != http.StatusOK {
			t.Fatalf("a refresh: %d %s", got.status, got.body)
		} else {
			alice, _ = got.data()["access_token"].(string)
		}
		w.opens(alice, data, bound.data()["phoneNumber"])
		w.want("a token of the banned", w.call("GET", "/whoami", bob, ""), http.StatusUnauthorized, "token_revoked")
		w.want("a token from before the logout", w.call("GET", "/whoami", carol, ""), http.StatusUnauthorized, "token_revoked")
		id, _, err := w.tryLogin(fmt.Sprint("new ", n))
		if err != nil || id != int64(5+n) {
			t.Errorf("after move %d a new user is %d (%v), want %d", n, id, err, 5+n)
		}
		if id, _, _ := w.tryLogin("alice"); id != 1 {
			t.Errorf("after move %d alice is %d", n, id)
		}
	}
	w.stop(t)
	if out, stderr, code := w.copied(folder, back); code != 1 || !strings.Contains(stderr, "a gateway has served from it since it was copied") {
		t.Errorf("a copy over what was served: exit code %d, %s%s", code, out, stderr)
	}
}

// opens wants the session_keys and the phone number of user 1 to be readable.
func (w *world) opens(token string, data sandbox.OpenData, phone any) {
	w.t.Helper()
	w.want("data under a session_key from before", w.call("POST", "/api/v1/auth/decrypt", token,
		fmt.Sprintf(`{"encryptedData":%q,"iv":%q}`, data.EncryptedData, data.IV)), http.StatusOK, "")
	public := w.url
	defer func() { w.url = public }()
	w.url = w.admin
	if got := w.call("GET", "/api/users/1/phone", adminToken, ""); phone == nil || got.data()["phoneNumber"] != phone {
		w.t.Errorf("the phone number is %s, want %v", got.body, phone)
	}
}

// TestACopyThatIsKilledIsNotServed kills the command in the midst, and runs it again.
func TestACopyThatIsKilledIsNotServed(t *testing.T) {
	t.Parallel()
	_, dsn := newDatabase(t)
	w := operator(t)
	users := filepath.Join(w.dir, "users.jsonl")
	if err := os.WriteFile(users, userFile(12_000), 0o600); err != nil {
		t.Fatal(err)
	}
	w.does([]string{"users", "import", users}, "imported 12000, failed 0")
	token := w.login("alice")
	w.stop(t)
	folder := w.saveConfig("folder.yaml")
	w.onDatabase(dsn)

	cmd := exec.CommandContext(t.Context(), binary, "store", "copy", "--from", folder, "--to", w.config)
	cmd.Env = []string{}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	database := mysqlCount{t, dsn}
	eventually(t, 60*time.Second, func() bool { return database.users() > 2000 })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if n := database.users(); n >= 12_001 {
		t.Fatalf("%d users were copied before the kill", n)
	}
	for _, command := range []string{"serve", "doctor"} {
		if said, code := w.command(command, "-c", w.config); code != 1 || !strings.Contains(said, "filling this store was begun and is not complete: run the same `wxgate store copy` again") {
			t.Errorf("%s of a part: exit code %d, %s", command, code, said)
		}
	}
	wrong := w.saveConfig("wrong.yaml")
	text, _ := os.ReadFile(folder)
	text = bytes.Replace(text, []byte("storage: { "), []byte("storage: { encryption_key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=, "), 1)
	if err := os.WriteFile(wrong, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := w.copied(wrong, w.config); code != 1 || !strings.Contains(stderr, "is not the one the data were sealed with") {
		t.Errorf("with a wrong key of the source: exit code %d, %s", code, stderr)
	}
	var out, stderr string
	var code int
	eventually(t, 30*time.Second, func() bool { // as long as the one that was killed counts
		out, stderr, code = w.copied(folder, w.config)
		return code == 0 || !strings.Contains(stderr, "is filling this store: wait for its end (one that was killed counts for 15s)")
	})
	if code != 0 || !strings.Contains(out, "copied 12001 users, 1 secrets, 1 sessions") || !strings.Contains(out, "both have 12001 users") {
		t.Fatalf("again: exit code %d, %s%s", code, out, stderr)
	}
	w.serve()
	w.want("a token from before", w.call("GET", "/whoami", token, ""), http.StatusOK, "")
}

// mysqlCount counts in a database.
type mysqlCount struct {
	t   *testing.T
	dsn string
}

func (c mysqlCount) users() (n int64) {
	db, err := sql.Open("mysql", c.dsn)
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	_ = db.QueryRowContext(c.t.Context(), "SELECT COUNT(*) FROM wxgate_users").Scan(&n) // 0 before there is a table
	return n
}

// userFile is n users as lines of an import.
func userFile(n int) []byte {
	var text bytes.Buffer
	for id := 1; id <= n; id++ {
		fmt.Fprintf(&text, `{"id":%d,"openid":"oImported%d","nickname":"用户%d","avatar":"https://cdn.example/%d.png"}`+"\n", id, id, id, id)
	}
	return text.Bytes()
}
