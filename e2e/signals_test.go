//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pids are the processes that run with the configuration of w, the oldest first.
func (w *world) pids() (pids []int) {
	w.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, file := range all {
		command, err := os.ReadFile(file)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && bytes.Contains(command, []byte(w.config)) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// killAll ends whatever a failed test has left behind.
func (w *world) killAll() {
	for _, pid := range w.pids() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// ended waits for the end of the process and returns its exit code. Nothing of it may be left.
func (w *world) ended() int {
	w.t.Helper()
	select {
	case <-w.exited:
	case <-time.After(60 * time.Second):
		w.t.Fatalf("it has not ended; left are %v:\n%s", w.pids(), w.output)
	}
	eventually(w.t, 60*time.Second, func() bool { return len(w.pids()) == 0 })
	return w.cmd.ProcessState.ExitCode()
}

// newHerd is a world that serves, whose processes all end with the test.
func newHerd(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.serve()
	t.Cleanup(w.killAll)
	return w
}

// holdWhoami makes the service keep each request for /whoami until release is closed; arrived is told of each.
func (w *world) holdWhoami() (arrived <-chan struct{}, release chan<- struct{}) {
	came, freed := make(chan struct{}, 8), make(chan struct{})
	inner := w.service.Config.Handler
	w.service.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/whoami" {
			came <- struct{}{}
			<-freed
		}
		inner.ServeHTTP(rw, r)
	})
	return came, freed
}

// begin sends a request whose answer comes later.
func (w *world) begin(path string) <-chan answer {
	answered := make(chan answer, 1)
	go func() {
		got, _ := w.try("GET", path, "", "")
		answered <- got
	}()
	return answered
}

// TestSignalsWhileItDrainsDoNotCutTheDrain stops a gateway with a request under way. systemd may send SIGHUP right after
// SIGTERM (SendSIGHUP=), and an operator may restart once too often.
func TestSignalsWhileItDrainsDoNotCutTheDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arrived, release := w.holdWhoami()
	w.serve()
	t.Cleanup(w.killAll)
	answered := w.begin("/whoami")
	<-arrived
	w.signal(syscall.SIGTERM)
	w.waitSays(`"msg":"draining"`, 1)
	w.signal(syscall.SIGHUP)
	w.signal(syscall.SIGUSR2)
	close(release)
	w.want("the request under way", <-answered, http.StatusOK, "")
	if code := w.ended(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
}

// TestSignalsReachTheSuccessorWhileItsPredecessorDrains has a request under way in the first process while the second one
// reloads, is replaced by a third, and that one is told to stop: all by signals to the first.
func TestSignalsReachTheSuccessorWhileItsPredecessorDrains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arrived, release := w.holdWhoami()
	w.serve()
	t.Cleanup(w.killAll)
	answered := w.begin("/whoami")
	<-arrived
	w.signal(syscall.SIGUSR2)
	w.waitSays("handing the clients over", 1)
	w.writeConfig("  - { path: /new, auth: none, respond: { status: 200, body: new } }\n")
	w.signal(syscall.SIGHUP)
	eventually(t, 60*time.Second, func() bool { return w.call("GET", "/new", "", "").body == "new" })
	w.signal(syscall.SIGUSR2)
	w.waitSays(`"msg":"serving"`, 3)
	w.waitSays(`"msg":"stopped"`, 1)
	if w.gone() {
		t.Fatalf("it has ended by a signal that was not for it:\n%s", w.output)
	}
	w.signal(syscall.SIGTERM)
	w.waitSays(`"msg":"stopped"`, 2)
	close(release)
	w.want("the request under way", <-answered, http.StatusOK, "")
	if code := w.ended(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
}

// TestAStormOfReloads sends SIGHUP a hundred times while files change and requests go on.
func TestAStormOfReloads(t *testing.T) {
	t.Parallel()
	w := newHerd(t)
	tr := w.traffic(2)
	for i := range 100 {
		w.exchangeConfig(fmt.Sprintf("  - { path: /v%d, auth: none, respond: { status: 200, body: \"%d\" } }\n", i, i))
		w.signal(syscall.SIGHUP)
	}
	eventually(t, 60*time.Second, func() bool { return w.call("GET", "/v99", "", "").body == "99" })
	w.want("the routes before", w.call("GET", "/v98", "", ""), http.StatusNotFound, "no_route")
	t.Logf("%d requests, %d reloads", tr.end(), w.says(`"msg":"reloaded"`))
}

