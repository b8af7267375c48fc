package gateway

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

// The tests of docs/security.md that are about no other file.

// TestAConfiguredHeaderIsOursHoweverItIsSpelled is about names that the operator and the client spell in two ways (Traefik
// CVE-2026-33433).
func TestAConfiguredHeaderIsOursHoweverItIsSpelled(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Identity.Headers = map[string]identityField{"x-CALLER-iD": fieldID, "X-Caller-Name": fieldOpenID}
	})
	token := e.token(t, "alice")
	for _, forged := range []string{"X-Caller-Id", "x-caller-id", "x-CALLER-iD", "X_CALLER_ID", "x-caller.name", "X+Caller+Name"} {
		for _, path := range []string{"/private/x", "/public/x", "/optional/x"} {
			before := len(service.Requests())
			if resp, body := e.send(t, head("GET "+path, token, forged+": forged")); resp.StatusCode != http.StatusOK {
				t.Fatalf("%s, %s: got %d %s", forged, path, resp.StatusCode, body)
			}
			req := service.Requests()[before]
			want := []string{"1"}
			if path == "/public/x" {
				want = nil
			}
			if got := req.Values("X-Caller-Id"); !slices.Equal(got, want) || strings.Contains(req.Head(), "forged") {
				t.Errorf("%s, %s: X-Caller-Id is %q, want %q\n%s", forged, path, got, want, req.Head())
			}
		}
	}
}

// TestIdentityEndsWithItsRequest has several users, and nobody, one after the other on one connection.
func TestIdentityEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	alice, bob := e.token(t, "alice"), e.token(t, "bob")
	requests := []struct{ raw, userKey string }{
		{head("GET /private/x", alice), "1"},
		{head("GET /optional/x", ""), ""},
		{head("GET /private/x", bob), "2"},
		{head("GET /public/x", alice), ""},
		{head("POST /optional/x", alice, "Expect: 100-continue", "Content-Length: 2") + "{}", "1"},
		{head("POST /optional/x", "", "Content-Length: 2") + "{}", ""},
		{head("GET /optional/x", bob), "2"},
	}
	l := e.dial(t)
	for _, c := range requests {
		l.say(t, c.raw)
	}
	eventually(t, "all have arrived", func() bool { return len(service.Requests()) == len(requests) })
	for i, req := range service.Requests() {
		if got := strings.Join(req.Values("X-User-Id"), "|"); got != requests[i].userKey {
			t.Errorf("request %d came with X-User-Id %q, want %q", i, got, requests[i].userKey)
		}
	}
}

// TestNoHeaderDecidesInPlaceOfTheRequest sends the headers that made other gateways take a private path for a public one,
// or a stranger for a neighbour, as a stranger and as a trusted proxy.
func TestNoHeaderDecidesInPlaceOfTheRequest(t *testing.T) {
	t.Parallel()
	headers := []string{
		"X-Forwarded-Uri: /public/x", "X-Forwarded-Prefix: /public", "X-Forwarded-Path: /public/x", "X-Forwarded-Method: OPTIONS",
		"X-Forwarded-Host: public.example.com", "X-Forwarded-Server: public.example.com", "X-Forwarded-Port: 443", "X-Forwarded-Proto: https",
		"X-Forwarded-Scheme: https", "X-Forwarded-User: 9", "X-Forwarded-Email: a@b.c", "X-Forwarded-Access-Token: a", "X-Forwarded-For: 127.0.0.9", "X-Forwarded-Protocol: https", "X-Forwarded-Ssl: on",
		"X-Original-URL: /public/x", "X-Original-URI: /public/x", "X-Original-Method: GET", "X-Original-Host: public.example.com",
		"X-Rewrite-URL: /public/x", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1;host=public.example.com;proto=https",
		"X-HTTP-Method-Override: OPTIONS", "Host_: public.example.com", "User-Agent: kube-probe/1.29", "User-Agent: GoogleHC/1.0",
		"User-Agent: ELB-HealthChecker/2.0", "X-Health-Check: 1",
	}
	for name, trusted := range map[string]bool{"a stranger": false, "a trusted proxy": true} {
		service := upstreamtest.Echo(t)
		e := newEdge(t, service.URL, func(cfg *Config) {
			cfg.Routes = []RouteConfig{
				{Path: "/private/**", Upstream: "service", Auth: AuthRequired},
				{Path: "/**", Host: "public.example.com", Upstream: "service", Auth: AuthNone},
				{Path: "/public/**", Upstream: "service", Auth: AuthNone},
			}
			if trusted {
				cfg.Server.TrustedProxies = append(cfg.Server.TrustedProxies, limit.Network{Prefix: netPrefix(t, "127.0.0.0/8")})
			}
		})
		for _, header := range headers {
			resp, body := e.send(t, head("GET /private/x", "", header))
			if resp.StatusCode != http.StatusUnauthorized || len(service.Requests()) > 0 {
				t.Errorf("%s with %q: got %d %s, want 401 and nothing at the service", name, header, resp.StatusCode, body)
			}
		}
		e.send(t, head("GET /public/x", "", append(headers, "X-Forwarded-Url: /private/x")...))
		said := service.Requests()[0].Head()
		for _, header := range headers {
			field, _, _ := strings.Cut(header, ":")
			passes := strings.HasPrefix(header, "User-Agent") || field == "X-Health-Check" || field == "Host_"
			ours := slices.Contains([]string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"}, field)
			if !passes && (!ours || !trusted) && strings.Contains(said, "\r\n"+header+"\r\n") {
				t.Errorf("%s: %q reached the service:\n%s", name, header, said)
			}
		}
	}
}

// TestAProtectedPathStaysProtectedHoweverItIsDressed asks for a protected path beside a route that is open for all the rest.
func TestAProtectedPathStaysProtectedHoweverItIsDressed(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = []RouteConfig{
			{Path: "/private/**", Upstream: "service", Auth: AuthRequired},
			{Path: "/**", Upstream: "service", Auth: AuthNone},
		}
	})
	for _, target := range []string{
		"/private", "/private/", "/private/x", "/PRIVATE/x", "/Private/X", "/%70rivate/x", "/p%72ivate/x", "/%50RIVATE/x", "/private%2fx", "/private%2Fx",
		"/private?/public/x", "/private/?x=/../public", "/private/x?../../public/x", "/private/x#/public/x", "/private#",
		"/private/healthz", "/private/..;/x", "/public/../private/x", "/public/..%2fprivate/x", "/public/%2e%2e/private/x", "/public/%252e%252e/private/x",
		"/public/..;/private/x", "/public;/../private/x", "/private;/x", "/private;a=b/x", "/private%3b/x", "//private/x", "/./private/x", "/public//../private/x",
		"/private%20/x", "/%20private/x", "/private%00/x", "/private%09/x", "/private%0a/x", "/private%0d%0a/x", "/private\\x", "/public\\..\\private/x",
		"/public/%5c../private/x", "/%c0%afprivate/x", "/public/%c0%ae%c0%ae/private/x", "/priv%61te/x", "/private/.%2e/x", "/private/%2e", "/private%", "/private%2",
		"/...%2fprivate/x", "/public/.../private", "/private%ef%bc%8fx%ff", "http://api.example.com/private/x", "HTTP://API.EXAMPLE.COM/private/x",
		"http://api.example.com//private/x", "http://api.example.com/public/../private/x", "http://other.example.com/private/x", "/healthz/../private/x", "/healthz/..;/private/x",
		"private/x", "*/private/x", "?/private/x", "", "/private/x HTTP/1.1\r\nX: ",
	} {
		resp, body := e.send(t, head("GET "+target, ""))
		if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: got %d %s, want 401 or 400", target, resp.StatusCode, body)
		}
	}
	for _, req := range service.Requests() {
		t.Errorf("%q reached the service", req.Target)
	}
}

