package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
	"wxgate/gateway/accesslog"
	"wxgate/gateway/admin"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/gateway/route"
	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/badger"
	"wxgate/upstream"
	"wxgate/upstream/upstreamtest"
)

const testAppID = "wx3333333333333333"

// edge is a gateway on a real socket before a service on another.
type edge struct {
	*Gateway
	addr   string
	weChat *sandbox.Sandbox
}

// reload puts cfg in force.
func (e *edge) reload(tb testing.TB, cfg Config, upstreams map[string]*upstream.Upstream) {
	tb.Helper()
	apply, err := e.Prepare(cfg, Change{Upstreams: upstreams, Keys: e.deps.Authn.Tokens.Keys()})
	if err != nil {
		tb.Fatal(err)
	}
	apply()
}

// newEdge runs a gateway whose upstream is called service.
func newEdge(tb testing.TB, serviceURL string, change func(*Config)) *edge {
	tb.Helper()
	return newEdgeWith(tb, serviceURL, change, nil)
}

// newEdgeWith is newEdge with other things to work with.
func newEdgeWith(tb testing.TB, serviceURL string, change func(*Config), with func(*Deps)) *edge {
	tb.Helper()
	return newEdgeOf(tb, serviceURL, change, with, func(*upstreamConfig) {})
}

type upstreamConfig = upstream.Config

// newEdgeOf is newEdge with a say in how the service is treated, and in the bounds of its connections.
func newEdgeOf(tb testing.TB, serviceURL string, change func(*Config), with func(*Deps), treat func(*upstreamConfig), bounds ...func(*listen.Config)) *edge {
	tb.Helper()
	cfg := DefaultConfig()
	cfg.Log.Access, cfg.Upstreams = false, []string{"service"}
	cfg.Limits.Login = limit.BucketConfig{Per: "ip", Rate: limit.Rate{Count: 1_000_000, Per: time.Second}, Burst: 1_000_000}
	cfg.Limits.Sessions = limit.BucketConfig{Per: limit.PerUser, Rate: cfg.Limits.Login.Rate, Burst: cfg.Limits.Login.Burst}
	cfg.Routes = []RouteConfig{
		{Path: "/private/**", Upstream: "service", Auth: AuthRequired},
		{Path: "/public/**", Upstream: "service", Auth: AuthNone},
		{Path: "/optional/**", Upstream: "service", Auth: AuthOptional},
		{Path: "/strip/**", Upstream: "service", Auth: AuthNone, StripPrefix: "/strip"},
		{Path: "/small/**", Upstream: "service", Auth: AuthNone, BodyLimit: 1 << 10},
		{Path: "/quick/**", Upstream: "service", Auth: AuthNone, Timeout: 300 * time.Millisecond},
	}
	if change != nil {
		change(&cfg)
	}
	if faults := cfg.Validate(); len(faults) > 0 {
		tb.Fatal(faults)
	}
	weChat, store, client, auth := newTestAuthn(tb)
	target := upstream.DefaultConfig()
	target.Targets = []upstream.Target{{URL: serviceURL, Weight: 1}}
	treat(&target)
	to, err := upstream.New("service", target, upstream.NewMetrics(prometheus.NewRegistry()), nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(to.Close)
	deps := Deps{
		WeChat: map[string]admin.Broker{testAppID: client},
		Authn:  auth, Storage: store, Quotas: store, Upstreams: map[string]*upstream.Upstream{"service": to}, Metrics: prometheus.NewRegistry(),
		Log: discard(), Access: accesslog.New(io.Discard, accesslog.JSON), Now: time.Now,
	}
	if with != nil {
		with(&deps)
	}
	g, err := New(cfg, deps)
	if err != nil {
		tb.Fatal(err)
	}
	wireCfg := g.ListenConfig()
	for _, bound := range bounds {
		bound(&wireCfg)
	}
	ln, err := listen.Listen("tcp", "127.0.0.1:0", wireCfg)
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(ln) }()
	tb.Cleanup(func() {
		_ = ln.Close()
		ln.Abort()
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			tb.Error(err)
		}
		ln.Wait()
		eventually(tb, "nobody is watched any more", func() bool {
			g.watcher.mu.Lock()
			defer g.watcher.mu.Unlock()
			return g.watcher.watched == nil
		})
		eventually(tb, "nothing is held any more", func() bool {
			places, uploads := g.admission.inFlight.Taken()
			return g.admission.ledger.Clients() == 0 && places == 0 && uploads == 0
		})
	})
	return &edge{g, ln.Addr().String(), weChat}
}

