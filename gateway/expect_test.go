package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

// line is a client's connection that is read step by step.
type line struct {
	net.Conn
	*bufio.Reader
}

func (e *edge) dial(tb testing.TB) line {
	tb.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return line{conn, bufio.NewReader(conn)}
}

func (l line) say(tb testing.TB, raw string) {
	tb.Helper()
	if _, err := io.WriteString(l.Conn, raw); err != nil {
		tb.Fatalf("%q: %v", raw, err)
	}
}

// answer reads one answer whole, interim ones included; the connection may go on.
func (l line) answer(tb testing.TB) (*http.Response, string) {
	tb.Helper()
	resp, err := http.ReadResponse(l.Reader, nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp, string(body)
}

func (l line) Read(p []byte) (int, error) { return l.Reader.Read(p) }

func TestAnUploadThatWouldBeRefusedIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Limits.Login = limit.BucketConfig{Per: "ip", Rate: limit.Rate{Count: 1, Per: time.Hour}, Burst: 1}
	})
	const expect = "Expect: 100-continue"
	e.send(t, head("POST /api/v1/auth/wx-login", "", "Content-Length: 2")+"{}")
	for _, c := range []struct {
		name, head string
		status     int
		reason     string
	}{
		{"no token", head("POST /private/x", "", "Content-Length: 5", expect), 401, "token_missing"},
		{"a bad token", head("POST /private/x", "a.b.c", "Content-Length: 5", expect), 401, "token_malformed"},
		{"no route", head("POST /nowhere", "", "Content-Length: 5", expect), 404, "no_route"},
		{"two readings", head("POST /public/../x", "", "Content-Length: 5", expect), 400, "invalid_request"},
		{"too long", head("POST /small/x", "", "Content-Length: 1025", expect), 413, "body_too_large"},
		{"too often", head("POST /api/v1/auth/wx-login", "", "Content-Length: 5", expect), 429, "rate_limited"},
		{"chunks without a token", head("POST /private/x", "", "Transfer-Encoding: chunked", expect), 401, "token_missing"},
		{"in capitals", head("POST /private/x", "", "Content-Length: 5", "EXPECT: 100-Continue"), 401, "token_missing"},
		{"a method of nobody", head("BREW /public/x", "", "Content-Length: 5", expect), 400, "invalid_request"},
		{"another expectation", head("POST /public/x", "", "Content-Length: 5", "Expect: 200-ok"), 417, "invalid_request"},
		{"another one beside it", head("POST /public/x", "", "Content-Length: 5", expect, "Expect: 200-ok"), 417, "invalid_request"},
		{"another one before it", head("POST /public/x", "", "Content-Length: 5", "Expect: 200-ok", expect), 417, "invalid_request"},
		{"a list", head("POST /public/x", "", "Content-Length: 5", "Expect: 100-continue, x"), 417, "invalid_request"},
		{"another expectation without a body", head("GET /public/x", "", "Expect: x"), 417, "invalid_request"},
	} {
		l := e.dial(t)
		l.say(t, c.head)
		resp, body := l.answer(t)
		if resp.StatusCode != c.status || !strings.Contains(body, `"reason":"`+c.reason+`"`) || !strings.Contains(body, `"request_id":"`) {
			t.Errorf("%s: got %d %s, want %d %s", c.name, resp.StatusCode, body, c.status, c.reason)
		}
		if resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: the answer has no X-Request-Id", c.name)
		}
		if strings.HasPrefix(c.head, "GET") {
			continue
		}
		if !resp.Close {
			t.Errorf("%s: the connection stays open, and what is sent next could be a body or a request", c.name)
		}
		if rest, err := io.ReadAll(l); err != nil || len(rest) > 0 {
			t.Errorf("%s: after the answer came %q and %v", c.name, rest, err)
		}
	}
	if n := len(service.Requests()); n != 0 {
		t.Errorf("%d refused requests reached the service", n)
	}
}

func TestAnUploadThatPassesIsToldToGoOn(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	token := e.token(t, "alice")
	l := e.dial(t)
	for _, c := range []struct{ expect, framing, body string }{
		{"Expect: 100-continue", "Content-Length: 5", "hello"},
		{"expect: 100-CONTINUE", "Content-Length: 5", "hello"},
		{"Expect: 100-continue", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"},
		{"Expect: 100-continue\r\nExpect: 100-continue", "Content-Length: 5", "hello"},
	} {
		l.say(t, head("POST /private/x", token, c.framing, c.expect))
		if resp, _ := l.answer(t); resp.StatusCode != http.StatusContinue {
			t.Fatalf("%s, %s: %d, want 100", c.expect, c.framing, resp.StatusCode)
		}
		l.say(t, c.body)
		if resp, body := l.answer(t); resp.StatusCode != http.StatusOK || resp.Close {
			t.Fatalf("%s, %s: %d %s, want 200 on a connection that stays", c.expect, c.framing, resp.StatusCode, body)
		}
		arrived := service.Requests()[len(service.Requests())-1]
		if string(arrived.Body) != "hello" || arrived.Field("Expect") != "" || arrived.Field("X-User-Id") != "1" {
			t.Errorf("%s, %s: the service received\n%s", c.expect, c.framing, arrived.Raw)
		}
	}
}

func TestNobodyIsToldToGoOnWhoDoesNotWait(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, nil)
	for name, raw := range map[string]string{
		"HTTP/1.0":        "POST /public/x HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
		"no body":         head("GET /public/x", "", "Expect: 100-continue"),
		"an empty body":   head("POST /public/x", "", "Expect: 100-continue", "Content-Length: 0"),
		"an empty Expect": head("POST /public/x", "", "Expect:", "Content-Length: 5") + "hello",
	} {
		if resp, body := e.send(t, raw); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s, want 200 at once", name, resp.StatusCode, body)
		}
	}
}

func TestALoginThatExpects100IsCountedOnce(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, func(cfg *Config) {
		cfg.Limits.Login = limit.BucketConfig{Per: "ip", Rate: limit.Rate{Count: 1, Per: time.Hour}, Burst: 2}
	})
	for range 2 {
		body := `{"code":"` + e.weChat.IssueCode("alice") + `"}`
		l := e.dial(t)
		l.say(t, head("POST /api/v1/auth/wx-login", "", "Expect: 100-continue", "Transfer-Encoding: chunked"))
		if resp, text := l.answer(t); resp.StatusCode != http.StatusContinue {
			t.Fatalf("%d %s, want 100", resp.StatusCode, text)
		}
		l.say(t, strconv.FormatInt(int64(len(body)), 16)+"\r\n"+body+"\r\n")
		l.say(t, "0\r\n\r\n")
		if resp, text := l.answer(t); resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %s, want 200: the limit bears two logins", resp.StatusCode, text)
		}
	}
}
