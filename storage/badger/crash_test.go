package badger

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const dirEnv = "WXGATE_TEST_DIR"

// childLogsIn logs new and known users in without end, from 16 callers, and prints each openid and id that was acknowledged.
func childLogsIn() {
	s, err := Open(configIn(os.Getenv(dirEnv)), prometheus.NewRegistry(), quiet(), time.Now)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	acks := make(chan string)
	for caller := range 16 {
		go func() {
			for i := 0; ; i++ {
				openID := fmt.Sprintf("o-%d-%d", caller, rand.N(10_000))
				in, err := s.Login(context.Background(), loginAs(openID, fmt.Sprintf("s-%d-%d-%d", os.Getpid(), caller, i)))
				if err != nil {
					acks <- "error " + err.Error()
					continue
				}
				acks <- fmt.Sprint(openID, " ", in.User.ID)
			}
		}()
	}
	for ack := range acks {
		fmt.Println(ack)
	}
}

// child is the test binary running again to do one thing on one folder.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner // what it prints
}

// newChild starts the child of that name; it is killed with the test at the latest.
func newChild(t *testing.T, name, dir string) *child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+name, dirEnv+"="+dir,
		"GORACE=atexit_sleep_ms=0") // a child under the race detector sleeps for a second at its end otherwise
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	return &child{cmd: cmd, lines: bufio.NewScanner(out)}
}

// kill is kill -9.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

func TestWhatWasAcknowledgedSurvivesKill(t *testing.T) {
	t.Parallel()
	dir, idOf := t.TempDir(), map[string]int64{}
	for range 8 {
		loginsUntilKilled(t, dir, 1+rand.N(1000), idOf)
		began := time.Now()
		s := openIn(t, dir)
		t.Logf("%d users, reopened in %s", len(idOf), time.Since(began).Round(time.Millisecond))
		wantUsers(t, s, idOf)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// loginsUntilKilled lets a child log in, kills it after so many acknowledged logins, and notes what those said.
func loginsUntilKilled(t *testing.T, dir string, logins int, idOf map[string]int64) {
	t.Helper()
	c := newChild(t, "logs-in", dir)
	for n := 0; c.lines.Scan(); n++ {
		if n == logins {
			_ = c.cmd.Process.Kill() // what the child printed before is still read
		}
		openID, number, _ := strings.Cut(c.lines.Text(), " ")
		id, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			if n > logins { // a line that the kill has cut
				break
			}
			t.Fatalf("child: %s", c.lines.Text())
		}
		if known, ok := idOf[openID]; ok && known != id {
			t.Fatalf("%s: got id %d, want %d as before", openID, id, known)
		}
		idOf[openID] = id
	}
	c.kill()
}

func wantUsers(t *testing.T, s *Store, idOf map[string]int64) {
	t.Helper()
	seen := map[int64]string{}
	for openID, id := range idOf {
		u, err := s.User(t.Context(), id)
		if err != nil || u.OpenID != openID {
			t.Fatalf("user %d: got %q, %v; want %q", id, u.OpenID, err, openID)
		}
		if other, ok := seen[id]; ok {
			t.Fatalf("id %d: got %s and %s", id, openID, other)
		}
		seen[id] = openID
	}
}
