package e2e

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxgate/storage/mysql/mysqltest"
)

// secondDatabase makes an empty database wxgate2 beside the first.
func secondDatabase(t *testing.T, db *sql.DB) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE wxgate2; GRANT ALL ON wxgate2.* TO wx@localhost"); err != nil {
		t.Fatal(err)
	}
}

// besideABackup serves from an empty database, beside a backup of another one with one user.
func besideABackup(t *testing.T) (server *mysqltest.Server, w *world, file string) {
	t.Helper()
	server, dsn := newDatabase(t)
	secondDatabase(t, server.DB)
	w = operator(t)
	w.stop(t)
	w.onDatabase(dsn)
	w.serve()
	w.login("alice")
	file = filepath.Join(w.dir, "one.wxbackup")
	w.does([]string{"backup", file}, "has 1 user as of")
	w.stop(t)
	w.rewrite("/wxgate\"", "/wxgate2\"")
	w.serve()
	return server, w, file
}

// TestAGatewayThatWasFrozenDuringARestoreEnds and does nothing to the restored data: it counted as killed, so that the restore
// was not refused.
func TestAGatewayThatWasFrozenDuringARestoreEnds(t *testing.T) {
	t.Parallel()
	server, w, file := besideABackup(t)
	w.signal(syscall.SIGSTOP)
	const passes = "DELETE FROM wxgate2.wxgate_temporary WHERE name LIKE 'gateway %'" // 90 s
	if _, err := server.DB.ExecContext(t.Context(), passes); err != nil {
		t.Fatal(err)
	}
	if said, code := w.command("restore", file, "-c", w.config); code != 0 {
		t.Fatalf("a restore: exit code %d, got\n%s", code, said)
	}
	other := w.beside()
	w.signal(syscall.SIGCONT)
	eventually(t, 60*time.Second, func() bool {
		if _, got, err := w.tryLogin("mallory"); err == nil && got.status != http.StatusServiceUnavailable {
			t.Errorf("the gateway that was frozen logs in: %d %s", got.status, got.body)
		}
		select {
		case <-w.exited:
			return true
		default:
			return false
		}
	})
	if said := w.output.String(); w.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said, "another process has filled this store with other data") {
		t.Errorf("exit code %d, got\n%s\nwant 1, and why", w.cmd.ProcessState.ExitCode(), said)
	}
	for id, person := range []string{"alice", "bob"} {
		if got := other.userID(other.login(person)); got != id+1 {
			t.Errorf("%s is user %d after the restore, want %d", person, got, id+1)
		}
	}
}

// TestADatabaseIsFilledByOneProcessAtATime freezes a restore in the midst: another one is refused while it counts, takes over
// after that, and ends the first, which writes nothing any more.
func TestADatabaseIsFilledByOneProcessAtATime(t *testing.T) {
	t.Parallel()
	_, dsn := newDatabase(t)
	w := operator(t)
	const people = 12_000
	users := filepath.Join(w.dir, "users.jsonl")
	if err := os.WriteFile(users, userFile(people), 0o600); err != nil {
		t.Fatal(err)
	}
	w.does([]string{"users", "import", users}, fmt.Sprintf("imported %d, failed 0", people))
	file := filepath.Join(w.dir, "all.wxbackup")
	w.does([]string{"backup", file}, fmt.Sprintf("has %d users as of", people))
	w.stop(t)
	folder := w.saveConfig("folder.yaml")
	w.onDatabase(dsn)
	key, err := os.ReadFile(filepath.Join(w.dir, "data", "storage.key"))
	if err != nil {
		t.Fatal(err)
	}
	w.rewrite(storageKey, strings.TrimSpace(string(key)))

	first := start(t, []string{"restore", file, "-c", w.config})
	inDatabase := mysqlCount{t, dsn}
	eventually(t, 60*time.Second, func() bool {
		select {
		case <-first.exited:
			t.Fatalf("the restore ended: %s", first.output)
		default:
		}
		return inDatabase.users() > 2000
	})
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if n := inDatabase.users(); n >= people {
		t.Fatalf("%d users were restored before it was frozen", n)
	}
	const refusal = "is filling this store: wait for its end"
	if said, code := w.command("restore", file, "-c", w.config); code != 1 || !strings.Contains(said, refusal) {
		t.Errorf("another restore at once: exit code %d, got\n%s", code, said)
	}
	if _, said, code := w.copied(folder, w.config); code != 1 || !strings.Contains(said, refusal) {
		t.Errorf("a copy at once: exit code %d, got\n%s", code, said)
	}
	var said string
	eventually(t, 180*time.Second, func() bool {
		var code int
		said, code = w.command("restore", file, "-c", w.config)
		return code == 0
	})
	if !strings.Contains(said, "is as it was at") {
		t.Errorf("the restore that took over said\n%s", said)
	}
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	<-first.exited
	if code := first.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("the restore that was frozen: exit code %d, want 1:\n%s", code, first.output)
	}
	w.serve()
	if id := w.userID(w.login("somebody new")); id != people+1 {
		t.Errorf("a new user is %d, want %d", id, people+1)
	}
}
