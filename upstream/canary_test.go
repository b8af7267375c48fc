package upstream_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"wxgate/upstream"
	"wxgate/upstream/upstreamtest"
)

func TestACanaryTellsAServiceThatDoesNotReadContent(t *testing.T) {
	t.Parallel()
	closes := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		return "HTTP/1.1 404 Not Found\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"
	})
	for _, tc := range []struct {
		what, url string
		share     bool
		want      error
	}{
		{"one that does not read", upstreamtest.NewUndraining(t).URL, true, upstream.ErrUndrained},
		{"one that does not read, told to close", upstreamtest.NewUndraining(t).URL, false, nil},
		{"one that reads", upstreamtest.Echo(t).URL, true, nil},
		{"one that closes", closes.URL, true, nil},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			cfg := upstream.DefaultConfig()
			cfg.Keepalive.ReuseAfterBody = tc.share
			if err := upstream.Drains(t.Context(), cfg, upstream.Target{URL: tc.url}); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
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
			req, o := carrying(method, user, forged, false)
			if _, err := u.DoWith(req, new(fasthttp.Response), o); err != nil {
				t.Fatal(err)
			}
		}
	}
	cfg := upstream.DefaultConfig()
	if err := upstream.Drains(t.Context(), cfg, upstream.Target{URL: url}); !errors.Is(err, upstream.ErrUndrained) {
		t.Errorf("the canary says %v of Python's server, want %v", err, upstream.ErrUndrained)
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
