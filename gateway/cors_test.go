package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/cors"
	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

const (
	adminPage = "https://admin.example.com"
	evilPage  = "https://evil.example.net"
)

// pages is a list of allowed origins.
func pages(tb testing.TB, texts ...string) cors.Config {
	tb.Helper()
	cfg := cors.DefaultConfig()
	for _, text := range texts {
		var o cors.Origin
		if err := o.UnmarshalText([]byte(text)); err != nil {
			tb.Fatal(err)
		}
		cfg.Origins = append(cfg.Origins, o)
	}
	return cfg
}

// corsFields are the lines of an answer that a browser decides by, sorted.
func corsFields(h http.Header) string {
	var lines []string
	for name, values := range h {
		if strings.HasPrefix(name, "Access-Control-") || name == "Vary" {
			for _, value := range values {
				lines = append(lines, name+": "+value)
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

const exposedHeaders = "X-Request-Id, X-Wxgate-Reason, Retry-After, RateLimit, RateLimit-Policy"

// newOpenEdge lets the pages of admin.example.com and of everything below shop.example.com read answers.
func newOpenEdge(t *testing.T, serviceURL string, change func(*Config)) *edge {
	t.Helper()
	return newEdge(t, serviceURL, func(cfg *Config) {
		cfg.Server.CORS = pages(t, adminPage, "https://*.shop.example.com")
		if change != nil {
			change(cfg)
		}
	})
}

func TestAPageOfAnAllowedOriginReadsEveryAnswer(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newOpenEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes,
			RouteConfig{Path: "/once", Upstream: "service", Auth: AuthNone, RateLimit: RateLimitConfig{Per: limit.PerRoute, Rate: limit.Rate{Count: 1, Per: time.Hour}, Burst: 1}},
			RouteConfig{Path: "/fixed", Auth: AuthNone, Respond: fixedAnswer{Status: 200, Body: "ok"}})
	})
	e.send(t, head("GET /once", ""))
	token := e.token(t, "alice")
	for _, row := range []struct {
		line, token string
		status      int
		more        []string
	}{
		{"GET /private/x", token, 200, nil},
		{"GET /private/x", "", 401, nil},
		{"GET /public/x", "", 200, nil},
		{"GET /fixed", "", 200, nil},
		{"GET /nowhere", "", 404, nil},
		{"GET /public//x", "", 400, nil},
		{"GET /once", "", 429, nil},
		{"GET /healthz", "", 200, nil},
		{"POST /api/v1/auth/wx-login", "", 400, []string{"Content-Length: 0"}},
		{"POST /small/x", "", 413, []string{"Content-Length: 2000", "Connection: close"}},
		{"GET /api/v1/user/profile", token, 200, nil},
	} {
		for from, allowed := range map[string]bool{adminPage: true, "https://a.shop.example.com": true, evilPage: false, "null": false, "": false} {
			more := row.more
			if from != "" {
				more = append(slices.Clone(more), "Origin: "+from)
			}
			resp, body := e.send(t, head(row.line, row.token, more...))
			want := "Vary: Origin"
			if allowed {
				want = fmt.Sprintf("Access-Control-Allow-Origin: %s\nAccess-Control-Expose-Headers: %s\nVary: Origin", from, exposedHeaders)
			}
			if got := corsFields(resp.Header); resp.StatusCode != row.status || got != want {
				t.Errorf("%s from %q: got %d with\n%s\nwant %d with\n%s\n%s", row.line, from, resp.StatusCode, got, row.status, want, body)
			}
		}
	}
}

// preflight is the question whether a page may send a request.
func preflight(path, from, method, headers string) string {
	lines := []string{"Origin: " + from, "Access-Control-Request-Method: " + method}
	if headers != "" {
		lines = append(lines, "Access-Control-Request-Headers: "+headers)
	}
	return head("OPTIONS "+path, "", lines...)
}

func TestAPreflightIsAnsweredWithoutATokenOrTheService(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newOpenEdge(t, service.URL, func(cfg *Config) {
		strict := pages(t, "https://shop.example.com")
		strict.Methods, strict.Headers, strict.Expose = []string{"GET", "PUT"}, []string{"Authorization", "Content-Type"}, []string{"X-Total-Count"}
		strict.Credentials, strict.MaxAge = true, 0
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/private/strict", Methods: []string{"PUT"}, Upstream: "service", Auth: AuthRequired, CORS: &strict})
	})
	open := fmt.Sprintf("Access-Control-Allow-Headers: authorization, x-token\nAccess-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\n"+
		"Access-Control-Allow-Origin: %s\nAccess-Control-Expose-Headers: %s\nAccess-Control-Max-Age: 600\nVary: Access-Control-Request-Headers\nVary: Origin", adminPage, exposedHeaders)
	strict := "Access-Control-Allow-Credentials: true\nAccess-Control-Allow-Headers: Authorization, Content-Type\nAccess-Control-Allow-Methods: GET, PUT\n" +
		"Access-Control-Allow-Origin: https://shop.example.com\nAccess-Control-Expose-Headers: " + exposedHeaders + ", X-Total-Count\nAccess-Control-Max-Age: 0\nVary: Access-Control-Request-Headers\nVary: Origin"
	none := "Vary: Access-Control-Request-Headers\nVary: Origin"
	for _, row := range []struct{ path, from, method, want string }{
		{"/private/x", adminPage, "DELETE", open},
		{"/private/strict", adminPage, "GET", open}, // that is /private/**
		{"/private/strict", "https://shop.example.com", "PUT", strict},
		{"/private/strict", adminPage, "PUT", none},
		{"/private/x", evilPage, "GET", none},
		{"/api/v1/auth/wx-login", adminPage, "POST", open},
		{"/nowhere", adminPage, "POST", open}, // so that the page can read the 404
		{"/nowhere", evilPage, "POST", none},
	} {
		resp, body := e.send(t, preflight(row.path, row.from, row.method, "authorization, x-token"))
		if got := corsFields(resp.Header); resp.StatusCode != 204 || body != "" || got != row.want {
			t.Errorf("%s %s from %s: got %d with\n%s\nwant 204 with\n%s", row.method, row.path, row.from, resp.StatusCode, got, row.want)
		}
	}
	if resp, _ := e.send(t, preflight("/private/x", adminPage, "GET", "a, b:c")); resp.Header.Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("got %q allowed, want nothing of a list that has no names", resp.Header.Get("Access-Control-Allow-Headers"))
	}
	if got := len(service.Requests()); got != 0 {
		t.Errorf("the service got %d requests, want none", got)
	}
	// without Access-Control-Request-Method it is a request like any other
	if resp, _ := e.send(t, head("OPTIONS /private/x", "", "Origin: "+adminPage)); resp.StatusCode != 401 {
		t.Errorf("OPTIONS without a question: got %d, want 401", resp.StatusCode)
	}
}

