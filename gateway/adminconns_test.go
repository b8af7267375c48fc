package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxgate/upstream/upstreamtest"
)

// adminSocket is a gateway with its admin listener on a socket.
func adminSocket(t *testing.T, change func(*Config)) (e *edge, admin string) {
	t.Helper()
	e = newEdge(t, upstreamtest.Echo(t).URL, change)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.ServeAdmin(ln) }()
	t.Cleanup(func() {
		_ = e.admin.server.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if n := e.admin.conns.count(); n != 0 {
			t.Errorf("%d admin connections are counted after the end, want none", n)
		}
	})
	return e, ln.Addr().String()
}

// probing is a client that comes anew with each request.
func probing() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
}

// TestIdleAdminConnectionsKeepNobodyOut: 1,100 of them took every descriptor.
func TestIdleAdminConnectionsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	e, admin := adminSocket(t, nil)
	most := DefaultConfig().Server.Connections.Admin
	for i := range 1100 {
		conn, err := net.Dial("tcp", admin)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if i%2 == 0 {
			_, _ = io.WriteString(conn, "GET /metr") // half a request is none
		}
		if n := e.admin.conns.count(); n > most {
			t.Fatalf("%d admin connections are open, want %d at most", n, most)
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		resp, err := probing().Get("http://" + admin + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: got %d, want 200", path, resp.StatusCode)
		}
		if path == "/metrics" && !strings.Contains(string(body), `wxgate_admin_connections_refused_total{which="idle"} 10`) {
			t.Error("the connections that gave way are not counted")
		}
	}
}

// TestARequestThatIsBeingAnsweredKeepsItsAdminConnection: only those that wait give way, and when none waits a new one does.
func TestARequestThatIsBeingAnsweredKeepsItsAdminConnection(t *testing.T) {
	t.Parallel()
	e, admin := adminSocket(t, func(cfg *Config) { cfg.Server.Connections.Admin = 4 })
	var importing []net.Conn
	for range 4 {
		conn, err := net.Dial("tcp", admin)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, "POST /api/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 3\r\n\r\n{")
		importing = append(importing, conn)
	}
	answering := func() (n int) {
		e.admin.conns.mu.Lock()
		defer e.admin.conns.mu.Unlock()
		for c := range e.admin.conns.open {
			if c.answering {
				n++
			}
		}
		return n
	}
	eventually(t, "four are being answered", func() bool { return answering() == 4 })
	fifth, err := net.Dial("tcp", admin)
	if err != nil {
		t.Fatal(err)
	}
	defer fifth.Close()
	_ = fifth.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fifth.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a fifth while four are being answered: got %v, want its end", err)
	}
	for _, conn := range importing {
		_, _ = io.WriteString(conn, "}\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("an import that had begun: %v", err)
		}
		_ = resp.Body.Close()
	}
	resp, err := probing().Get("http://" + admin + "/livez")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("after them: %v %v", resp, err)
	}
	_ = resp.Body.Close()
}
