package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// putBack replaces the data folder by a copy of another.
func (w *world) putBack(from string) {
	w.t.Helper()
	data := filepath.Join(w.dir, "data")
	err := os.RemoveAll(data)
	if err == nil {
		err = os.CopyFS(data, os.DirFS(from))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestABackupThatIsPutBackLetsNobodySpeakForSomebodyElse is the documented restore, and what happens without its command.
func TestABackupThatIsPutBackLetsNobodySpeakForSomebodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	alice := w.login("alice")
	w.awaitNextSecond()
	w.login("alice") // what the last second of a copy issued is over
	w.stop(t)
	backup := filepath.Join(w.dir, "backup")
	if err := os.CopyFS(backup, os.DirFS(filepath.Join(w.dir, "data"))); err != nil {
		t.Fatal(err)
	}
	w.serve()
	bob := w.login("bob")
	if id := w.userID(bob); id != 2 {
		t.Fatalf("bob is user %d, want 2", id)
	}
	w.kill()

	w.putBack(backup)
	w.serve()
	if carol := w.userID(w.login("carol")); carol != 2 {
		t.Errorf("carol is user %d, want 2: the backup knows nothing of bob", carol)
	}
	w.want("bob, who came after the backup", w.call("GET", "/api/v1/user/profile", bob, ""), http.StatusUnauthorized, "token_revoked")
	w.want("a refresh of bob's", w.call("POST", "/api/v1/auth/refresh", bob, ""), http.StatusUnauthorized, "token_revoked")
	w.want("alice, who was there", w.call("GET", "/api/v1/user/profile", alice, ""), http.StatusOK, "")
	w.stop(t) // with its log written
	for _, line := range []string{"THE DATA FOLDER IS A COPY", "A TOKEN OF A LOST STATE OF THE STORE WAS REFUSED"} {
		if strings.Count(w.output.String(), line) != 1 {
			t.Errorf("the log says %q not just once:\n%s", line, w.output)
		}
	}

	w.putBack(backup)
	said, code := w.command("restore", filepath.Join(w.dir, "data"), "--next-user-id", "50")
	for _, want := range []string{"2 sessions have ended", "new users get ids above 49", "bans are those of the backup", "Repeat its bans and erasures"} {
		if code != 0 || !strings.Contains(said, want) {
			t.Errorf("restore: exit code %d, got\n%s\nwant %q", code, said, want)
		}
	}
	w.serve()
	for name, token := range map[string]string{"alice": alice, "bob": bob} {
		w.want(name+" after the restore", w.call("GET", "/api/v1/user/profile", token, ""), http.StatusUnauthorized, "token_revoked")
	}
	if id := w.userID(w.login("alice")); id != 1 {
		t.Errorf("alice is user %d after the restore, want 1", id)
	}
	if id := w.userID(w.login("dave")); id != 50 {
		t.Errorf("dave is user %d, want 50: no id that was given is given again", id)
	}
	if strings.Contains(w.output.String(), "IS A COPY") {
		t.Errorf("the restored folder is called a copy:\n%s", w.output)
	}
}

// awaitNextSecond waits for tokens with a later iat.
func (w *world) awaitNextSecond() {
	w.t.Helper()
	now := time.Now().Unix()
	eventually(w.t, 10*time.Second, func() bool { return time.Now().Unix() > now })
}

// TestATokenOfABackendSpeaksForNobodyElseAfterTheFolderWasCopiedBack is accept_foreign, and a backup that is put back without
// `wxgate restore`: bob, user 2 of the backend, came over after it, and carol gets his id. His token names no openid.
func TestATokenOfABackendSpeaksForNobodyElseAfterTheFolderWasCopiedBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.writeConfig("authn: { accept_foreign: true }\n")
	w.serve()
	w.importUser(1, "oAlice")
	mint := func(sub int) string {
		now := time.Now()
		return signedByBackend(fmt.Sprintf(`{"sub":%d,"iat":%d,"exp":%d}`, sub, now.Unix(), now.Add(time.Hour).Unix()))
	}
	w.stop(t)
	backup := filepath.Join(w.dir, "backup")
	if err := os.CopyFS(backup, os.DirFS(filepath.Join(w.dir, "data"))); err != nil {
		t.Fatal(err)
	}
	w.serve()
	w.importUser(2, "oBob")
	alice, bob := mint(1), mint(2)
	w.want("bob before", w.call("GET", "/api/v1/user/profile", bob, ""), http.StatusOK, "")
	w.kill()

	w.putBack(backup)
	w.serve()
	if carol := w.userID(w.login("carol")); carol != 2 {
		t.Fatalf("carol is user %d, want 2: the backup knows nothing of bob", carol)
	}
	w.want("bob, whose id is carol's", w.call("GET", "/api/v1/user/profile", bob, ""), http.StatusUnauthorized, "token_invalid")
	w.want("a refresh of bob's", w.call("POST", "/api/v1/auth/refresh", bob, ""), http.StatusUnauthorized, "token_invalid")
	w.want("alice's from before", w.call("GET", "/api/v1/user/profile", alice, ""), http.StatusUnauthorized, "token_revoked")
	w.awaitNextSecond()
	w.want("bob's next one", w.call("GET", "/api/v1/user/profile", mint(2), ""), http.StatusUnauthorized, "token_invalid")
	w.want("alice's next one", w.call("GET", "/api/v1/user/profile", mint(1), ""), http.StatusOK, "")
	w.kill()
	w.serve()
	w.want("alice's from before, after another start", w.call("GET", "/api/v1/user/profile", alice, ""), http.StatusUnauthorized, "token_revoked")
}

// importUser imports a user of the existing backend.
func (w *world) importUser(id int, openID string) {
	w.t.Helper()
	_, stderr, code := w.wxgate(fmt.Sprintf(`{"id":%d,"openid":%q}`, id, openID), "users", "import", "-")
	if code != 0 {
		w.t.Fatalf("importing user %d: exit code %d, %s", id, code, stderr)
	}
}

// TestStopsKillsAndHandOversRevokeNobody logs in right before and after each, often in one second.
func TestStopsKillsAndHandOversRevokeNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	var tokens []string
	check := func(what string) {
		t.Helper()
		for range 2 {
			tokens = append(tokens, w.login("alice"))
		}
		for i, token := range tokens {
			w.want(what+", token "+string(rune('a'+i)), w.call("GET", "/api/v1/user/profile", token, ""), http.StatusOK, "")
		}
		tokens = append(tokens, w.login("alice"))
	}
	check("at first")
	for range 2 {
		w.stop(t)
		w.serve()
		check("after a stop")
		w.kill()
		w.serve()
		check("after kill -9")
	}
	if err := w.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() bool { return strings.Count(w.output.String(), `"msg":"serving"`) == 2 })
	check("after a hand-over")
	for _, line := range []string{"IS A COPY", "LOST STATE", "CLOCK"} {
		if strings.Contains(w.output.String(), line) {
			t.Errorf("the log says %s:\n%s", line, w.output)
		}
	}
	w.stop(t) // the successor too
}