func TestWhatAServiceSaysOfOriginsIsNotDoubled(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		return "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nVary: Accept-Encoding, origin\r\nAccess-Control-Allow-Credentials: true\r\n" +
			"access-control-expose-headers: X-Total-Count, retry-after\r\nContent-Length: 2\r\n\r\nok"
	})
	e := newOpenEdge(t, service.URL, func(cfg *Config) {
		off := cors.DefaultConfig()
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/own/**", Upstream: "service", Auth: AuthNone, CORS: &off})
	})
	ours := fmt.Sprintf("Access-Control-Allow-Origin: %s\nAccess-Control-Expose-Headers: %s, X-Total-Count\nVary: Accept-Encoding, origin", adminPage, exposedHeaders)
	theirs := "Access-Control-Allow-Credentials: true\nAccess-Control-Allow-Origin: *\nAccess-Control-Expose-Headers: X-Total-Count, retry-after\nVary: Accept-Encoding, origin"
	for _, row := range []struct{ path, from, want string }{
		{"/public/x", adminPage, ours},
		{"/public/x", evilPage, "Access-Control-Expose-Headers: X-Total-Count, retry-after\nVary: Accept-Encoding, origin"},
		{"/own/x", evilPage, theirs},
	} {
		resp, _ := e.send(t, head("GET "+row.path, "", "Origin: "+row.from))
		if got := corsFields(resp.Header); got != row.want {
			t.Errorf("%s from %s: got\n%s\nwant\n%s", row.path, row.from, got, row.want)
		}
	}
	// a route whose service decides gets its preflights
	if resp, _ := e.send(t, preflight("/own/x", evilPage, "GET", "")); resp.StatusCode != 200 || len(service.Requests()) != 4 {
		t.Errorf("got %d after %d requests to the service, want its 200 as the fourth", resp.StatusCode, len(service.Requests()))
	}
}

// TestAPreflightThatNobodyAnswersGoesNoFurtherThanItsOwnMethod: path_rules of the route that a preflight asks about say
// nothing of the route that the preflight itself takes to the service.
func TestAPreflightThatNobodyAnswersGoesNoFurtherThanItsOwnMethod(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	theirs, rules := cors.DefaultConfig(), PathRules{EncodedSlash: allow, Semicolon: allow}
	var made Config
	e := newOpenEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = []RouteConfig{
			{Path: "/files/**", Methods: []string{"GET"}, Upstream: "service", Auth: AuthNone, PathRules: rules, CORS: &theirs},
			{Path: "/files/a/b", Methods: []string{"OPTIONS"}, Upstream: "service", Auth: AuthRequired},
			{Path: "/open/**", Upstream: "service", Auth: AuthNone, PathRules: rules, CORS: &theirs},
			{Path: "/ours/**", Methods: []string{"GET"}, Upstream: "service", Auth: AuthNone, PathRules: rules},
			{Path: "/**", Methods: []string{"OPTIONS"}, Upstream: "service", Auth: AuthNone, CORS: &theirs},
		}
		made = *cfg
	})
	for path, want := range map[string]int{
		"/files/a%2Fb": 400, "/files/a;x/b": 400, "/files/a%2fb;x": 400, "/files/a/b": 401, "/files/c%2Fd": 400, "/files/c/d": 200,
		"/open/a%2Fb": 200, "/open/a;x/b": 200, "/ours/a%2Fb": 204, "/ours/a;x/b": 204, "/ours/a/b": 204,
	} {
		before := len(service.Requests())
		resp, body := e.send(t, preflight(path, adminPage, "GET", ""))
		if got := len(service.Requests()) - before; resp.StatusCode != want || got != map[int]int{200: 1}[want] {
			t.Errorf("%s: got %d and %d requests at the service, want %d: %s", path, resp.StatusCode, got, want, body)
		}
		said, err := Explain(made, Question{
			Method: "OPTIONS", Target: path, Host: "h", Client: netip.MustParseAddr("192.0.2.1"),
			Headers: []string{"Origin: " + adminPage, "Access-Control-Request-Method: GET"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if (said.Refusal != nil) != (want == 400) { // of tokens it says nothing
			t.Errorf("%s: explain says %+v, want %d", path, said.Refusal, want)
		}
	}
}

func TestEveryPageIsAllowedWithoutCredentialsOnly(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) { cfg.Server.CORS = pages(t, "*") })
	want := "Access-Control-Allow-Origin: *\nAccess-Control-Expose-Headers: " + exposedHeaders
	for _, from := range []string{evilPage, "null"} {
		resp, _ := e.send(t, head("GET /public/x", "", "Origin: "+from))
		if got := corsFields(resp.Header); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestWithoutCORSNothingChanges(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	for _, request := range []string{head("GET /public/x", "", "Origin: "+adminPage), head("GET /nowhere", "", "Origin: "+adminPage), preflight("/public/x", adminPage, "GET", "")} {
		if resp, _ := e.send(t, request); corsFields(resp.Header) != "" {
			t.Errorf("%q: got\n%s\nwant nothing", request, corsFields(resp.Header))
		}
	}
	if got := len(service.Requests()); got != 2 {
		t.Errorf("the service got %d requests, want the preflight too", got)
	}
}

// TestNoPageChangesWhoAsks: identity stays what the token says, whatever a preflight or an Origin claims.
func TestNoPageChangesWhoAsks(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newOpenEdge(t, service.URL, nil)
	e.send(t, head("GET /public/x", e.token(t, "alice"), "Origin: "+adminPage, "X-User-Id: forged", "Access-Control-Request-Headers: X-User-Id", "Access-Control-Request-Method: GET"))
	resp, _ := e.send(t, head("GET /private/x", "", "Origin: "+adminPage, "Access-Control-Request-Method: GET"))
	if raw := service.Requests()[0].Head(); strings.Contains(raw, "forged") || resp.StatusCode != 401 {
		t.Errorf("got %d without a token, want 401, and the service got\n%s", resp.StatusCode, raw)
	}
}

func TestFaultsOfCORS(t *testing.T) {
	t.Parallel()
	cfg := pages(t, "*", adminPage)
	cfg.Credentials, cfg.Methods, cfg.Headers, cfg.Expose, cfg.MaxAge = true, []string{"get"}, []string{"*"}, []string{"a b"}, 48*time.Hour
	var got []string
	for _, fault := range cfg.Validate().At("server.cors") {
		got = append(got, fault.Error())
	}
	want := []string{
		"server.cors.credentials: are never sent to every page: list the origins instead of *",
		"server.cors.origins: has * beside other origins; * alone stands for every page",
		`server.cors.methods[0]: "get" is not one of GET, HEAD, POST, PUT, PATCH, DELETE; did you mean "GET"?`,
		`server.cors.headers[0]: "*" is not a header name`,
		`server.cors.expose[0]: "a b" is not a header name`,
		"server.cors.max_age: 48h is not between 0s and 24h",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
