package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// chaosTargetEnv makes the test binary a target that listens there.
const chaosTargetEnv = "WXGATE_CHAOS_TARGET"

// chaosID names a request, so that targets can count how often it was executed.
const chaosID = "X-Test-Id"

// serveChaosTarget answers every request after 2 ms; POST /mood/slow and /mood/failing change that. It writes each POST
// down before it answers, in a file that survives it.
func serveChaosTarget(address, file string) int {
	log, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var mood atomic.Value
	mood.Store("well")
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if now, found := strings.CutPrefix(r.URL.Path, "/mood/"); found {
			mood.Store(now)
			return
		}
		if r.Method == http.MethodPost {
			fmt.Fprintln(log, r.Header.Get(chaosID))
		}
		switch mood.Load() {
		case "slow":
			<-time.After(2 * time.Second)
		case "failing":
			w.WriteHeader(http.StatusInternalServerError)
			return
		default:
			<-time.After(2 * time.Millisecond)
		}
		_, _ = io.WriteString(w, "done")
	})}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	return 1
}

// chaosTarget is a service process that is killed, frozen, slowed and made to fail.
type chaosTarget struct {
	address string
	log     string // the file of its POSTs
	cmd     *exec.Cmd
}

func newChaosTarget(t *testing.T, log string) *chaosTarget {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &chaosTarget{address: ln.Addr().String(), log: log}
	_ = ln.Close()
	c.start(t)
	t.Cleanup(c.kill)
	return c
}

// start starts the process and waits until it answers.
func (c *chaosTarget) start(t *testing.T) {
	t.Helper()
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), chaosTargetEnv+"="+c.address, chaosTargetEnv+"_LOG="+c.log)
	c.cmd.Stderr = t.Output()
	if err := c.cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	eventually(t, 60*time.Second, func() bool { return c.become("well") == nil })
}

// become changes how the target answers.
func (c *chaosTarget) become(mood string) error {
	client := http.Client{Timeout: time.Second}
	resp, err := client.Post("http://"+c.address+"/mood/"+mood, "", nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (c *chaosTarget) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

func (c *chaosTarget) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Error(err)
	}
}

// chaosFaults are what can happen to a target.
func chaosFaults() []string { return []string{"killed", "frozen", "slow", "failing", "well"} }

// suffer makes a fault happen.
func (c *chaosTarget) suffer(t *testing.T, fault string) {
	t.Helper()
	switch fault {
	case "killed":
		c.kill()
	case "frozen":
		c.signal(t, syscall.SIGSTOP)
	default:
		if err := c.become(fault); err != nil {
			t.Errorf("%s becoming %s: %v", c.address, fault, err)
		}
	}
}

// recover ends a fault and waits until the target answers well.
func (c *chaosTarget) recover(t *testing.T, fault string) {
	t.Helper()
	switch fault {
	case "killed":
		c.start(t)
	case "frozen":
		c.signal(t, syscall.SIGCONT)
	}
	eventually(t, 60*time.Second, func() bool { return c.become("well") == nil })
}
