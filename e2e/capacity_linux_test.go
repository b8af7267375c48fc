package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/upstream/upstreamtest"
)

// TestCapacity measures what docs/performance.md says of a machine: `make long WHAT=capacity`. Time of the processor and memory are
// those of the process alone, so other work on the machine changes them little.
func TestCapacity(t *testing.T) {
	if os.Getenv("WXGATE_CAPACITY") == "" {
		t.Skip("it takes minutes: see make long WHAT=capacity")
	}
	t.Run("requests", measureRequests)
	t.Run("connections", measureConnections)
	t.Run("users", measureUsers)
}

// cpu is the time of the processor that a process has used.
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')'):]))
	user, _ := strconv.Atoi(fields[12])
	system, _ := strconv.Atoi(fields[13])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// rss is the memory of a process in bytes.
func rss(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// send has 64 clients send a request so many times, and returns how long it took.
func send(t *testing.T, address, request string, times int64) time.Duration {
	t.Helper()
	var all sync.WaitGroup
	var sent atomic.Int64
	began := time.Now()
	for range 64 {
		all.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for reader := bufio.NewReader(conn); sent.Add(1) <= times; {
				_, _ = io.WriteString(conn, request)
				resp, err := http.ReadResponse(reader, nil)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("got %v, %v", resp, err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

func measureRequests(t *testing.T) {
	const times = 200_000
	w := newWorld(t)
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		return upstreamtest.OK("application/json", strings.Repeat("x", 1000))
	})
	w.rewrite("recipes: "+w.service.URL, "recipes: "+service.URL)
	log := w.serveInto()
	go func() { _, _ = io.Copy(io.Discard, log) }()
	token, pid := w.login("alice"), w.cmd.Process.Pid
	address := strings.TrimPrefix(w.url, "http://")
	for name, request := range map[string]string{
		"with a token, forwarded": "GET /api/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + "\r\n\r\n",
		"answered by wxgate":      "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		send(t, address, request, times/20)
		before := cpu(t, pid)
		took := send(t, address, request, times)
		used := cpu(t, pid) - before
		t.Logf("%s: %v of CPU a request, %.0f/s a core (%.0f/s in this run)", name, used/times, times/used.Seconds(), times/took.Seconds())
	}
	measureNginx(t, strings.TrimPrefix(service.URL, "http://"), times)
}

// measureNginx forwards the same with one worker of nginx, for comparison.
func measureNginx(t *testing.T, service string, times int64) {
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Log("nginx is not there to compare with")
		return
	}
	dir, address := t.TempDir(), "127.0.0.1:"+freePort(t)
	file := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf("daemon off; master_process off; user root; pid %[1]s/pid; error_log stderr;\nevents {}\nhttp { access_log %[1]s/log; client_body_temp_path %[1]s/b; "+
		"proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s; keepalive_requests 1000000;\n"+
		"upstream s { server %[2]s; keepalive 64; keepalive_requests 1000000; }\nserver { listen %[3]s; location / { proxy_pass http://s; proxy_http_version 1.1; proxy_set_header Connection \"\"; } } }\n",
		dir, service, address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	nginx := exec.Command("nginx", "-c", file, "-p", dir)
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nginx.Process.Kill(); _ = nginx.Wait() }()
	eventually(t, 60*time.Second, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	before := cpu(t, nginx.Process.Pid)
	took := send(t, address, "GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n", times)
	used := cpu(t, nginx.Process.Pid) - before
	t.Logf("nginx, which checks no token: %v of CPU a request, %.0f/s a core (%.0f/s in this run)", used/time.Duration(times), float64(times)/used.Seconds(), float64(times)/took.Seconds())
}

func measureConnections(t *testing.T) {
	hold(t, "an idle connection", "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200, 4000)
	hold(t, "a WebSocket", "GET /open/socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 101, 250)
}

// hold measures the memory of connections on which a request was answered.
func hold(t *testing.T, name, request string, status, count int) {
	w := newWorld(t)
	w.service.Config.Handler = http.HandlerFunc(serviceBehindAProxy)
	w.rewrite("routes:\n", "routes:\n  - { path: /open/**, upstream: recipes, auth: none }\n")
	w.serve()
	pid, address := w.cmd.Process.Pid, strings.TrimPrefix(w.url, "http://")
	w.call("GET", "/healthz", "", "")
	before := rss(t, pid)
	for n := range count {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, request)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != status {
			t.Fatalf("%s %d: %v %v", name, n, resp, err)
		}
	}
	t.Logf("%s: %.1f KiB, of %d", name, float64(rss(t, pid)-before)/1024/float64(count), count)
}

// diskOf is what a folder takes on the disk, in bytes.
func diskOf(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	out, err := exec.Command("du", "-sk", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	kilobytes, err := strconv.ParseInt(strings.Fields(string(out))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

func measureUsers(t *testing.T) {
	const logins = 100_000
	w := newWorld(t)
	w.serve()
	pid, data := w.cmd.Process.Pid, filepath.Join(w.dir, "data")
	w.login("warm")
	memory, disk, before := rss(t, pid), diskOf(t, data), cpu(t, pid)
	var all sync.WaitGroup
	var n atomic.Int64
	began := time.Now()
	for range 32 {
		all.Go(func() {
			for i := n.Add(1); i <= logins && !t.Failed(); i = n.Add(1) {
				code := w.weChat.IssueCode("person" + strconv.FormatInt(i, 10))
				if got, err := w.try("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, code)); err != nil || got.status != http.StatusOK {
					t.Errorf("login %d: %d %v", i, got.status, err)
				}
			}
		})
	}
	all.Wait()
	t.Logf("a first login: %v of CPU, %d bytes of disk, %d of memory, of %d (%.0f/s in this run)", (cpu(t, pid)-before)/logins,
		(diskOf(t, data)-disk)/logins, (rss(t, pid)-memory)/logins, logins, logins/time.Since(began).Seconds())
	w.stop(t)
	t.Logf("%d users at rest: %.1f MiB of disk", logins, float64(diskOf(t, data))/(1<<20))
	began = time.Now()
	w.serve()
	t.Logf("a start with them: %v, %.1f MiB of memory", time.Since(began).Round(time.Millisecond), float64(rss(t, w.cmd.Process.Pid))/(1<<20))
}