// TestAnUploadThatBreaksOffNeverLooksWhole ends uploads in the middle, in every way that a phone can.
func TestAnUploadThatBreaksOffNeverLooksWhole(t *testing.T) {
	t.Parallel()
	ends := map[string]func(net.Conn){
		"a close":    func(c net.Conn) { _ = c.Close() },
		"a reset":    upstreamtest.Reset,
		"half-close": func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() },
	}
	bodies := map[string]string{
		"a length":                "Content-Length: 40000\r\n\r\n" + strings.Repeat("b", 30_000),
		"a small length":          "Content-Length: 5\r\n\r\nbbbb",
		"a byte of a length":      "Content-Length: 40000\r\n\r\nb",
		"chunks":                  "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"the middle of a chunk":   "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
		"the middle of a size":    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1",
		"before the last line":    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
		"the middle of a trailer": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Late: 1\r\n",
		"a broken chunk":          "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0x0\r\n\r\n",
	}
	for end, leave := range ends {
		for name, rest := range bodies {
			t.Run(name+", "+end, func(t *testing.T) {
				t.Parallel()
				arrived := make(chan string, 8)
				service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
					all, _ := io.ReadAll(conn)
					arrived <- string(all)
				})
				e := newEdge(t, service.URL, nil)
				l := e.dial(t)
				l.say(t, "POST /public/x HTTP/1.1\r\nHost: h\r\n"+rest)
				if name != "a small length" { // which goes out with its last byte alone
					eventually(t, "the request is at the service", func() bool { return service.Conns() > 0 })
				}
				leave(l.Conn)
				eventually(t, "the gateway is through", func() bool {
					return e.count(t, "wxgate_requests_total", `source="gateway"`) > 0
				})
				service.CloseConns()
				for range service.Conns() {
					if got := <-arrived; looksWhole([]byte(got)) {
						t.Errorf("the service could take this for whole:\n%.300q", got)
					}
				}
			})
		}
	}
}

// TestAWeChatThatIsDownTouchesNobodyElse has a WeChat that answers no login.
func TestAWeChatThatIsDownTouchesNobodyElse(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	token, code := e.token(t, "alice"), e.weChat.IssueCode("bob")
	if err := e.weChat.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		body := `{"code":"` + code + strings.Repeat("x", i) + `"}`
		resp, answer := e.send(t, head("POST /api/v1/auth/wx-login", "", "Content-Type: application/json", "Content-Length: "+strconv.Itoa(len(body)))+body)
		if resp.StatusCode < 502 || resp.StatusCode > 504 {
			t.Errorf("login %d: got %d %s, want 502 to 504", i, resp.StatusCode, answer)
		}
		for _, path := range []string{"/private/x", "/public/x", "/api/v1/user/profile"} {
			if resp, answer := e.send(t, head("GET "+path, token)); resp.StatusCode != http.StatusOK {
				t.Errorf("%s beside it: got %d %s, want 200", path, resp.StatusCode, answer)
			}
		}
	}
}
