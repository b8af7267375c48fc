package e2e

import (
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// serveWithFewDescriptors serves with 256 descriptors.
func (w *world) serveWithFewDescriptors() {
	w.t.Helper()
	limited := exec.Command("sh", "-c", `ulimit -n 256 && exec "$0" serve -c "$1"`, binary, w.config)
	w.process = startCommand(w.t, limited)
	w.process.waitServing(w.t)
}

// TestAShortageOfDescriptorsIsSurvived gives the gateway 256 descriptors and 1,000 connections.
func TestAShortageOfDescriptorsIsSurvived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serveWithFewDescriptors()
	token := w.login("alice")
	var conns []net.Conn
	for range 1000 {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(w.url, "http://"), 5*time.Second)
		if err != nil {
			break // the backlog is full too
		}
		conns = append(conns, conn)
	}
	t.Logf("%d connections were made", len(conns))
	if w.gone() {
		t.Fatalf("wxgate ended:\n%s", w.output)
	}
	if len(conns) < 300 {
		t.Errorf("only %d connections were made, too few to starve it", len(conns))
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	start := time.Now()
	eventually(t, 60*time.Second, func() bool {
		got, err := w.try("GET", "/api/v1/recipes", token, "")
		return err == nil && got.status == http.StatusOK
	})
	t.Logf("it served again after %v", time.Since(start))
	w.login("bob")
}

// TestIdleAdminConnectionsLeaveThePublicListenerAlone gives the gateway 256 descriptors and 1,100 idle connections to its
// admin listener: they took all of them.
func TestIdleAdminConnectionsLeaveThePublicListenerAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serveWithFewDescriptors()
	token := w.login("alice")
	for i := range 1100 {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(w.admin, "http://"), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if i%100 == 0 {
			w.want("beside idle admin connections", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
		}
	}
	w.login("bob")
	resp, err := w.client.Get(w.admin + "/readyz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("readyz: %v %v, want 200", resp, err)
	}
	_ = resp.Body.Close()
	if strings.Contains(w.output.String(), "too many open files") {
		t.Errorf("descriptors ran out:\n%s", w.output)
	}
}

// TestTooFewDescriptorsAreNamedAtTheStart starts with limits under which every connection used to be refused, and none, and
// with one that is low.
func TestTooFewDescriptorsAreNamedAtTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start := func(limit string) *process {
		return startCommand(t, exec.Command("sh", "-c", `ulimit -n "$2" && exec "$0" serve -c "$1"`, binary, w.config, limit))
	}
	for _, limit := range []string{"20", "30", "127"} {
		p := start(limit)
		<-p.exited
		want := "wxgate: the limit of open files is " + limit + ", and wxgate needs 128 or more: raise it with LimitNOFILE="
		if got := p.output.String(); p.cmd.ProcessState.ExitCode() != 1 || !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
			t.Errorf("ulimit -n %s: exit %d, %s; want 1 and %s…", limit, p.cmd.ProcessState.ExitCode(), got, want)
		}
	}
	w.process = start("128")
	w.waitServing(t)
	w.want("with as few as may be", w.call("GET", "/api/v1/recipes", w.login("alice"), ""), http.StatusOK, "")
	if w.stop(t); !strings.Contains(w.output.String(), `"msg":"the limit of open files is low","limit":128`) {
		t.Errorf("no warning of a low limit:\n%s", w.output)
	}
}