// inFlight is how many places are taken.
func (e *edge) inFlight() int64 {
	places, _ := e.admission.inFlight.Taken()
	return places
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newTestAuthn(tb testing.TB) (*sandbox.Sandbox, *badger.Store, *wechat.Client, *authn.Authn) {
	tb.Helper()
	weChat, err := sandbox.New(sandbox.Config{
		AppID: testAppID, Secret: "sandbox-secret", OpenPlatform: true, OfferID: testOffer, AppKey: testAppKey, SandboxAppKey: testSandboxAppKey,
		PushToken: pushToken, PushAESKey: pushKey, PushRetry: time.Millisecond,
		OfficialAccount: sandbox.WebAccount{AppID: testOfficial, Secret: "sandbox-secret"},
		Website:         sandbox.WebAccount{AppID: testWebsite, Secret: "sandbox-secret"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := weChat.Start("127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = weChat.Close() })
	storeCfg := storage.DefaultConfig()
	storeCfg.Badger.Dir = tb.TempDir()
	store, err := badger.Open(storeCfg, prometheus.NewRegistry(), discard(), time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	client, err := wechat.New(wechat.Config{AppID: testAppID, Secret: "sandbox-secret", BaseURL: weChat.URL(), Timeout: 3 * time.Second}, wechat.Deps{Metrics: prometheus.NewRegistry()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	return weChat, store, client, newAuthnOn(tb, weChat, store, client)
}

// newAuthnOn is an authn of its own with a store that others may have too.
func newAuthnOn(tb testing.TB, weChat *sandbox.Sandbox, store authn.Store, client *wechat.Client) *authn.Authn {
	tb.Helper()
	cfg := authn.DefaultConfig()
	cfg.Keys = []token.KeyConfig{{ID: "main", Secret: secret.Text(strings.Repeat("k", 32))}}
	auth, err := authn.New(tb.Context(), cfg, authn.Deps{
		Store: store, Apps: map[string]authn.WeChat{testAppID: client}, Webs: newWebs(tb, weChat.URL()), Budget: 3 * time.Second,
		Metrics: prometheus.NewRegistry(), Log: discard(), Now: time.Now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return auth
}

// token logs a person in.
func (e *edge) token(tb testing.TB, person string) string {
	tb.Helper()
	grant, err := e.deps.Authn.Login(tb.Context(), authn.Login{Code: e.weChat.IssueCode(person)})
	if err != nil {
		tb.Fatal(err)
	}
	return grant.Token
}

// send writes raw bytes on a fresh connection and reads one answer.
func (e *edge) send(tb testing.TB, raw string) (*http.Response, string) {
	tb.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, raw); err != nil {
		tb.Fatal(err)
	}
	method, _, _ := strings.Cut(raw, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		tb.Fatalf("%q: %v", raw, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatalf("%q: %v", raw, err)
	}
	return resp, string(body)
}

// head writes a request head: its first line, Host, a token unless empty, and more lines.
func head(line, token string, more ...string) string {
	lines := []string{line + " HTTP/1.1", "Host: api.example.com"}
	if token != "" {
		lines = append(lines, "Authorization: Bearer "+token)
	}
	return strings.Join(append(lines, more...), "\r\n") + "\r\n\r\n"
}

func TestIdentityArrivesOnceAndOnlyFromUs(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	token := e.token(t, "alice")
	for name, forged := range map[string][]string{
		"nothing":                          nil,
		"one header":                       {"X-User-Id: forged"},
		"three spellings":                  {"X-User-Id: forged", "x-user-id: forged", "X-USER-ID: forged"},
		"underscores":                      {"X_User_Id: forged", "X-User_Id: forged", "x_user_id: forged"},
		"dots":                             {"X.User.Id: forged"},
		"a Connection that names ours":     {"Connection: X-User-Id, x-user-openid"},
		"a Connection with close":          {"Connection: close, X-User-Id"},
		"a Trailer that names ours":        {"Trailer: X-User-Id"},
		"WeChat's headers":                 {"X-WX-OPENID: oforged", "X-WX-SOURCE: wx_client"},
		"another header of the family":     {"X-User-Role: forged"},
		"an empty one":                     {"X-User-Id:"},
		"a hundred values in one":          {"X-User-Id: " + strings.Repeat("forged, ", 100)},
		"a twin of another of our headers": {"X_Request_Id: forged", "X.Request.Id: forged", "X_Forwarded_For: forged", "X-Forwarded: forged", "x_real_ip: forged", "Proxy: forged", "Proxy_Foo: forged"},
		"a method override and forgeries":  {"X-HTTP-Method-Override: DELETE", "X-User-Nickname: forged"},
	} {
		before := len(service.Requests())
		for _, path := range []string{"/private/x", "/public/x", "/optional/x"} {
			resp, body := e.send(t, head("GET "+path, token, forged...))
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s, %s: %d %s", name, path, resp.StatusCode, body)
			}
		}
		for i, req := range service.Requests()[before:] {
			want := []string{"1"}
			if i == 1 { // the public route
				want = nil
			}
			if got := req.Values("X-User-Id"); strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("%s, %s: X-User-Id is %q, want %q", name, req.Target, got, want)
			}
			if raw := req.Head(); strings.Contains(raw, "forged") {
				t.Errorf("%s: a forgery arrived:\n%s", name, raw)
			}
		}
	}
}

func TestTrailersCanNeitherCarryNorRemoveIdentity(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	body := "5\r\nhello\r\n0\r\nX-User-Id: forged\r\nX-Late: forged\r\n\r\n"
	for _, path := range []string{"/private/x", "/public/x"} {
		resp, text := e.send(t, head("POST "+path, e.token(t, "alice"), "Transfer-Encoding: chunked", "Trailer: X-User-Id, X-Late")+body)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", path, resp.StatusCode, text)
		}
		req := service.Requests()[len(service.Requests())-1]
		if string(req.Body) != "hello" || strings.Contains(string(req.Raw), "forged") {
			t.Errorf("%s: the service received\n%s", path, req.Raw)
		}
		if got := len(req.Values("X-User-Id")); got != map[string]int{"/private/x": 1, "/public/x": 0}[path] {
			t.Errorf("%s: %d identity headers in\n%s", path, got, req.Raw)
		}
	}
}

func TestTheTargetArrivesByteForByte(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	for _, target := range []string{
		"/public/a%7Eb%2bc", "/public/%e8%8f%9c?q=%E8%8F%9C", "/public/!*'()?a=!*'()&b=?/:@", "/public/?", "/public/x?", "/public/a,b@c",
		"/public/" + strings.Repeat("a", 3000),
	} {
		e.send(t, head("GET "+target, ""))
		if got := service.Requests()[len(service.Requests())-1].Target; got != target {
			t.Errorf("%.60s arrived as %.60s", target, got)
		}
	}
	for target, want := range map[string]string{
		"/strip/a%7Eb?x": "/a%7Eb?x", "/strip": "/", "/strip/": "/", "/strip?x": "/?x", "/%73trip/a": "/a",
	} {
		e.send(t, head("GET "+target, ""))
		if got := service.Requests()[len(service.Requests())-1].Target; got != want {
			t.Errorf("%s arrived as %s, want %s", target, got, want)
		}
	}
}

func TestAnEncodedLetterDoesNotDodgeARoute(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/**", Upstream: "service", Auth: AuthNone})
	})
	for _, target := range []string{"/private/x", "/%70rivate/x", "/priv%61te/x", "/PRIVATE/x", "/%50rivate/x"} {
		if resp, body := e.send(t, head("GET "+target, "")); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d %s, want 401", target, resp.StatusCode, body)
		}
	}
}

func TestOnlyEndToEndHeadersPass(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	e.send(t, head("GET /public/x", "tok", "Connection: keep-alive, X-Secret-Hop", "X-Secret-Hop: hop", "Keep-Alive: hop", "TE: hop",
		"Proxy-Authorization: hop", "Proxy-Connection: hop", "Upgrade: hop", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Prefix: /hop", "Forwarded: for=6.6.6.6",
		"X-Real-Ip: 6.6.6.6", "X-Request-Id: 6.6.6.6", "Accept: a/b", "Accept: c/d", "Cookie: a=1; b=2", "X-Kept:   spaces  ", "If-None-Match: \"x\""))
	req := service.Requests()[0]
	if raw := req.Head(); strings.Contains(raw, "hop") || strings.Contains(raw, "6.6.6.6") || strings.Contains(raw, "Content-Type") {
		t.Errorf("the service received\n%s", raw)
	}
	for name, want := range map[string][]string{
		"Host": {"api.example.com"}, "Accept": {"a/b", "c/d"}, "Cookie": {"a=1; b=2"}, "X-Kept": {"spaces"}, "If-None-Match": {`"x"`},
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"api.example.com"}, "Authorization": {"Bearer tok"},
	} {
		if got := req.Values(name); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if id := req.Values("X-Request-Id"); len(id) != 1 || len(id[0]) < 16 {
		t.Errorf("X-Request-Id is %q", id)
	}
}

func TestAnAnswerCarriesOneRequestIDWhateverTheServiceSays(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Fixed(t, "HTTP/1.1 200 OK\r\nx-request-id: theirs\r\nX-REQUEST-ID: theirs\r\nContent-Length: 0\r\n\r\n")
	e := newEdge(t, service.URL, nil)
	resp, _ := e.send(t, head("GET /public/x", ""))
	if got := resp.Header.Values("X-Request-Id"); len(got) != 1 || got[0] == "theirs" {
		t.Errorf("X-Request-Id is %q, want one of ours", got)
	}
	if resp.Header.Get("Date") == "" {
		t.Error("there is no Date")
	}
}

func TestHeadersArriveAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	lines := []string{
		`cookie: j={"a":1,"b":2}; sid=1`, `Cookie: c="x;y"; a=x\y`, `Cookie: a="`, "Content-Type: a/b",
		"User-Agent: one", "user-agent: two", "X-mIxEd-CaSe: v", "Accept-Language: zh;q=0.9,\ten", "X-Empty:",
	}
	e.send(t, head("GET /public/x", "", lines...))
	raw := service.Requests()[0].Head()
	lines[2] = `cookie: j={"a":1,"b":2}; sid=1; c="x;y"; a=x\y; a="` // one line of three: RFC 9113 §8.2.3
	for _, line := range lines[2:] {
		want := strings.Replace(strings.Replace(line, "X-Empty:", "X-Empty: ", 1), "zh;q=0.9,\ten", "zh;q=0.9,\ten", 1)
		if !strings.Contains(raw, "\r\n"+want+"\r\n") {
			t.Errorf("the line %q did not arrive in\n%s", want, raw)
		}
	}
}

func TestConnectionOptionsCountOnEveryLine(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	for _, lines := range [][]string{{"Connection: X-Hop", "Connection: close"}, {"Connection: close, X-Hop"}} {
		resp, _ := e.send(t, head("GET /public/x", "", append(lines, "X-Hop: hop")...))
		if raw := service.Requests()[len(service.Requests())-1].Head(); strings.Contains(raw, "hop") || !resp.Close {
			t.Errorf("%q: closed %v, the service received\n%s", lines, resp.Close, raw)
		}
	}
}

func TestAPostStandsForTheMethodThatWxRequestCannotSend(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/only-post", Methods: []string{"POST"}, Upstream: "service", Auth: AuthNone})
	})
	for _, c := range []struct {
		line, override string
		status         int
		arrives        string
	}{
		{"POST /public/x", "PATCH", 200, "PATCH"},
		{"POST /public/x", "DELETE", 200, "DELETE"},
		{"GET /public/x", "DELETE", 200, "GET"},
		{"POST /only-post", "DELETE", 404, ""},
		{"POST /public/x", "CONNECT", 400, ""},
		{"POST /public/x", "patch", 400, ""},
		{"POST /public/x", "", 400, ""},
	} {
		resp, body := e.send(t, head(c.line, "", "X-HTTP-Method-Override: "+c.override, "Content-Length: 0"))
		if resp.StatusCode != c.status {
			t.Errorf("%s with %q: %d %s, want %d", c.line, c.override, resp.StatusCode, body, c.status)
			continue
		}
		if requests := service.Requests(); c.arrives != "" && (requests[len(requests)-1].Method != c.arrives || strings.Contains(requests[len(requests)-1].Head(), "Override")) {
			t.Errorf("%s with %q arrived as\n%s", c.line, c.override, requests[len(requests)-1].Head())
		}
	}
}

func TestTheTokenStopsHereWhenTold(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) { cfg.Identity.ForwardAuthorization = false })
	token := e.token(t, "alice")
	e.send(t, head("GET /private/x", token))
	if raw := service.Requests()[0].Head(); strings.Contains(raw, token) || !strings.Contains(raw, "X-User-Id: 1") {
		t.Errorf("the service received\n%s", raw)
	}
}

// TestAClientCannotSayThatItCameOverHTTPS sends what frameworks take for the scheme or the client's address; services make
// cookies, redirects and limits of it.
func TestAClientCannotSayThatItCameOverHTTPS(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	for i, line := range []string{
		"X-Forwarded-Proto: spoof", "X-Forwarded-Protocol: spoof", "X-Forwarded-Ssl: on", "X-Url-Scheme: spoof", "Front-End-Https: spoof",
		"X_Forwarded_Proto: spoof", "X-Forwarded-Scheme: spoof", "True-Client-IP: spoof", "Client-IP: spoof", "X-Client-IP: spoof", "X-Cluster-Client-IP: spoof",
	} {
		e.send(t, head("GET /public/x", "", line))
		req := service.Requests()[i]
		if got := req.Values("X-Forwarded-Proto"); len(got) != 1 || got[0] != "http" || strings.Contains(req.Head(), "spoof") {
			t.Errorf("%s: the service received\n%s", line, req.Head())
		}
	}
}

func TestATrustedProxySaysWhoTheClientIs(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Server.TrustedProxies = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
	})
	e.send(t, head("GET /public/x", "", "X-Forwarded-For: 6.6.6.6, 203.0.113.7", "X-Forwarded-Proto: https", "X-Request-Id: abc123", "CF-Connecting-IP: 203.0.113.7"))
	req := service.Requests()[0]
	for name, want := range map[string]string{
		"X-Forwarded-For": "6.6.6.6, 203.0.113.7, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Request-Id": "abc123", "CF-Connecting-IP": "203.0.113.7",
	} {
		if got := req.Field(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	e.send(t, head("GET /public/x", "", "X-Forwarded-Proto: forged", "X-Forwarded-Proto: https", "X-Forwarded-Host: forged", "X-Forwarded-Host: a.example", "X-Request-Id: forged", "X-Request-Id: abc"))
	if said := service.Requests()[1].Head(); strings.Contains(said, "forged") || !strings.Contains(said, "\r\nX-Forwarded-Host: a.example\r\n") {
		t.Errorf("the first line was believed, which the proxy has only passed on:\n%s", said)
	}
}

func TestBodiesPassAndEndAtTheirLimit(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	chunked := func(size int) string {
		return strconv.FormatInt(int64(size), 16) + "\r\n" + strings.Repeat("b", size) + "\r\n0\r\n\r\n"
	}
	for _, c := range []struct {
		name, raw string
		status    int
		arrives   int
	}{
		{"a length", head("POST /small/x", "", "Content-Length: 1024") + strings.Repeat("b", 1024), 200, 1024},
		{"a length over the limit", head("POST /small/x", "", "Content-Length: 1025") + strings.Repeat("b", 1025), 413, -1},
		{"chunks", head("PUT /small/x", "", "Transfer-Encoding: chunked") + chunked(1024), 200, 1024},
		{"chunks over the limit", head("PUT /small/x", "", "Transfer-Encoding: chunked") + chunked(1025), 413, -1},
		{"a DELETE with a body", head("DELETE /small/x", "", "Content-Length: 3") + "abc", 200, 3},
		{"a GET with a body", head("GET /small/x", "", "Content-Length: 3") + "abc", 400, -1},
		{"a POST without a body", head("POST /small/x", "", "Content-Length: 0"), 200, 0},
		{"1 MiB", head("POST /public/x", "", "Content-Length: 1048576") + strings.Repeat("b", 1<<20), 200, 1 << 20},
	} {
		resp, body := e.send(t, c.raw)
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d %.200s, want %d", c.name, resp.StatusCode, body, c.status)
			continue
		}
		if c.arrives < 0 {
			continue
		}
		method, _, _ := strings.Cut(c.raw, " ")
		var last upstreamtest.Request // of this method: the service may notice late that an earlier upload was broken off
		for _, req := range service.Requests() {
			if req.Method == method {
				last = req
			}
		}
		if len(last.Body) != c.arrives {
			t.Errorf("%s: %d bytes arrived, want %d", c.name, len(last.Body), c.arrives)
		}
	}
}

func TestAnUpstreamThatFailsHasItsReason(t *testing.T) {
	t.Parallel()
	silent := func(conn net.Conn, _ int) { _, _ = io.Copy(io.Discard, conn) }
	reset := func(conn net.Conn, _ int) {
		_, _ = conn.Read(make([]byte, 4096))
		upstreamtest.Reset(conn)
	}
	for _, c := range []struct {
		name   string
		url    func() string
		status int
		reason string
	}{
		{"refused", func() string { return upstreamtest.Refused(t) }, 502, "upstream_connect"},
		{"reset", func() string { return upstreamtest.Raw(t, reset).URL }, 502, "upstream_reset"},
		{"silent", func() string { return upstreamtest.Raw(t, silent).URL }, 504, "upstream_timeout"},
		{"garbage", func() string { return upstreamtest.Fixed(t, "hello, I am no HTTP\r\n\r\n").URL }, 502, "upstream_invalid"},
		{"half a head", func() string { return upstreamtest.Fixed(t, "HTTP/1.1 200 OK\r\nContent-").URL }, 502, "upstream_reset"},
		{"half a body", func() string { return upstreamtest.Fixed(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").URL }, 502, "upstream_reset"},
		{"an unasked 101", func() string {
			return upstreamtest.Fixed(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n").URL
		}, 502, "upstream_invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, c.url(), nil)
			resp, body := e.send(t, head("POST /quick/x", "", "Content-Length: 2")+"{}")
			if resp.StatusCode != c.status || !strings.Contains(body, `"reason":"`+c.reason+`"`) {
				t.Errorf("got %d %s, want %d %s", resp.StatusCode, body, c.status, c.reason)
			}
			for _, leak := range []string{"127.0.0.1", "dial", "fasthttp", "EOF", "goroutine"} {
				if strings.Contains(body, leak) {
					t.Errorf("the answer tells %q: %s", leak, body)
				}
			}
		})
	}
}

func TestAnUnreadBodyIsNeverTakenForARequest(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	smuggled := "GET /public/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, path := range []string{"/private/x", "/nowhere", "/public/../x", "/small/x", "/healthz", "/api/v1/auth/wx-login"} {
		raw := head("POST "+path, "", "Content-Length: "+strconv.Itoa(len(smuggled)))
		e.send(t, raw+smuggled)
		chunked := head("POST "+path, "", "Transfer-Encoding: chunked") + strconv.FormatInt(int64(len(smuggled)), 16) + "\r\n" + smuggled + "\r\n0\r\n\r\n"
		e.send(t, chunked)
	}
	for _, req := range service.Requests() {
		if req.Target == "/public/smuggled" {
			t.Errorf("a body became a request:\n%s", req.Raw)
		}
	}
}

func TestAPanicIsA500AndTheGatewayGoesOn(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	path, err := route.ParsePattern("/panic")
	if err != nil {
		t.Fatal(err)
	}
	e.snapshot.Load().routes.Of("").Add(path, route.AnyMethod, &routeEntry{pattern: "/panic", auth: AuthNone})
	if resp, body := e.send(t, head("GET /panic", "")); resp.StatusCode != 500 || strings.Contains(body, "nil pointer") {
		t.Errorf("got %d %s, want a bare 500", resp.StatusCode, body)
	}
	if resp, _ := e.send(t, head("GET /public/x", "")); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %d", resp.StatusCode)
	}
}

// lockedText is a log that is read while it is written.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write appends to the text.
func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// brokenStream panics when it is read: outside the chain, while the answer is written.
type brokenStream struct{ openStream }

func (brokenStream) Ready() bool           { return true }
func (brokenStream) Next() ([]byte, error) { panic("a broken stream") }

func TestAPanicWhileAnsweringEndsItsConnectionAlone(t *testing.T) {
	t.Parallel()
	log := &lockedText{}
	e := newEdgeWith(t, upstreamtest.Echo(t).URL, func(cfg *Config) { cfg.Log.Access = true }, func(deps *Deps) {
		deps.Log, deps.Access = slog.New(slog.NewJSONHandler(log, nil)), accesslog.New(log, accesslog.JSON)
	})
	path, err := route.ParsePattern("/panic")
	if err != nil {
		t.Fatal(err)
	}
	var id atomic.Pointer[string]
	e.snapshot.Load().routes.Of("").Add(path, route.AnyMethod, &routeEntry{pattern: "/panic", auth: AuthNone, endpoint: func(ex *Exchange) error {
		name := strings.Clone(ex.id)
		id.Store(&name)
		ex.response.Status, ex.response.Length, ex.response.Stream = http.StatusOK, -1, brokenStream{}
		return nil
	}})
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, head("GET /panic", "")); err != nil {
		t.Fatal(err)
	}
	if all, _ := io.ReadAll(conn); bytes.Contains(all, []byte("0\r\n\r\n")) {
		t.Errorf("the answer looks whole:\n%s", all)
	}
	eventually(t, "nothing is in flight", func() bool { return e.count(t, "wxgate_requests_in_flight") == 0 })
	if n := e.count(t, "wxgate_requests_total", `route="/panic"`, `code="500"`, `reason="internal"`); n != 1 {
		t.Errorf("got %v requests counted as 500, want 1", n)
	}
	eventually(t, "the log says which request it was", func() bool {
		text := log.String()
		return strings.Contains(text, `"msg":"panic outside the chain"`) && strings.Contains(text, `"value":"a broken stream"`) &&
			strings.Contains(text, `"request_id":"`+*id.Load()+`"`)
	})
	eventually(t, "there is a line of the request as the 500 that it became", func() bool {
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, `"msg":"request"`) && strings.Contains(line, `"request_id":"`+*id.Load()+`"`) {
				return strings.Contains(line, `"status":500`) && strings.Contains(line, `"reason":"internal"`) && strings.Contains(line, `"began":200`)
			}
		}
		return false
	})
	if resp, _ := e.send(t, head("GET /public/x", "")); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %d", resp.StatusCode)
	}
}

func BenchmarkProxiedRequest(b *testing.B) {
	service := upstreamtest.HTTP(b, func(upstreamtest.Request) string {
		return upstreamtest.OK("application/json", `{"data":"`+strings.Repeat("x", 1000)+`"}`)
	})
	e := newEdge(b, service.URL, nil)
	raw := []byte(head("GET /private/recipes/7?page=2", e.token(b, "alice"), "User-Agent: bench", "Accept: */*"))
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	br := bufio.NewReader(conn)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(raw); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}

// TestTheChecksOfHAProxyAreAnswered: option httpchk sends OPTIONS / in HTTP/1.0, and had 404 or 401.
func TestTheChecksOfHAProxyAreAnswered(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/**", Upstream: "service", Auth: AuthRequired})
		cfg.Limits.IP.Deny = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
	})
	for _, check := range []string{"OPTIONS / HTTP/1.0\r\n\r\n", "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n"} {
		if resp, body := e.send(t, check); resp.StatusCode != http.StatusNoContent || resp.Header.Get("Allow") == "" {
			t.Errorf("%q: %d %s, want 204", check, resp.StatusCode, body)
		}
	}
	if n := len(service.Requests()); n > 0 {
		t.Errorf("%d checks reached the service", n)
	}
}
