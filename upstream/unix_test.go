//go:build unix

package upstream_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/http1"
)

// socketPath is short enough for a socket, which the folder of a test need not be.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wxgate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// serveOn serves on a Unix socket: who was asked for, and what came.
func serveOn(t *testing.T, ln net.Listener) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "%s %s %d ", r.Host, r.URL.Path, len(body))
		_, _ = w.Write(body)
	}))
	_ = s.Listener.Close()
	s.Listener = ln
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func listenUnix(t *testing.T, path string) net.Listener {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// TestAUnixSocketIsATarget sends requests with and without content over new and kept connections.
func TestAUnixSocketIsATarget(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	serveOn(t, listenUnix(t, path))
	for host, want := range map[string]string{"": "client.example", "client": "client.example", "target": "localhost", "recipes.internal": "recipes.internal"} {
		u := newUpstream(t, "unix:"+path, func(c *upstream.Config) { c.Host = host })
		for _, size := range []int{0, 10, 5 << 20} {
			req := newRequest("POST", "/a")
			req.Host = []byte("client.example")
			setBody(req, strings.NewReader(strings.Repeat("x", size)), size)
			var resp message.Response
			result, err := u.Do(soon(), req, &resp, 0)
			if err != nil || result.Target != "unix:"+path {
				t.Fatalf("%d bytes: %+v, %v", size, result, err)
			}
			body := string(resp.Body)
			for resp.Stream != nil && !errors.Is(err, io.EOF) {
				if err != nil {
					t.Fatal(err)
				}
				var part []byte
				part, err = resp.Stream.Next()
				body += string(part)
			}
			resp.Reset()
			if head := fmt.Sprintf("%s /a %d ", want, size); !strings.HasPrefix(body, head) || len(body) != len(head)+size {
				t.Errorf("host %q, %d bytes: got %d bytes, %.60q, want %q", host, size, len(body), body, head)
			}
		}
	}
}

// gaugeOf is a gauge of a target; -1: there is none.
func gaugeOf(t *testing.T, reg *prometheus.Registry, name, target string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if family.GetName() == name && label.GetName() == "target" && label.GetValue() == target {
					return m.GetGauge().GetValue()
				}
			}
		}
	}
	return -1
}

// TestAServiceComesBackOnItsUnixSocket: it removes the socket and makes another of that name, as every restart does.
func TestAServiceComesBackOnItsUnixSocket(t *testing.T) {
	t.Parallel()
	path, reg := socketPath(t), prometheus.NewRegistry()
	first := serveOn(t, listenUnix(t, path))
	cfg := upstream.DefaultConfig()
	cfg.Targets = []upstream.Target{{URL: "unix:" + path, Weight: 1}}
	cfg.Health = upstream.Health{Path: "/healthz", Interval: 10 * time.Millisecond, Timeout: 30 * time.Second, UnhealthyAfter: 1, HealthyAfter: 1}
	u, err := upstream.New("recipes", cfg, upstream.NewMetrics(reg), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	up := func(want float64) func() bool {
		return func() bool { return gaugeOf(t, reg, "wxgate_upstream_up", "unix:"+path) == want }
	}
	get(t, u, "/")
	first.Close()
	eventually(t, "it is unhealthy without its socket", up(0))
	if _, err := u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0); !errors.Is(err, http1.ErrConnect) {
		t.Errorf("without the socket: %v, want %v", err, http1.ErrConnect)
	}
	serveOn(t, listenUnix(t, path))
	eventually(t, "it is healthy with another socket", up(1))
	get(t, u, "/")
}

// TestAFullBacklogOfAUnixSocketIsWaitedFor: connect(2) says EAGAIN at once where TCP would try again by itself.
func TestAFullBacklogOfAUnixSocketIsWaitedFor(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "backlog")
	defer file.Close()
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 1)); err != nil {
		t.Fatal(err)
	}
	u := newUpstream(t, "unix:"+path)
	const requests = 16
	failed := make(chan error, requests)
	var all sync.WaitGroup
	for range requests {
		all.Go(func() {
			var resp message.Response
			_, err := u.Do(soon(), newRequest("GET", "/"), &resp, 0)
			failed <- err
		})
	}
	eventually(t, "the backlog is full", func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			_ = c.Close()
		}
		return errors.Is(err, syscall.EAGAIN)
	})
	ln, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, ln)
	all.Wait()
	for range requests {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// TestABacklogThatStaysFullIsNoEndlessWait: nobody accepts.
func TestABacklogThatStaysFullIsNoEndlessWait(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for { // fill it
		c, err := net.Dial("unix", path)
		if err != nil {
			break
		}
		defer c.Close()
	}
	u := newUpstream(t, "unix:"+path, func(c *upstream.Config) { c.Timeouts.Connect = 100 * time.Millisecond })
	_, err = u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	if !errors.Is(err, http1.ErrConnect) && !errors.Is(err, http1.ErrOverloaded) { // the second when this machine was too slow to try
		t.Errorf("got %v", err)
	}
	if err != nil && !strings.Contains(err.Error(), path) {
		t.Errorf("%v does not name the socket", err)
	}
}
