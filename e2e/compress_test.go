package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// dishes is a list in JSON, as services answer.
func dishes() string {
	var b strings.Builder
	b.WriteString(`{"items":[`)
	for id := range 4000 {
		_, _ = fmt.Fprintf(&b, `{"id":%d,"title":"番茄炒蛋 %d","cover":"https://img.example.com/%d.jpg","likes":%d},`, id, id*7919%1000, id, id*31%977)
	}
	return b.String() + `null]}`
}

// newListService answers with dishes, with a length, in chunks, or a line at a time as the test says.
func newListService(t *testing.T, lines <-chan string) *httptest.Server {
	t.Helper()
	mux, list := http.NewServeMux(), dishes()
	mux.HandleFunc("/api/list", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Server", "backend")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(list)) // also conditional, and parts of it
	})
	mux.HandleFunc("/api/lines", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case line, more := <-lines:
				if !more {
					return
				}
				_, _ = io.WriteString(w, line)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	service := httptest.NewServer(mux)
	t.Cleanup(service.Close)
	return service
}

// newCompressingWorld is a secureWorld that compresses, tells browsers of TLS, and has these further settings of server.
func newCompressingWorld(t *testing.T, lines <-chan string, more ...string) *secureWorld {
	t.Helper()
	w := newSecureWorld(t)
	w.rewrite(`admin: "127.0.0.1:0"`, strings.Join(append([]string{`admin: "127.0.0.1:0", compress: true, hsts: 8760h`}, more...), ", "))
	w.rewrite(w.service.URL, newListService(t, lines).URL)
	w.rewrite("{ path: /api/**, upstream: recipes }", `{ path: /api/**, upstream: recipes, auth: none, response_headers: { set: { X-Frame-Options: DENY }, remove: [Server] } }`)
	w.serveSecurely()
	return w
}

