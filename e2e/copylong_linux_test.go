package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestManyUsersAreCopiedIntoADatabase copies WXGATE_COPY users, each with a session_key and a session, from a folder into
// MariaDB under another encryption key, and copies them again: the figures of docs/storage.md.
func TestManyUsersAreCopiedIntoADatabase(t *testing.T) {
	users, _ := strconv.Atoi(os.Getenv("WXGATE_COPY"))
	if users == 0 {
		t.Skip("make long WHAT=copy")
	}
	_, dsn := newDatabase(t)
	w := operatorOn(t, users)
	token := w.login("alice")
	w.stop(t)
	folder := w.saveConfig("folder.yaml")
	w.onDatabase(dsn)
	for _, what := range []string{"first", "again"} {
		cmd := exec.CommandContext(t.Context(), binary, "store", "copy", "--from", folder, "--to", w.config)
		var out strings.Builder
		cmd.Env, cmd.Stdout, cmd.Stderr = []string{}, &out, &out
		began := time.Now()
		memory, _, err := runWatched(t, cmd, os.Getpid())
		took := time.Since(began)
		if text := fmt.Sprintf("copied %d users, %d secrets, %d sessions", users+1, users+1, users+1); err != nil || !strings.Contains(out.String(), text) {
			t.Fatalf("%s: %v, want %q in\n%s", what, err, text, out.String())
		}
		t.Logf("%s: %d users in %.1f s, %.1f s of them on a processor, with %d MB", what, users, took.Seconds(),
			(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), memory)
	}
	w.serve()
	w.want("a token from before", w.call("GET", "/whoami", token, ""), http.StatusOK, "")
	if id, _, _ := w.tryLogin("alice"); id != int64(users+1) {
		t.Errorf("alice is %d, want %d", id, users+1)
	}
	w.does([]string{"store", "reseal", "--json"}, fmt.Sprintf(`"seen":%d,"sealed":0,"unreadable":0`, users+1)) // each opens with the key of the database
}
