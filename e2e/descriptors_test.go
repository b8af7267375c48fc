package e2e

import (
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestAShortageOfDescriptorsIsSurvived gives the gateway 256 descriptors and 1,000 connections.
func TestAShortageOfDescriptorsIsSurvived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limited := exec.Command("sh", "-c", `ulimit -n 256 && exec "$0" serve -c "$1"`, binary, w.config)
	w.process = startCommand(t, limited)
	w.process.waitServing(t)
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
	eventually(t, 5*time.Second, func() bool {
		got, err := w.try("GET", "/api/v1/recipes", token, "")
		return err == nil && got.status == http.StatusOK
	})
	t.Logf("it served again after %v", time.Since(start))
	w.login("bob")
}
