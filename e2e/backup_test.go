package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestABackupOfARunningGatewayIsRestored is docs/backup.md with the real binary.
func TestABackupOfARunningGatewayIsRestored(t *testing.T) {
	t.Parallel()
	w := operator(t)
	alice := w.login("alice")
	file := filepath.Join(w.dir, "one.wxbackup")
	w.does([]string{"backup", file}, "has 1 user as of")
	if _, said, code := w.wxgate("", "backup", file); code == 0 || !strings.Contains(said, "exists already") {
		t.Errorf("a backup over another: exit code %d, got\n%s", code, said)
	}
	w.login("bob")
	said, code := "", 0
	if said, code = w.command("restore", file, "-c", w.config); code == 0 || !strings.Contains(said, "in use") {
		t.Errorf("a restore into a folder in use: exit code %d, got\n%s", code, said)
	}
	w.stop(t)
	if said, code = w.command("restore", file, "-c", w.config); code == 0 || !strings.Contains(said, "has users already") {
		t.Errorf("a restore into a folder with users: exit code %d, got\n%s", code, said)
	}

	data := filepath.Join(w.dir, "data")
	if err := os.Rename(data, data+".lost"); err != nil {
		t.Fatal(err)
	}
	if said, code = w.command("restore", file, "-c", w.config); code == 0 || !strings.Contains(said, "are sealed with the key whose check is") {
		t.Errorf("a restore without the key: exit code %d, got\n%s", code, said)
	}
	key, err := os.ReadFile(filepath.Join(data+".lost", "storage.key"))
	if err == nil {
		err = os.MkdirAll(data, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(data, "storage.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(w.dir, "cut.wxbackup")
	if err := os.WriteFile(cut, whole[:len(whole)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	if said, code = w.command("restore", cut, "-c", w.config); code == 0 || !strings.Contains(said, "is damaged at byte") {
		t.Errorf("a restore of a file that was cut off: exit code %d, got\n%s", code, said)
	}
	said, code = w.command("restore", file, "-c", w.config, "--next-user-id", "50")
	for _, want := range []string{"1 sessions have ended", "new users get ids above 49", "nobody is banned"} {
		if code != 0 || !strings.Contains(said, want) {
			t.Errorf("restore: exit code %d, got\n%s\nwant %q", code, said, want)
		}
	}
	w.serve()
	w.want("alice, who logged in before", w.call("GET", "/api/v1/user/profile", alice, ""), http.StatusUnauthorized, "token_revoked")
	if id := w.userID(w.login("alice")); id != 1 {
		t.Errorf("alice is user %d after the restore, want 1", id)
	}
	if id := w.userID(w.login("bob")); id != 50 {
		t.Errorf("bob is user %d, want 50: the backup knows nothing of bob", id)
	}
}

// TestBackupsAreMadeWhileServing lets the schedule make one, which a doctor finds and a restore can read.
func TestBackupsAreMadeWhileServing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(w.dir, "backups")
	w.rewrite("storage: { ", "storage: { backup: { every: 24h, dir: "+dir+", keep: 2 }, ")
	w.serve()
	w.waitSays(".wxbackup", 1)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || !strings.HasSuffix(entries[0].Name(), ".wxbackup") {
		t.Fatalf("got %v, %v, want one backup", entries, err)
	}
	if said, _ := w.command("doctor", "-c", w.config); !strings.Contains(said, entries[0].Name()+" is 0s old") {
		t.Errorf("the doctor says\n%s", said)
	}
	w.stop(t)
	w.serve() // none is due
	w.login("alice")
	w.stop(t)
	if entries, err = os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("after another start: got %v, %v, want the same backup", entries, err)
	}
}

// TestARestoreIntoADatabaseThatIsServedIsRefused has a gateway on an empty database, beside which a restore would be lost.
func TestARestoreIntoADatabaseThatIsServedIsRefused(t *testing.T) {
	t.Parallel()
	server, dsn := newDatabase(t)
	if _, err := server.DB.ExecContext(t.Context(), "CREATE DATABASE wxgate2; GRANT ALL ON wxgate2.* TO wx@localhost"); err != nil {
		t.Fatal(err)
	}
	w := operator(t)
	w.stop(t)
	w.onDatabase(dsn)
	w.serve()
	w.login("alice")
	file := filepath.Join(w.dir, "one.wxbackup")
	w.does([]string{"backup", file}, "has 1 user as of")
	w.stop(t)
	w.rewrite("/wxgate\"", "/wxgate2\"")
	w.serve()
	said, code := w.command("restore", file, "-c", w.config)
	if code == 0 || !strings.Contains(said, "a gateway is running on this store, on ") || !strings.Contains(said, "stop every gateway first; if that one was killed, wait ") {
		t.Errorf("beside a gateway: exit code %d, got\n%s", code, said)
	}
	w.stop(t)
	if said, code = w.command("restore", file, "-c", w.config); code != 0 {
		t.Fatalf("after it: exit code %d, got\n%s", code, said)
	}
	w.serve()
	if id := w.userID(w.login("alice")); id != 1 {
		t.Errorf("alice is user %d after the restore, want 1", id)
	}
}