// curl runs curl against api.test, and returns the head and the decoded body of the answer.
func (w *secureWorld) curl(args ...string) (head, body string) {
	w.t.Helper()
	ca := filepath.Join(w.dir, "authority.pem")
	if err := os.WriteFile(ca, w.authority.PEM(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	address := w.address()
	port := address[strings.LastIndexByte(address, ':')+1:]
	file := filepath.Join(w.t.TempDir(), "head")
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	args = append([]string{"--silent", "--show-error", "--cacert", ca, "--resolve", "api.test:" + port + ":127.0.0.1", "--dump-header", file}, args...)
	args[len(args)-1] = "https://api.test:" + port + args[len(args)-1]
	out, err := exec.CommandContext(ctx, "curl", args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("curl %q: %v\n%s", args, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.ToLower(string(text)), string(out)
}

// TestClientsDecodeWhatIsCompressed asks with curl, in HTTP/1.1, HTTP/1.0 and HTTP/2, for each coding.
func TestClientsDecodeWhatIsCompressed(t *testing.T) {
	t.Parallel()
	w := newCompressingWorld(t, nil)
	for _, version := range []string{"--http1.1", "--http1.0", "--http2"} {
		for _, coding := range []string{"zstd", "br", "gzip"} {
			var head, body string
			eventually(t, time.Minute, func() bool { // unless the machine is busy with other tests
				head, body = w.curl(version, "--compressed", "-H", "Accept-Encoding: "+coding, "/api/list")
				return strings.Contains(head, "content-encoding: ")
			})
			for _, want := range []string{"content-encoding: " + coding + "\r\n", "etag: w/\"v1\"\r\n", "vary: accept-encoding\r\n", "strict-transport-security: max-age=31536000\r\n", "x-frame-options: deny\r\n"} {
				if !strings.Contains(head, want) {
					t.Errorf("%s, %s: want %q in\n%s", version, coding, want, head)
				}
			}
			if body != dishes() || strings.Contains(head, "content-length:") || strings.Contains(head, "server:") {
				t.Errorf("%s, %s: %d bytes, want %d, and no Content-Length and no Server in\n%s", version, coding, len(body), len(dishes()), head)
			}
		}
		again, body := w.curl(version, "--compressed", "-H", `If-None-Match: W/"v1"`, "/api/list")
		if !strings.Contains(again, " 304") || !strings.Contains(again, "etag: w/\"v1\"\r\n") || body != "" {
			t.Errorf("%s, with the validator that it got: %q\n%s", version, body, again)
		}
		part, body := w.curl(version, "--compressed", "--range", "0-99", "/api/list")
		if !strings.Contains(part, " 206") || !strings.Contains(part, "etag: \"v1\"\r\n") || body != dishes()[:100] {
			t.Errorf("%s, a part: %q\n%s", version, body, part)
		}
		head, body := w.curl(version, "/api/list")
		if body != dishes() || strings.Contains(head, "content-encoding") || !strings.Contains(head, "content-length: "+fmt.Sprint(len(body))) {
			t.Errorf("%s, without --compressed: %d bytes, want %d\n%s", version, len(body), len(dishes()), head)
		}
		if refused, _ := w.curl(version, "--compressed", "/nowhere"); !strings.Contains(refused, "strict-transport-security: max-age=31536000\r\n") || strings.Contains(refused, "x-frame-options") {
			t.Errorf("%s: a refusal has\n%s", version, refused)
		}
	}
}

// TestCompressionIsTheSameOverHTTP2AndHTTP3 for a client that decodes by itself, and for HEAD.
func TestCompressionIsTheSameOverHTTP2AndHTTP3(t *testing.T) {
	t.Parallel()
	w := newCompressingWorld(t, nil, "http3: true")
	w.waitSays(`"msg":"serving HTTP/3"`, 1)
	quic := w.overQUIC()
	defer quic.Close()
	http2 := w.transport(w.authority.Pool())
	http2.ForceAttemptHTTP2 = true
	for proto, transport := range map[string]http.RoundTripper{"HTTP/2.0": http2, "HTTP/3.0": quic} {
		w.client.Transport = transport
		eventually(t, time.Minute, func() bool { // unless the machine is busy with other tests
			resp, body := w.fetch(http.MethodGet, "")
			if body != dishes() || resp.Proto != proto {
				t.Fatalf("over %s: %d bytes, want %d over %s", resp.Proto, len(body), len(dishes()), proto)
			}
			return resp.Uncompressed
		})
		heads := map[string]http.Header{}
		eventually(t, time.Minute, func() bool {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				resp, _ := w.fetch(method, "br")
				for _, own := range []string{"Date", "X-Request-Id"} {
					resp.Header.Del(own)
				}
				heads[method] = resp.Header
			}
			return heads[http.MethodGet].Get("Content-Encoding") == "br"
		})
		if !reflect.DeepEqual(heads[http.MethodGet], heads[http.MethodHead]) {
			t.Errorf("over %s, GET has\n%v\nand HEAD\n%v", proto, heads[http.MethodGet], heads[http.MethodHead])
		}
	}
}

// fetch asks for the list; accept is its Accept-Encoding, or "" for what the client does by itself.
func (w *secureWorld) fetch(method, accept string) (resp *http.Response, body string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+"/api/list", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if accept != "" {
		req.Header.Set("Accept-Encoding", accept)
	}
	resp, err = w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(text)
}

// TestLinesOfAServiceArriveCompressedOneByOne has the service wait for its client to have read what it sent.
func TestLinesOfAServiceArriveCompressedOneByOne(t *testing.T) {
	t.Parallel()
	lines := make(chan string)
	w := newCompressingWorld(t, lines)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/lines", nil) // the client adds Accept-Encoding: gzip
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for i := range 20 {
		line := fmt.Sprintf("{\"step\":%d,\"of\":20}\n", i)
		lines <- line
		got := make([]byte, len(line))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != line {
			t.Fatalf("line %d: %q, %v", i, got, err)
		}
	}
	close(lines)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("behind the last line: %q, %v", rest, err)
	}
}