// TestAStormOfRestarts sends SIGUSR2 twenty times to the process that was started, and SIGHUP between them. None of the
// signals may end it, and whoever serves in the end is told to stop through it.
func TestAStormOfRestarts(t *testing.T) {
	t.Parallel()
	w := newHerd(t)
	tr := w.traffic(2)
	for i := range 20 {
		w.exchangeConfig(fmt.Sprintf("  - { path: /v%d, auth: none, respond: { status: 200, body: \"%d\" } }\n", i, i))
		w.signal(syscall.SIGUSR2)
		w.signal(syscall.SIGHUP)
		sent := tr.sent.Load()
		eventually(t, 60*time.Second, func() bool { return w.gone() || tr.sent.Load() > sent+10 })
	}
	w.waitSays(`"msg":"stopped"`, 1)
	eventually(t, 60*time.Second, func() bool { return w.call("GET", "/v19", "", "").body == "19" })
	eventually(t, 60*time.Second, func() bool { // nobody drains any more, and nobody starts
		return w.says(`"msg":"serving"`) == w.says(`"msg":"stopped"`)+1 &&
			w.says("starting a successor") == w.says("handing the clients over")+w.says("no hand-over")
	})
	t.Logf("%d requests, %d restarts", tr.end(), w.says("handing the clients over"))
	w.signal(syscall.SIGTERM)
	if code := w.ended(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
}

// TestAStopDuringAHandOverEndsEverybody stops the process at several moments of a restart.
func TestAStopDuringAHandOverEndsEverybody(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"starting a successor", `"msg":"serving"`, "handing the clients over"} {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(fmt.Sprintf("%s/%v", strings.Trim(moment, `"`), sig), func(t *testing.T) {
				t.Parallel()
				w := newHerd(t)
				before := w.says(moment)
				w.signal(syscall.SIGUSR2)
				w.waitSays(moment, before+1)
				w.signal(sig)
				if code := w.ended(); code != 0 {
					t.Errorf("exit code %d:\n%s", code, w.output)
				}
			})
		}
	}
}

// TestTheEndOfTheOneWhoServesIsTheEnd kills the successor: the process that was started ends with its code, so that a
// supervisor starts it again.
func TestTheEndOfTheOneWhoServesIsTheEnd(t *testing.T) {
	t.Parallel()
	w := newHerd(t)
	w.restart()
	pids := w.pids()
	if len(pids) != 2 {
		t.Fatalf("the processes are %v, want two", pids)
	}
	serving := pids[0] + pids[1] - w.cmd.Process.Pid
	if err := syscall.Kill(serving, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := w.ended(); code != 128+int(syscall.SIGKILL) {
		t.Errorf("exit code %d, want 137:\n%s", code, w.output)
	}
}

// TestAProgramThatCannotRunIsNoSuccessor exchanges the program file for others.
func TestAProgramThatCannotRunIsNoSuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	program := filepath.Join(w.dir, "wxgate")
	whole, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	exchange := func(text []byte, mode os.FileMode) {
		err := os.WriteFile(program+".new", text, mode)
		if err == nil {
			err = os.Rename(program+".new", program)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	exchange(whole, 0o700)
	w.process = startCommand(t, exec.Command(program, "serve", "-c", w.config))
	t.Cleanup(w.killAll)
	w.process.waitServing(t)
	token := w.login("alice")
	for i, become := range []func(){
		func() { exchange([]byte("#!/bin/sh\nexit 3\n"), 0o700) },
		func() { exchange(whole[:len(whole)/2], 0o700) },
		func() { exchange([]byte("rubbish"), 0o700) },
		func() { exchange(whole, 0o600) },
		func() { _ = os.Remove(program) },
	} {
		become()
		w.signal(syscall.SIGUSR2)
		w.waitSays("no hand-over", i+1)
		if i == 0 && !strings.Contains(w.output.String(), "or the program is not wxgate; "+program+": exit status 3") {
			t.Errorf("the log does not say how %s ended:\n%s", program, w.output)
		}
		w.want("with a program that cannot run", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
		w.login("bob")
	}
	exchange(whole, 0o700)
	w.signal(syscall.SIGUSR2)
	w.waitSays(`"msg":"stopped"`, 1)
	w.want("with the new one", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	w.signal(syscall.SIGTERM)
	if code := w.ended(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
}
