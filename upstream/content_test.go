package upstream_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

// forged is a request that a client puts into the content of its own.
const forged = "GET /forged HTTP/1.1\r\nHost: h\r\nX-User-Id: 1\r\n\r\n"

// carrying makes a request of a user with content; chunked leaves its length open.
func carrying(method string, user uint64, content string, chunked bool) *message.Request {
	req := newRequest(method, "/mine")
	req.Fields.Set("X-User-Id", fmt.Sprint(user))
	if chunked {
		setBody(req, strings.NewReader(content), -1)
	} else {
		req.Content = []byte(content)
	}
	return req
}

// asks sends a GET of a user and fails the test unless the answer is the user's.
func asks(t *testing.T, u *upstream.Upstream, user uint64) {
	t.Helper()
	req := newRequest("GET", "/own")
	req.Fields.Set("X-User-Id", fmt.Sprint(user))
	var resp message.Response
	_, err := u.Do(soon(), req, &resp, user)
	if want := fmt.Sprintf(`/own for "%d"`, user); err != nil || string(resp.Body) != want {
		t.Errorf("user %d got %q, %v, want %q", user, resp.Body, err, want)
	}
}

// What the methods have no content for is their connection's last word, so it is never read as a request.
func TestContentOfADeleteIsNeverExecutedAsARequest(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"DELETE", "OPTIONS", "GET", "HEAD", "QUERY"} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(method, chunked), func(t *testing.T) {
				t.Parallel()
				service := upstreamtest.NewUndraining(t)
				u := newUpstream(t, service.URL)
				for user := uint64(2); user < 12; user++ {
					req := carrying(method, user, forged, chunked)
					if _, err := u.Do(soon(), req, new(message.Response), user); err != nil {
						t.Fatal(err)
					}
					asks(t, u, user+100)
				}
				for _, req := range service.Requests() {
					if req.Target == "/forged" || req.Field("X-User-Id") == "1" {
						t.Errorf("%s %s was executed for user %q", req.Method, req.Target, req.Field("X-User-Id"))
					}
				}
			})
		}
	}
}

// A service that says keep-alive all the same does not make such a connection one for others.
func TestAConnectionThatWasSaidToCloseIsNotPooledWhateverTheServiceSays(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		return "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=60\r\nContent-Length: 2\r\n\r\nhi"
	})
	u := newUpstream(t, service.URL)
	for range 5 {
		req := carrying("DELETE", 2, "{}", false)
		if _, err := u.Do(soon(), req, new(message.Response), 2); err != nil {
			t.Fatal(err)
		}
	}
	if got := service.Conns(); got != 5 {
		t.Errorf("5 DELETEs with content took %d connections, want 5", got)
	}
	for _, req := range service.Requests() {
		if got := req.Values("Connection"); len(got) != 1 || got[0] != "close" {
			t.Errorf("the service was told Connection: %q, want close", got)
		}
	}
}

func TestWhatConnectionsCarryIsBoundedAsToldTo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method string
		with   func(*http1.Keepalive)
		conns  int // that nine requests with content take
	}{
		"POSTs share a connection":               {"POST", func(*http1.Keepalive) {}, 1},
		"PUTs share a connection":                {"PUT", func(*http1.Keepalive) {}, 1},
		"none shares with reuse_after_body: off": {"POST", func(k *http1.Keepalive) { k.ReuseAfterBody = false }, 9},
		"three share with max_requests: 3":       {"PATCH", func(k *http1.Keepalive) { k.MaxRequests = 3 }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := upstreamtest.Echo(t)
			u := newUpstream(t, service.URL, func(c *upstream.Config) { tc.with(&c.Keepalive) })
			for range 9 {
				req := carrying(tc.method, 2, "{}", false)
				if _, err := u.Do(soon(), req, new(message.Response), 2); err != nil {
					t.Fatal(err)
				}
			}
			if got := service.Conns(); got != tc.conns {
				t.Errorf("9 requests took %d connections, want %d", got, tc.conns)
			}
		})
	}
}

// A GET without content shares its connection whatever reuse_after_body says, and a length of 0 is no content.
func TestNoContentSharesAConnection(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	u := newUpstream(t, service.URL, func(c *upstream.Config) { c.Keepalive.ReuseAfterBody = false })
	for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS"} {
		req := newRequest(method, "/")
		req.Fields.Set("Content-Length", "0")
		if _, err := u.Do(soon(), req, new(message.Response), 0); err != nil {
			t.Fatal(err)
		}
	}
	if got := service.Conns(); got != 1 {
		t.Errorf("4 requests without content took %d connections, want 1", got)
	}
}

