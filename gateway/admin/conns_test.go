package admin

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/lograte"
	"wxgate/storage"
)

// ready is a store that takes writes.
type ready struct{}

func (ready) Ready(context.Context) error                      { return nil }
func (ready) Reseal(context.Context) (storage.Resealed, error) { return storage.Resealed{}, nil }

func (ready) Snapshot(context.Context, func(storage.Record) error) error { return nil }

// socket is an admin listener without users.
func socket(t *testing.T, maxConns int) (s *Server, address string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s, err := New(maxConns, Deps{
		Authn: new(authn.Authn), Store: ready{}, Errors: answer.NewTable(), Metrics: prometheus.NewRegistry(), Log: log, LimitedLog: lograte.New(log, time.Now), Now: time.Now,
		Credentials: func() Credentials { return Credentials{} }, Draining: func() bool { return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln, nil) }()
	t.Cleanup(func() {
		_ = s.server.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if n := s.conns.count(); n != 0 {
			t.Errorf("%d admin connections are counted after the end, want none", n)
		}
	})
	return s, ln.Addr().String()
}

// probing is a client that comes anew with each request.
func probing() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
}

// TestMetricsAreNotCompressed, though the client asks for gzip as Prometheus does: requests would wait for it.
func TestMetricsAreNotCompressed(t *testing.T) {
	t.Parallel()
	_, address := socket(t, 4)
	resp, err := probing().Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.Uncompressed || resp.StatusCode != http.StatusOK {
		t.Errorf("got %d, compressed: %v; want 200 as it is", resp.StatusCode, resp.Uncompressed)
	}
}

// TestIdleAdminConnectionsKeepNobodyOut: 1,100 of them took every descriptor.
func TestIdleAdminConnectionsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	const most = 32
	s, address := socket(t, most)
	for i := range 1100 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if i%2 == 0 {
			_, _ = io.WriteString(conn, "GET /metr") // half a request is none
		}
		if n := s.conns.count(); n > most {
			t.Fatalf("%d admin connections are open, want %d at most", n, most)
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		resp, err := probing().Get("http://" + address + path)
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
	s, address := socket(t, 4)
	var importing []net.Conn
	for range 4 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, "POST /api/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 3\r\n\r\n{")
		importing = append(importing, conn)
	}
	answering := func() (n int) {
		s.conns.mu.Lock()
		defer s.conns.mu.Unlock()
		for c := range s.conns.open {
			if c.answering {
				n++
			}
		}
		return n
	}
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(10 * time.Second); answering() != 4; <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d are being answered, want 4", answering())
		}
	}
	fifth, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer fifth.Close()
	_ = fifth.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fifth.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a fifth while four are being answered: got %v, want its end", err)
	}
	for _, conn := range importing {
		_, _ = io.WriteString(conn, "]\n") // no user
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("an import that had begun: %v", err)
		}
		_ = resp.Body.Close()
	}
	resp, err := probing().Get("http://" + address + "/livez")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("after them: %v %v", resp, err)
	}
	_ = resp.Body.Close()
}

// crowd is a listener at which clients wait who leave at once, and then nobody ever.
type crowd struct {
	net.Listener
	left int
	at   []time.Time // when each was accepted
}

func (c *crowd) Accept() (net.Conn, error) {
	if c.left--; c.left < 0 {
		return nil, net.ErrClosed
	}
	c.at = append(c.at, time.Now())
	client, ours := net.Pipe()
	_ = client.Close()
	return ours, nil
}

// TestACrowdOfAdminsIsAcceptedOneByOne has the clock of synctest, which stands still while anything runs.
func TestACrowdOfAdminsIsAcceptedOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clients := &crowd{left: 100}
		ln := listener{clients, newConnLimiter(32, prometheus.NewRegistry())}
		for range clients.left {
			if _, err := ln.Accept(); err != nil {
				t.Fatal(err)
			}
		}
		for i, at := range clients.at {
			if got, want := at.Sub(clients.at[0]), time.Duration(i)*acceptPause; got != want {
				t.Fatalf("client %d was accepted after %v, want %v", i, got, want)
			}
		}
	})
}
