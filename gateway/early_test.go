package gateway

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

// earlyCases are uploads that are refused for what their head says.
func earlyCases(e *edge, t *testing.T) []struct{ name, line, token, want string } {
	t.Helper()
	e.send(t, head("POST /api/v1/auth/wx-login", "", "Content-Length: 2")+"{}") // the one that the limit bears
	return []struct{ name, line, token, want string }{
		{"no token", "POST /private/x", "", "401 token_missing"},
		{"a bad token", "POST /private/x", "a.b.c", "401 token_malformed"},
		{"no route", "POST /nowhere", "", "404 no_route"},
		{"two readings", "POST /public/../x", "", "400 invalid_request"},
		{"too often", "POST /api/v1/auth/wx-login", "", "429 rate_limited"},
		{"a method of nobody", "BREW /public/x", "", "400 invalid_request"},
	}
}

func oneLogin(cfg *Config) {
	cfg.Limits.Login = limit.BucketConfig{Per: "ip", Rate: limit.Rate{Count: 1, Per: time.Hour}, Burst: 1}
	cfg.Server.BodyLimit = 16 << 20
}

// refusedWith reads the refusal and the end of the connection behind it.
func (l line) refusedWith(t *testing.T, what, want string) {
	t.Helper()
	resp, body := l.answer(t)
	status, reason, _ := strings.Cut(want, " ")
	if fmt.Sprint(resp.StatusCode) != status || !strings.Contains(body, `"reason":"`+reason+`"`) || !resp.Close {
		t.Errorf("%s: got %d %s, close %v, want %s and close", what, resp.StatusCode, body, resp.Close, want)
	}
	if _, err := l.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("%s: behind the answer came %v, want an orderly end", what, err)
	}
}

func TestARefusalDoesNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, oneLogin)
	for _, c := range append(earlyCases(e, t), struct{ name, line, token, want string }{"too long", "POST /small/x", "", "413 body_too_large"}) {
		for _, framing := range []string{"Content-Length: 5000", "Transfer-Encoding: chunked"} {
			if c.name == "too long" && framing[0] == 'T' {
				continue
			}
			what := c.name + ", " + framing
			l := e.dial(t)
			start := time.Now()
			l.say(t, head(c.line, c.token, framing)) // and not one byte of the body
			l.refusedWith(t, what, c.want)
			if took := time.Since(start); took > 9*time.Second { // a body is waited for ten
				t.Errorf("%s: answered after %v", what, took)
			}
		}
	}
	if n := len(service.Requests()); n > 0 {
		t.Errorf("%d refused requests reached the service", n)
	}
}

func TestARefusalReachesAClientThatSendsOn(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, oneLogin)
	const size = 6 << 20
	data := strings.Repeat("b", size)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(data)/96, data[:len(data)/96])
	framings := map[string]string{"Content-Length: " + fmt.Sprint(size): data, "Transfer-Encoding: chunked": strings.Repeat(chunk, 96) + "0\r\n\r\n"}
	cases := append(earlyCases(e, t), struct{ name, line, token, want string }{"over the limit", "POST /small/x", "", "413 body_too_large"})
	for _, c := range cases {
		for framing, body := range framings {
			l := e.dial(t)
			l.say(t, head(c.line, c.token, framing)+body) // all of it, before anything is read
			l.refusedWith(t, c.name+", "+framing, c.want)
		}
	}
	for _, req := range service.Requests() {
		if strings.HasSuffix(string(req.Raw), "0\r\n\r\n") {
			t.Errorf("a refused upload looks whole to the service: %d bytes", len(req.Raw))
		}
	}
}

func TestABodyThatHasComeKeepsTheConnection(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, nil)
	l := e.dial(t)
	for range 3 {
		for _, framed := range []string{"Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"} {
			l.say(t, "POST /private/x HTTP/1.1\r\nHost: a\r\n"+framed)
			if resp, body := l.answer(t); resp.StatusCode != 401 || resp.Close {
				t.Fatalf("%q: got %d %s, close %v, want 401 on a connection that stays", framed, resp.StatusCode, body, resp.Close)
			}
		}
	}
	l.say(t, head("GET /public/x", ""))
	if resp, body := l.answer(t); resp.StatusCode != 200 {
		t.Errorf("then: %d %s, want 200", resp.StatusCode, body)
	}
}

// TestNobodyIsToldToGoOnUnasked sends heads and bodies apart, and waits for no 100.
func TestNobodyIsToldToGoOnUnasked(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	for _, version := range []string{"1.1", "1.0"} {
		l := e.dial(t)
		for i := range 5 {
			l.say(t, "POST /public/x HTTP/"+version+"\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n")
			if i%2 == 0 { // else the body is right behind
				timer := time.NewTimer(20 * time.Millisecond)
				<-timer.C
			}
			l.say(t, "hello")
			if resp, body := l.answer(t); resp.StatusCode != 200 || !strings.Contains(body, `"body":"hello"`) {
				t.Fatalf("HTTP/%s: got %d %s, want 200 alone", version, resp.StatusCode, body)
			}
		}
	}
}

// TestChallengesNameAnErrorOnlyForATokenThatCame follows RFC 6750 §3.
func TestChallengesNameAnErrorOnlyForATokenThatCame(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, nil)
	token := e.token(t, "alice")
	forged := token[:len(token)-8] + "AAAAAAAA"
	for sent, want := range map[string]string{
		"":      `Bearer realm="wxgate"`,
		"a.b.c": `Bearer realm="wxgate", error="invalid_request"`,
		forged:  `Bearer realm="wxgate", error="invalid_token"`,
	} {
		resp, body := e.send(t, head("GET /private/x", sent))
		if got := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || got != want {
			t.Errorf("%q: %d %q, want %q; %s", sent, resp.StatusCode, got, want, body)
		}
	}
}