// undrained is an upstream of one service whose clock stands still, with its log and its registry.
func undrained(t *testing.T, url string, now func() time.Time) (*upstream.Upstream, *prometheus.Registry, *lines) {
	t.Helper()
	cfg := upstream.DefaultConfig()
	cfg.Targets = []upstream.Target{{URL: url, Weight: 1}}
	reg, log := prometheus.NewRegistry(), new(lines)
	u, err := upstream.NewWithEnv(upstream.Env{Now: now, Log: log.logger()}, "recipes", cfg, upstream.NewMetrics(reg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u, reg, log
}

// The answer to the forged request is there before anybody else could meet it, or comes while the connection is
// watched.
func TestAPostThatTheServiceDoesNotReadIsMarkedAndServesNobodyElse(t *testing.T) {
	t.Parallel()
	service := upstreamtest.NewUndraining(t)
	victim := make(chan struct{})
	var once sync.Once
	service.Between = func() { <-victim } // answers the forged request when the victim was served
	t.Cleanup(func() { once.Do(func() { close(victim) }) })
	var clock atomic.Int64
	u, reg, log := undrained(t, service.URL, func() time.Time { return time.Unix(clock.Load(), 0) })
	req := carrying("POST", 2, forged, false)
	if _, err := u.Do(soon(), req, new(message.Response), 2); err != nil {
		t.Fatal(err)
	}
	asks(t, u, 3) // at once: on another connection
	once.Do(func() { close(victim) })
	eventually(t, "the forged request is answered: a service must read what it is sent", func() bool {
		return service.Count("GET", "/forged", "") == 1 && service.Answers() == 3
	})
	clock.Add(1) // the connection was watched for long enough
	eventually(t, "the service is marked", func() bool { asks(t, u, 4); return seriesOf(t, reg, "wxgate_upstream_undrained", "") == 1 })
	if got := seriesOf(t, reg, "wxgate_upstream_unasked_bytes_total", ""); got != 1 {
		t.Errorf("%v connections had bytes that nobody asked for, want 1", got)
	}
	if got := log.with("the service does not read the content of requests", "ERROR", "reuse_after_body: false"); len(got) != 1 {
		t.Errorf("the log says it in %q, want one error line", got)
	}
	for user := uint64(5); user < 10; user++ {
		req := carrying("POST", user, forged, user%2 == 0)
		if _, err := u.Do(soon(), req, new(message.Response), user); err != nil {
			t.Fatal(err)
		}
		asks(t, u, user+100)
	}
	if got := service.Count("GET", "/forged", ""); got != 1 {
		t.Errorf("forged requests were executed %d times, want none after the first", got)
	}
}

// Of requests without a token nobody knows whose they are, so whoever asks next may be somebody else.
func TestWhoHasNoTokenGetsNoAnswerToAnothersContent(t *testing.T) {
	t.Parallel()
	service := upstreamtest.NewUndraining(t)
	victim := make(chan struct{})
	service.Between = func() { <-victim } // answers the forged request when the victim was served
	u, _, _ := undrained(t, service.URL, func() time.Time { return time.Unix(0, 0) })
	req := carrying("POST", 0, forged, false)
	if _, err := u.Do(soon(), req, new(message.Response), 0); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); asks(t, u, 0) }()
	select {
	case <-served:
	case <-time.After(time.Second): // it waits behind the forged request
	}
	close(victim)
	<-served
}

// Others ask all the time while one user sends forged requests: everybody gets the own answer.
func TestNobodyGetsTheAnswerToAnothersContent(t *testing.T) {
	t.Parallel()
	service := upstreamtest.NewUndraining(t)
	u, reg, _ := undrained(t, service.URL, nil)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for user := uint64(10); user < 16; user++ {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					asks(t, u, user)
				}
			}
		})
	}
	for range 200 {
		req := carrying("POST", 2, forged, false)
		_, _ = u.Do(soon(), req, new(message.Response), 2)
	}
	eventually(t, "the service is marked", func() bool { return seriesOf(t, reg, "wxgate_upstream_undrained", "") == 1 })
	close(stop)
	all.Wait()
	before := service.Count("GET", "/forged", "")
	for range 20 {
		req := carrying("POST", 2, forged, false)
		_, _ = u.Do(soon(), req, new(message.Response), 2)
	}
	if got := service.Count("GET", "/forged", ""); got != before {
		t.Errorf("%d forged requests were executed after the mark, want none", got-before)
	}
}

// pythonService is Python's own server with a handler that ignores content, which keeps its connections.
const pythonService = `
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = ("%s for %s" % (self.path, self.headers.get("X-User-Id"))).encode()
        print("EXECUTED", self.command, self.path, self.headers.get("X-User-Id"), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = do_DELETE = do_OPTIONS = answer
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print("PORT", server.server_port, flush=True)
server.serve_forever()
`

// TestPythonsOwnServerNeverExecutesAForgedDelete runs where there is a python3.
func TestPythonsOwnServerNeverExecutesAForgedDelete(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 here; TestContentOfADeleteIsNeverExecutedAsARequest has a service that behaves like its server")
	}
	file := filepath.Join(t.TempDir(), "service.py")
	if err := os.WriteFile(file, []byte(pythonService), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	port := 0
	if _, err := fmt.Sscanf(next(said), "PORT %d", &port); err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	u := newUpstream(t, url)
	const users = 10
	for user := uint64(2); user < 2+users; user++ {
		for _, method := range []string{"DELETE", "OPTIONS", "GET"} {
			req := carrying(method, user, forged, false)
			if _, err := u.Do(soon(), req, new(message.Response), user); err != nil {
				t.Fatal(err)
			}
		}
	}
	cfg := upstream.DefaultConfig()
	if err := upstream.Drains(t.Context(), cfg, upstream.Target{URL: url}); !errors.Is(err, http1.ErrUndrained) {
		t.Errorf("the canary says %v of Python's server, want %v", err, http1.ErrUndrained)
	}
	for range 3 * users {
		if line := next(said); !strings.HasPrefix(line, "EXECUTED") || strings.Contains(line, "/forged") {
			t.Errorf("the service says %q, want what was really asked", line)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func next(lines *bufio.Scanner) string {
	lines.Scan()
	return lines.Text()
}
