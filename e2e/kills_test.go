//go:build linux

package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newSupervised is a world with addresses that a second start would meet again, on a loopback address that no other test
// has. Its processes are started as a supervisor does it: again, as soon as the one that it knows has ended.
func newSupervised(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.rewrite(`listen: "127.0.0.1:0", admin: "127.0.0.1:0"`, fmt.Sprintf("listen: %q, admin: %q", ownAddress(t), ownAddress(t)))
	t.Cleanup(w.killAll)
	w.startAgain()
	return w
}

// ownAddress is a free port of a loopback address of the test's own.
func ownAddress(t *testing.T) string {
	t.Helper()
	pid := os.Getpid()
	ln, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), pid>>8&255, 1+pid&127))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// killOne kills the process with that pid.
func (w *world) killOne(pid int) {
	w.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		w.t.Fatalf("killing %d: %v", pid, err)
	}
}

// startAgain starts a gateway as a supervisor does: its end is that of its process, whoever still writes to its log.
func (w *world) startAgain() {
	w.t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "-c", w.config)
	cmd.Stdout, cmd.Stderr = writer, writer
	w.process = startCommand(w.t, cmd)
	_ = writer.Close()
	log := w.output
	go func() {
		_, _ = io.Copy(log, reader)
		_ = reader.Close()
	}()
	w.waitServing(w.t)
}

// TestASuccessorEndsWithTheProcessInFrontOfIt kills the process that the supervisor knows after a hand-over, and starts
// another one at once. It used to meet "address already in use".
func TestASuccessorEndsWithTheProcessInFrontOfIt(t *testing.T) {
	t.Parallel()
	w := newSupervised(t)
	token := w.login("alice")
	w.restart()
	orphan, _ := strconv.Atoi(w.storeOwner())
	if orphan == w.cmd.Process.Pid {
		t.Fatal("there was no hand-over")
	}
	w.kill()
	w.startAgain()
	w.want("after the kill", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	w.login("bob")
	eventually(t, 60*time.Second, func() bool { return slices.Equal(w.pids(), []int{w.cmd.Process.Pid}) })
}

// TestASuccessorThatIsKilledWhileItTakesClientsOverEndsAll has a request under way in the process that was started, so that
// it drains while nobody serves.
func TestASuccessorThatIsKilledWhileItTakesClientsOverEndsAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arrived, release := w.holdWhoami()
	t.Cleanup(func() { close(release) })
	w.rewrite(`listen: "127.0.0.1:0", admin: "127.0.0.1:0"`, fmt.Sprintf("listen: %q, admin: %q", ownAddress(t), ownAddress(t)))
	w.startAgain()
	t.Cleanup(w.killAll)
	w.begin("/whoami")
	<-arrived
	w.signal(syscall.SIGUSR2)
	w.waitSays("handing the clients over", 1)
	successor, err := strconv.Atoi(w.storeOwner())
	if err != nil || successor == w.cmd.Process.Pid {
		t.Fatalf("the store is with %d, %v", successor, err)
	}
	w.killOne(successor)
	if code := w.ended(); code != 128+int(syscall.SIGKILL) {
		t.Errorf("exit code %d, want 137:\n%s", code, w.output)
	}
	w.startAgain()
	w.login("alice")
}

// TestASuccessorThatDrainsWhenTheProcessInFrontIsKilledEndsSoon has a request under way in a successor that was told to
// stop, so that it would drain for half a minute.
func TestASuccessorThatDrainsWhenTheProcessInFrontIsKilledEndsSoon(t *testing.T) {
	t.Parallel()
	w := newSupervised(t)
	w.restart()
	arrived, release := w.holdWhoami()
	t.Cleanup(func() { close(release) })
	w.begin("/whoami")
	<-arrived
	draining := w.says(`"msg":"draining"`)
	w.signal(syscall.SIGTERM)
	w.waitSays(`"msg":"draining"`, draining+1)
	w.kill()
	w.startAgain()
	w.login("alice")
}

// TestWhateverIsKilledWhenAStartWorks hands over, and kills one of the processes at a random moment of it: 200 times with
// WXGATE_KILLS=200. Then somebody serves, or the process in front has ended and another start serves. No acknowledged user
// is lost, and nobody is left.
func TestWhateverIsKilledWhenAStartWorks(t *testing.T) {
	t.Parallel()
	rounds, err := strconv.Atoi(os.Getenv("WXGATE_KILLS"))
	if err != nil {
		rounds = 10 // the search is make long WHAT=kills; see docs/reload.md for what it has found
	}
	w := newSupervised(t)
	outputs := []fmt.Stringer{w.output} // a successor writes to that of the process before
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%v are left; the logs of the last starts:\n%v", w.pids(), outputs[max(0, len(outputs)-3):])
		}
	})
	token, starts := w.login("alice"), 0
	startAgain := func() {
		starts++
		defer func() { outputs = append(outputs, w.output) }()
		w.startAgain()
	}
	for round := range rounds {
		if w.gone() { // the one before was answered by a successor that was about to end
			startAgain()
		}
		_ = w.cmd.Process.Signal(syscall.SIGUSR2)
		after := time.NewTimer(time.Duration(rand.IntN(300)) * time.Millisecond)
		<-after.C
		pids := w.pids()
		if len(pids) == 0 { // the kill before was seen late: all that is left is to start again
			eventually(t, 60*time.Second, w.gone)
			continue
		}
		victim := pids[rand.IntN(len(pids))]
		_ = syscall.Kill(victim, syscall.SIGKILL) // it may have ended by itself
		eventually(t, 60*time.Second, func() bool {
			if w.gone() {
				startAgain()
			}
			got, err := w.try("GET", "/api/v1/recipes", token, "")
			return err == nil && got.status == http.StatusOK && w.answersLogins(round)
		})
		if t.Failed() {
			t.Fatalf("round %d, %d of %v killed", round, victim, pids)
		}
	}
	t.Logf("%d kills, %d starts", rounds, starts)
	eventually(t, 60*time.Second, func() bool { return w.gone() || len(w.pids()) <= 2 })
	if !w.gone() {
		w.stop(t)
	}
	eventually(t, 60*time.Second, func() bool { return len(w.pids()) == 0 })
}

// answersLogins reports whether somebody has the store.
func (w *world) answersLogins(round int) bool {
	code := w.weChat.IssueCode("round" + strconv.Itoa(round))
	got, err := w.try("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, code))
	return err == nil && got.status == http.StatusOK && strings.Contains(got.body, "access_token")
}
