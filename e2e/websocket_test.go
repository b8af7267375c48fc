package e2e

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script is a running Node program.
type script struct {
	*lockedBuffer
	exited chan struct{}
}

// node runs one of the programs of testdata/websocket.
func node(t *testing.T, dir, name string, args ...string) *script {
	t.Helper()
	s := &script{new(lockedBuffer), make(chan struct{})}
	cmd := exec.Command("node", append([]string{filepath.Join(dir, name)}, args...)...)
	cmd.Stdout, cmd.Stderr = s, s
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs Node: %v", err)
	}
	go func() { _ = cmd.Wait(); close(s.exited) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-s.exited })
	return s
}

// says waits until the program has printed a line that begins so, and returns what follows in it.
func (s *script) says(t *testing.T, begin string, within time.Duration) string {
	t.Helper()
	var rest string
	eventually(t, within, func() bool {
		for line := range strings.Lines(s.String()) {
			if after, found := strings.CutPrefix(line, begin); found && strings.HasSuffix(line, "\n") {
				rest = strings.TrimSpace(after)
				return true
			}
		}
		return false
	})
	return rest
}

// installed copies the programs and installs what they need, at the versions of package-lock.json.
func installed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/websocket")); err != nil {
		t.Fatal(err)
	}
	npm := exec.Command("npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = dir
	if output, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("this test needs npm and a way to its registry: %v\n%s", err, output)
	}
	return dir
}

// TestARealWebSocketGoesThroughAndEndsAsItShould stands between a server and clients of the npm package ws.
func TestARealWebSocketGoesThroughAndEndsAsItShould(t *testing.T) {
	t.Parallel()
	dir := installed(t)
	server := node(t, dir, "server.js")
	port := server.says(t, "port ", 20*time.Second)
	w := newWorld(t)
	w.service.Close()
	w.service.URL = "http://127.0.0.1:" + port
	w.writeConfig("  - { path: /open, upstream: recipes, auth: none }\n")
	w.serve()
	url := strings.Replace(w.url, "http://", "ws://", 1)
	alice := w.login("alice")
	first, other, nobody := node(t, dir, "client.js", url+"/api/chat", alice), node(t, dir, "client.js", url+"/api/chat", w.login("bob")), node(t, dir, "client.js", url+"/open")
	for who, s := range map[string]*script{"1": first, "2": other, "nobody": nobody} {
		if got := s.says(t, "hello ", 20*time.Second); got != who {
			t.Errorf("the service took the client for %q, want %q", got, who)
		}
		s.says(t, "ready", 20*time.Second)
		if text := s.String(); strings.Contains(text, "changed") || strings.Contains(text, "error") {
			t.Errorf("the client of %s says %s", who, text)
		}
	}
	if got := node(t, dir, "client.js", url+"/api/chat").says(t, "refused ", 20*time.Second); got != "401" {
		t.Errorf("without a token the handshake is answered %s, want 401", got)
	}
	w.want("logout", w.call("POST", "/api/v1/auth/logout", alice, ""), http.StatusOK, "")
	if got := first.says(t, "closed ", time.Second); got != "1008" {
		t.Errorf("after logout the WebSocket closed with %s, want 1008", got)
	}
	if got := server.says(t, "closed ", time.Second); got != "1008" {
		t.Errorf("at the service it closed with %s, want 1008", got)
	}
	if strings.Contains(other.String()+nobody.String(), "closed") {
		t.Error("the logout of one ended the WebSocket of another")
	}
	if code := w.stop(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
	for _, s := range []*script{other, nobody} {
		if got := s.says(t, "closed ", 5*time.Second); got != "1001" {
			t.Errorf("when the gateway stopped, a WebSocket closed with %s, want 1001", got)
		}
	}
}

// acceptOf is the Sec-WebSocket-Accept of a key (RFC 6455 §4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
