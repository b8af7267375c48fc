package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/gateway/accesslog"
	"wxgate/gateway/listen"
	"wxgate/upstream/upstreamtest"
)

// journal is an access log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

// lines are the access lines so far.
func (j *journal) lines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lines = append(lines, fields)
	}
	return lines
}

// newLoggedEdge is newEdge with its access log.
func newLoggedEdge(t *testing.T, serviceURL string, treat func(*upstreamConfig), bounds ...func(*listen.Config)) (*edge, *journal) {
	t.Helper()
	j := new(journal)
	e := newEdgeOf(t, serviceURL, func(cfg *Config) { cfg.Log.Access = true }, func(d *Deps) { d.Access = accesslog.New(j, accesslog.JSON) }, treat, bounds...)
	return e, j
}

// onlyLine waits for the one access line.
func (j *journal) onlyLine(t *testing.T) map[string]any {
	t.Helper()
	eventually(t, "the request is logged", func() bool { return len(j.lines(t)) > 0 })
	if lines := j.lines(t); len(lines) != 1 {
		t.Fatalf("%d access lines, want one: %v", len(lines), lines)
	}
	return j.lines(t)[0]
}

const chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

func TestAnAnswerIsCountedAsWhatItBecame(t *testing.T) {
	t.Parallel()
	quick := func(cfg *upstreamConfig) { cfg.Timeouts.Stream = 200 * time.Millisecond }
	reads := func(l line) { _, _ = io.Copy(io.Discard, l) }
	leaves := func(l line) { _, _ = l.ReadString('h'); _ = l.Conn.Close() }
	for _, c := range []struct {
		name, answer string
		holds        bool // the service keeps its connection open
		client       func(line)
		code, reason string
	}{
		{"whole", chunkedHead + "5\r\nhello\r\n0\r\n\r\n", true, reads, "200", ""},
		{"whole with its connection", "HTTP/1.1 200 OK\r\n\r\nhello", false, reads, "200", ""},
		{"the service dies", chunkedHead + "5\r\nhello\r\n", false, reads, "502", "upstream_reset"},
		{"a long body is short", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello", false, reads, "502", "upstream_reset"},
		{"a bad chunk", chunkedHead + "5\r\nhello\r\nxyz\r\n", true, reads, "502", "upstream_invalid"},
		{"the service falls silent", chunkedHead + "5\r\nhello\r\n", true, reads, "504", "upstream_timeout"},
		{"the client leaves", chunkedHead + "5\r\nhello\r\n", true, leaves, "499", "client_gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, c.answer)
				if c.holds {
					_, _ = io.Copy(io.Discard, conn)
				}
			})
			treat := quick
			if c.reason == "client_gone" {
				treat = func(*upstreamConfig) {}
			}
			e, j := newLoggedEdge(t, service.URL, treat)
			l := e.dial(t)
			l.say(t, head("GET /public/x", "", "Connection: close"))
			c.client(l)
			got := j.onlyLine(t)
			if got["status"] != float64(mustAtoi(t, c.code)) || c.reason != "" && (got["reason"] != c.reason || got["began"] != 200.0) || got["bytes_out"] != 5.0 {
				t.Errorf("logged %v, want status %s, reason %q, began 200, 5 bytes", got, c.code, c.reason)
			}
			if n := e.count(t, "wxgate_requests_total"); n != 1 {
				t.Errorf("counted %v times", n)
			}
			if n := e.count(t, "wxgate_requests_total", `code="`+c.code+`"`, `reason="`+c.reason+`"`); n != 1 {
				t.Errorf("not counted as %s %s", c.code, c.reason)
			}
			if n := e.count(t, "wxgate_requests_in_flight"); n != 0 {
				t.Errorf("%v requests are in flight, want none", n)
			}
		})
	}
}

func mustAtoi(t *testing.T, s string) (n int) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAStreamIsInFlightUntilItEnds(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, chunkedHead+"5\r\nhello\r\n")
		<-end
		_, _ = io.WriteString(conn, "0\r\n\r\n")
	})
	e, j := newLoggedEdge(t, service.URL, func(*upstreamConfig) {})
	l := e.dial(t)
	l.say(t, head("GET /public/x", ""))
	if _, err := l.ReadString('h'); err != nil {
		t.Fatal(err)
	}
	if n := e.count(t, "wxgate_requests_in_flight"); n != 1 || len(j.lines(t)) > 0 {
		t.Errorf("%v in flight and logged %v, want one and nothing", n, j.lines(t))
	}
	close(end)
	if got := j.onlyLine(t); got["status"] != 200.0 {
		t.Errorf("logged %v, want 200", got)
	}
}

// TestABodyThatIsBrokenAtOnceIs502 is about bodies that a head of 200 would have gone ahead of.
func TestABodyThatIsBrokenAtOnceIs502(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"a bad size":         chunkedHead + "xyz\r\nhello\r\n0\r\n\r\n",
		"no size":            chunkedHead + "\r\n",
		"a size that is cut": chunkedHead + "5",
		"a bad trailer":      chunkedHead + "0\r\nno field\r\n\r\n",
	} {
		e := newEdge(t, upstreamtest.Fixed(t, answer).URL, nil)
		resp, body := e.send(t, head("GET /public/x", ""))
		if resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, `"reason":"upstream_`) {
			t.Errorf("%s: got %d %s, want 502", name, resp.StatusCode, body)
		}
	}
}
