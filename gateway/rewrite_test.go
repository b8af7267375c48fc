package gateway

import (
	"bufio"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/authn"
	"wxgate/gateway/wire"
)

// said is a connection on which a text comes, and then its end.
type said struct {
	net.Conn
	io.Reader
}

func (s said) Read(p []byte) (int, error)      { return s.Reader.Read(p) }
func (s said) RemoteAddr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 1} }
func (s said) LocalAddr() net.Addr             { return s.RemoteAddr() }
func (s said) SetReadDeadline(time.Time) error { return nil }
func (s said) Close() error                    { return nil }

// judged says whether the strict reader takes the text for exactly one request without a body.
func judged(text string) bool {
	conn := wire.NewConn(said{Reader: strings.NewReader(text)}, wire.Config{})
	defer conn.Close()
	passed, err := io.ReadAll(conn)
	return err == nil && string(passed) == text && conn.Requests() == 1
}

// linesOf are the field lines of a head as [name, value].
func linesOf(head string) (lines [][2]string) {
	for _, line := range strings.Split(head, "\r\n") {
		if name, value, found := strings.Cut(line, ":"); found && !strings.Contains(name, " ") {
			lines = append(lines, [2]string{name, strings.Trim(value, " \t")})
		}
	}
	return lines
}

// spelled is a name as a lenient service could read it.
func spelled(name string) string {
	return strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
}

// FuzzRewrite sends any field lines through the making of the outbound request. Whatever comes in, what goes out is one
// good request with one identity, ours, and else nothing that did not come in as it is.
func FuzzRewrite(f *testing.F) {
	for _, seed := range []string{
		"", "X-User-Id: 9\r\nx_user_id: 9", "Connection: X-User-Id, close\r\nX-Hop: 1", "Connection: x-hop\r\nX-Hop: 1\r\nx_hop: 2",
		"Cookie: a=1\r\ncookie: b=2\r\nCookie:", "Content-Type: a/b\r\nContent-Type: c/d", "Via: 1.0 a\r\nVia: 1.1 b", "TE: trailers\r\nTrailer: X-User-Id",
		"X-Forwarded-For: 1.1.1.1\r\nForwarded: for=1", "Upgrade: h2c\r\nHTTP2-Settings: a\r\nConnection: Upgrade, HTTP2-Settings", "Expect: 100-continue",
		"Authorization: Bearer a\r\nProxy: b\r\nProxy_Foo: c", "X-A:\t \r\nX-A: \xff\t\x80", "Connection: ,\r\nConnection: \t, close ,,", "Date: a\r\nServer: b",
	} {
		f.Add(seed)
	}
	e := newEdge(f, "http://127.0.0.1:1", func(cfg *Config) { cfg.Identity.Headers = map[string]IdentityField{"X-User-Id": FieldID} })
	f.Fuzz(func(t *testing.T, fields string) {
		if fields != "" {
			fields += "\r\n"
		}
		in := "GET /public/x HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n"
		if !judged(in) {
			return
		}
		checkRewritten(t, in, e.rewritten(t, in))
	})
}

// rewritten is the head that a request becomes for user 7.
func (e *edge) rewritten(t *testing.T, in string) string {
	t.Helper()
	ctx := new(fasthttp.RequestCtx)
	ctx.Init2(said{}, nil, false)
	if err := ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(in))); err != nil {
		if errors.Is(err, io.EOF) {
			t.Fatalf("%q: %v", in, err)
		}
		return "" // fasthttp is stricter somewhere
	}
	c := e.app.AcquireCtx(ctx)
	defer e.app.ReleaseCtx(c)
	ex := &exchange{id: "the-request-id", route: &route{pattern: "/public/**"}, target: target{raw: []byte("/public/x")}}
	req := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(req)
	if err := e.buildRequest(c, ex, req); err != nil {
		t.Fatalf("%q: %v", in, err)
	}
	if err := e.injectIdentity(ex, req, authn.Subject{UserID: 7}); err != nil {
		t.Fatalf("%q: %v", in, err)
	}
	return string(req.Header.Header())
}

func checkRewritten(t *testing.T, in, out string) {
	t.Helper()
	if out == "" {
		return
	}
	if !judged(out) {
		t.Fatalf("%q became what we would refuse:\n%q", in, out)
	}
	ours := map[string]int{"host": 0, "via": 0, "x-forwarded-for": 0, "x-forwarded-proto": 0, "x-forwarded-host": 0, "x-request-id": 0, "x-user-id": 0}
	came, named := linesOf(in), []string{}
	for _, line := range came {
		if spelled(line[0]) == "connection" {
			for _, option := range strings.Split(line[1], ",") {
				named = append(named, strings.ToLower(strings.TrimSpace(option)))
			}
		}
	}
	for _, line := range linesOf(out) {
		name := spelled(line[0])
		if _, own := ours[name]; own {
			ours[name]++
			continue
		}
		for _, gone := range []string{
			"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "http2-settings", "proxy", "content-length", "forwarded",
		} {
			if name == gone || strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "x-user-") || strings.HasPrefix(name, "x-wx-") || strings.HasPrefix(name, "x-forwarded") {
				t.Errorf("%q: %q was passed on", in, line)
			}
		}
		if slices.Contains(named, strings.ToLower(line[0])) {
			t.Errorf("%q: %q was passed on, which Connection names", in, line)
		}
		if name == "cookie" { // several lines become one
			continue
		}
		at := slices.Index(came, line)
		if at < 0 {
			t.Fatalf("%q: %q did not come, or not in this order; out is\n%q", in, line, out)
		}
		came = came[at+1:]
	}
	for name, n := range ours {
		if n != 1 {
			t.Errorf("%q: %d lines %s, want one; out is\n%q", in, n, name, out)
		}
	}
}
