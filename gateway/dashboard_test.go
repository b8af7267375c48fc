package gateway

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/gateway/admin"
	"wxgate/gateway/admin/dashboard"
	"wxgate/secret"
)

// movedClock is the time, and what a test has added to it.
type movedClock struct{ ahead atomic.Int64 }

func (c *movedClock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *movedClock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// consoled is an operator whose gateway has a clock and a log of the test.
type consoled struct {
	*operator

	clock *movedClock
	log   *lockedLog
}

func newConsoled(t *testing.T, token string, services ...admin.Service) *consoled {
	t.Helper()
	c := &consoled{clock: new(movedClock), log: new(lockedLog)}
	e := newEdgeWith(t, "http://127.0.0.1:1", func(cfg *Config) {
		cfg.Server.AdminToken, cfg.Server.Services = secret.Text(token), services
	}, func(d *Deps) {
		d.Now, d.Log = c.clock.now, slog.New(slog.NewTextHandler(c.log, nil))
	})
	c.operator = &operator{e, e.operated(t), token}
	return c
}

// code is a new code.
func (c *consoled) code(t *testing.T) string {
	t.Helper()
	var code admin.Code
	if err := json.Unmarshal(c.want(t, "POST /api/dashboard/codes", "", 200, "").json.Data, &code); err != nil || code.Code == "" {
		t.Fatalf("a new code: %+v %v", code, err)
	}
	return code.Code
}

// browser is a browser that shows the page of the dashboard; it may be signed in.
type browser struct {
	*consoled

	cookie string
}

// browser returns one that has no token.
func (c *consoled) browser() *browser {
	return &browser{consoled: &consoled{&operator{c.edge, c.url, ""}, c.clock, c.log}}
}

// cookieName has the port of the listener, as browsers keep one set of cookies for all ports of a host.
func (b *browser) cookieName() string {
	return "wxgate_dashboard_" + b.url[strings.LastIndex(b.url, ":")+1:]
}

// headers are those that a browser sends of itself.
func (b *browser) headers(more ...string) []string {
	headers := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Origin", b.url}
	if b.cookie != "" {
		headers = append(headers, "Cookie", b.cookieName()+"="+b.cookie)
	}
	return append(headers, more...)
}

// does fails the test unless the answer to a request has the status and the reason.
func (b *browser) does(t *testing.T, request, body string, status int, reason string, more ...string) adminAnswer {
	t.Helper()
	return b.want(t, request, body, status, reason, b.headers(more...)...)
}

// signIn signs the browser in with {"code":…} or {"token":…}.
func (b *browser) signIn(t *testing.T, with, proof string) {
	t.Helper()
	got := b.does(t, "POST /api/dashboard/session", fmt.Sprintf(`{%q:%q}`, with, proof), 200, "")
	cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	if err != nil {
		t.Fatalf("%s: %v", got.body, err)
	}
	if cookie.Name != b.cookieName() || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge != 8*60*60 {
		t.Errorf("the cookie is %v", cookie)
	}
	b.cookie = cookie.Value
}

// isSignedIn fails the test unless the browser is signed in, or is not.
func (b *browser) isSignedIn(t *testing.T, want bool) {
	t.Helper()
	var got admin.SignIn
	answer := b.does(t, "GET /api/dashboard/session", "", 200, "")
	if err := json.Unmarshal(answer.json.Data, &got); err != nil || got.SignedIn != want {
		t.Errorf("got %s, want signed_in %v", answer.body, want)
	}
}

// changesOfTheAPI are requests for every endpoint that changes something.
func changesOfTheAPI(t *testing.T) (all []string) {
	t.Helper()
	source, err := os.ReadFile("admin/api.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t\t\{"((?:POST|PUT|DELETE) /[^"]+)", `).FindAllStringSubmatch(string(source), -1) {
		all = append(all, m[1])
	}
	if len(all) < 15 {
		t.Fatalf("admin/api.go has %d changes", len(all))
	}
	return all
}

func TestABrowserChangesNothingWithoutASession(t *testing.T) {
	t.Parallel()
	c := newConsoled(t, "")
	c.login(t, "alice")
	b := c.browser()
	for _, endpoint := range changesOfTheAPI(t) {
		asked, body, headers := request(endpoint)
		if reason := "admin_token_invalid"; endpoint != "POST /api/dashboard/codes" {
			b.does(t, asked, body, 401, reason, headers...)
			b.want(t, asked, body, 401, reason, append(headers, "Sec-Fetch-Site", "none")...)
			b.want(t, asked, body, 401, reason, append(headers, "Sec-Fetch-Mode", "no-cors")...)
			b.want(t, asked, body, 401, reason, append(headers, "Origin", b.url)...)
		}
	}
	for _, read := range []string{"GET /", "GET /api/dashboard", "GET /api/dashboard/routes", "GET /api/dashboard/config", "GET /api/users", "GET /api/users/1", "GET /metrics"} {
		b.does(t, read, "", 200, "")
	}
	b.does(t, "POST /api/users/1/ban", "{}", 401, "admin_token_invalid", "Authorization", "Bearer anything")
	c.want(t, "POST /api/users/1/ban", "{}", 200, "") // a program on this machine
	b.signIn(t, "code", c.code(t))
	b.does(t, "DELETE /api/users/1/ban", "", 200, "")
	if log := c.log.String(); !regexp.MustCompile(`ban" id=1 by=loopback from=`).MatchString(log) || !regexp.MustCompile(`ban" id=1 by=dashboard\([0-9a-f]{8}\) from=`).MatchString(log) {
		t.Errorf("the log does not say who banned and who lifted the ban:\n%s", log)
	}
}

func TestWithATokenNothingIsShownWithoutASession(t *testing.T) {
	t.Parallel()
	c := newConsoled(t, operatorToken)
	c.login(t, "alice")
	b := c.browser()
	for _, endpoint := range append(changesOfTheAPI(t), "GET /api/dashboard", "GET /api/dashboard/routes", "GET /api/dashboard/config", "GET /api/users", "GET /api/users/{id}", "GET /metrics", "GET /api/store/backup") {
		asked, body, headers := request(endpoint)
		b.does(t, asked, body, 401, "admin_token_invalid", headers...)
	}
	b.does(t, "POST /api/dashboard/session", `{"token":"`+operatorToken+`x"}`, 401, "admin_token_invalid")
	b.does(t, "POST /api/dashboard/session", `{"token":""}`, 401, "admin_token_invalid")
	b.signIn(t, "token", operatorToken)
	b.does(t, "GET /api/dashboard", "", 200, "")
	b.does(t, "POST /api/users/1/ban", "{}", 200, "")
	c.want(t, "DELETE /api/users/1/ban", "", 200, "")
	if log := c.log.String(); !strings.Contains(log, "ban\" id=1 by=dashboard(") || !strings.Contains(log, "ban\" id=1 by=token from=") || strings.Contains(log, operatorToken) || strings.Contains(log, b.cookie) {
		t.Errorf("the log does not say who acted, or says too much:\n%s", log)
	}
}

func TestWithoutATokenNoTokenSignsIn(t *testing.T) {
	t.Parallel()
	b := newConsoled(t, "").browser()
	for _, body := range []string{`{"token":""}`, `{"token":"x"}`, `{"code":""}`} {
		b.does(t, "POST /api/dashboard/session", body, 401, "admin_token_invalid")
	}
	for _, body := range []string{``, `{}`, `null`, `{"token":1}`, `{"code":null,"token":""}`, `{"code":"a","token":"b"}`, `{"password":"x"}`} {
		b.does(t, "POST /api/dashboard/session", body, 400, "invalid_request", "Content-Type", "application/json")
	}
}

// TestARebindingNameGetsNothing is a page whose name now leads to 127.0.0.1: its requests are of one origin, and carry its name.
func TestARebindingNameGetsNothing(t *testing.T) {
	t.Parallel()
	c := newConsoled(t, "")
	b := c.browser()
	b.signIn(t, "code", c.code(t))
	for _, host := range []string{"evil.example", "evil.example:9090", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"} {
		for _, read := range []string{"GET /", "GET /dashboard/app.js", "GET /api/dashboard", "GET /api/dashboard/session", "GET /api/users", "DELETE /api/users/1", "DELETE /api/dashboard/session", "POST /api/dashboard/codes"} {
			b.want(t, read, "", 403, "admin_origin_denied", b.headers("Host", host, "Origin", "http://"+host)...)
			b.want(t, read, "", 403, "admin_origin_denied", "Host", host)
		}
		b.want(t, "POST /api/dashboard/session", `{"code":"x"}`, 403, "admin_origin_denied", b.headers("Host", host, "Origin", "http://"+host)...)
	}
	b.isSignedIn(t, true)
}

// TestAPageOfAnotherSiteCannotAct has the cookie on every request, as if no browser knew of SameSite.
func TestAPageOfAnotherSiteCannotAct(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"", operatorToken} {
		c := newConsoled(t, token)
		c.login(t, "alice")
		b := c.browser()
		b.signIn(t, "code", c.code(t))
		code := c.code(t)
		bodies := map[string]string{"text/plain": `{}`, "application/x-www-form-urlencoded": "{}=", "multipart/form-data; boundary=x": "--x--", "application/json": "{}"}
		for contentType, body := range bodies {
			for _, from := range [][]string{
				{"Origin", "https://evil.example"},
				{"Origin", "null"},
				{"Origin", "http://127.0.0.1:3000"},
				{"Origin", b.url + ".evil.example"},
				{"Sec-Fetch-Site", "cross-site"},
				{"Sec-Fetch-Site", "same-site"},
				{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"},
			} {
				headers := append(b.headers("Content-Type", contentType), from...)
				b.want(t, "POST /api/users/1/ban", body, 403, "admin_origin_denied", headers...)
				b.want(t, "DELETE /api/users/1", "", 403, "admin_origin_denied", headers...)
				b.want(t, "POST /api/dashboard/session", `{"code":"`+code+`"}`, 403, "admin_origin_denied", headers...)
				b.want(t, "DELETE /api/dashboard/session", "", 403, "admin_origin_denied", headers...)
			}
			if contentType != "application/json" {
				b.does(t, "POST /api/users/1/ban", body, 400, "invalid_request", "Content-Type", contentType)
				b.does(t, "POST /api/dashboard/session", `{"code":"`+code+`"}`, 400, "invalid_request", "Content-Type", contentType)
			}
		}
		b.want(t, "POST /api/users/1/ban", "{}", 403, "admin_origin_denied", "Cookie", b.cookieName()+"="+b.cookie) // a form of long ago
		if _, banned := c.deps.Authn.Users.Banned(1); banned {
			t.Error("a page of another site has banned a user")
		}
		b.isSignedIn(t, true)
		c.browser().signIn(t, "code", code) // which none of them has spent
	}
}

func TestACodeSignsInOnceAndForAMinute(t *testing.T) {
	t.Parallel()
	c := newConsoled(t, "")
	code, late := c.code(t), c.code(t)
	first, second := c.browser(), c.browser()
	c.clock.advance(59 * time.Second)
	first.signIn(t, "code", code)
	second.does(t, "POST /api/dashboard/session", `{"code":"`+code+`"}`, 401, "admin_token_invalid")
	second.does(t, "POST /api/dashboard/session", `{"code":"`+strings.ToLower(late)+`"}`, 401, "admin_token_invalid")
	c.clock.advance(time.Second)
	second.does(t, "POST /api/dashboard/session", `{"code":"`+late+`"}`, 401, "admin_token_invalid")
	first.isSignedIn(t, true)
	second.isSignedIn(t, false)
}

func TestASessionEndsByItselfByHandAndWithItsToken(t *testing.T) {
	t.Parallel()
	c := newConsoled(t, operatorToken)
	out, old, aged := c.browser(), c.browser(), c.browser()
	aged.signIn(t, "token", operatorToken)
	out.signIn(t, "token", operatorToken)
	if got := out.does(t, "DELETE /api/dashboard/session", "", 200, ""); !strings.Contains(got.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("the cookie is not deleted: %v", got.header)
	}
	out.does(t, "GET /api/dashboard", "", 401, "admin_token_invalid") // the cookie again
	out.does(t, "DELETE /api/dashboard/session", "", 200, "")
	c.clock.advance(8*time.Hour - time.Minute)
	aged.does(t, "GET /api/dashboard", "", 200, "")
	old.signIn(t, "token", operatorToken)
	c.clock.advance(time.Minute)
	aged.does(t, "GET /api/dashboard", "", 401, "admin_token_invalid")
	old.does(t, "GET /api/dashboard", "", 200, "")
	code := c.code(t)
	c.changeToken(t, operatorToken+"-new")
	old.does(t, "GET /api/dashboard", "", 401, "admin_token_invalid")
	old.does(t, "POST /api/dashboard/session", `{"code":"`+code+`"}`, 401, "admin_token_invalid")
	old.does(t, "POST /api/dashboard/session", `{"token":"`+operatorToken+`"}`, 401, "admin_token_invalid")
	old.signIn(t, "token", operatorToken+"-new")
}

// changeToken reloads the configuration with another server.admin_token.
func (c *consoled) changeToken(t *testing.T, token string) {
	t.Helper()
	cfg := c.snapshot.Load().cfg
	cfg.Server.AdminToken = secret.Text(token)
	apply, err := c.Prepare(cfg, Change{Upstreams: c.deps.Upstreams})
	if err != nil {
		t.Fatal(err)
	}
	apply()
}

// TestASignInBeginsANewSession is session fixation: whoever planted a cookie before would share the session.
func TestASignInBeginsANewSession(t *testing.T) {
	t.Parallel()
	c := newConsoled(t, operatorToken)
	planted, victim := c.browser(), c.browser()
	planted.cookie, victim.cookie = "PLANTED", "PLANTED"
	victim.signIn(t, "token", operatorToken)
	if victim.cookie == planted.cookie {
		t.Error("the session has the key that was sent")
	}
	planted.isSignedIn(t, false)
	attacker := c.browser() // has a session of its own, and plants that
	attacker.signIn(t, "token", operatorToken)
	victim.cookie = attacker.cookie
	victim.signIn(t, "token", operatorToken)
	attacker.isSignedIn(t, false)
	victim.isSignedIn(t, true)
}

// TestCookiesOfOtherPortsSignNobodyOut: a browser has one set of cookies for all ports of a host, and sends those of a longer path first.
func TestCookiesOfOtherPortsSignNobodyOut(t *testing.T) {
	t.Parallel()
	first, second := newConsoled(t, operatorToken).browser(), newConsoled(t, operatorToken).browser()
	first.signIn(t, "token", operatorToken)
	second.signIn(t, "token", operatorToken)
	if first.cookieName() == second.cookieName() {
		t.Errorf("two gateways of a host have one cookie, %s", first.cookieName())
	}
	right := first.cookie
	for _, planted := range []string{"x", "", second.cookie} {
		first.cookie = planted + "; " + second.cookieName() + "=" + second.cookie + "; " + first.cookieName() + "=" + right
		first.isSignedIn(t, true)
		first.does(t, "GET /api/dashboard", "", 200, "")
	}
	first.does(t, "DELETE /api/dashboard/session", "", 200, "")
	first.cookie = right
	first.isSignedIn(t, false)
	second.isSignedIn(t, true)
}

// TestACookieIsSecureBehindAProxyWithTLS: the proxy passes Host and Origin on, and the listener itself has no TLS.
func TestACookieIsSecureBehindAProxyWithTLS(t *testing.T) {
	t.Parallel()
	c := newConsoled(t, operatorToken)
	for origin, want := range map[string]bool{"https://admin.example": true, "http://admin.example": false} {
		got := c.want(t, "POST /api/dashboard/session", `{"token":"`+operatorToken+`"}`, 200, "", "Host", "admin.example", "Origin", origin)
		if cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie")); err != nil || cookie.Secure != want || cookie.Name != "wxgate_dashboard" {
			t.Errorf("%s: got %v, %v, want secure %v", origin, cookie, err, want)
		}
	}
}

func TestTheSeventeenthSessionEndsTheFirst(t *testing.T) {
	t.Parallel()
	c := newConsoled(t, operatorToken)
	var browsers []*browser
	for range 17 {
		b := c.browser()
		b.signIn(t, "token", operatorToken)
		browsers = append(browsers, b)
	}
	for i, b := range browsers {
		b.isSignedIn(t, i > 0)
	}
}

// TestGuessingIsFiveTimesAMinute is of tokens. Whoever sends wrong ones from the operator's address, as a page that has pointed its
// name at 127.0.0.1 does, keeps nobody out who can run `wxgate dashboard`.
func TestGuessingIsFiveTimesAMinute(t *testing.T) {
	t.Parallel()
	c := newConsoled(t, operatorToken)
	b, code := c.browser(), c.code(t)
	for i := range 20 {
		b.does(t, "POST /api/dashboard/session", fmt.Sprintf(`{"code":"guess%d"}`, i), 401, "admin_token_invalid")
	}
	for i := range 5 {
		b.does(t, "POST /api/dashboard/session", fmt.Sprintf(`{"token":"guess%d"}`, i), 401, "admin_token_invalid", "Origin", "http://evil.example", "Host", "evil.example")
	}
	for _, sent := range []string{`{"token":"` + operatorToken + `"}`, `{"token":"guess"}`} {
		if got := b.does(t, "POST /api/dashboard/session", sent, 429, "rate_limited"); got.header.Get("Retry-After") != "60" {
			t.Errorf("got Retry-After %q, want 60", got.header.Get("Retry-After"))
		}
	}
	c.want(t, "GET /api/dashboard", "", 200, "") // the token itself is no sign-in
	c.browser().signIn(t, "code", code)
	c.clock.advance(time.Minute)
	b.signIn(t, "token", operatorToken)
}

func TestAServiceHasNoDashboard(t *testing.T) {
	t.Parallel()
	services := oneForEachScope()
	c := newConsoled(t, operatorToken, services...)
	for _, service := range services {
		s := c.as(service.Name)
		for _, read := range []string{"GET /api/dashboard", "GET /api/dashboard/routes", "GET /api/dashboard/config"} {
			s.want(t, read, "", 403, "service_not_allowed")
		}
		s.want(t, "POST /api/dashboard/codes", "", 403, "service_not_allowed")
		for _, body := range []string{`{"token":"` + tokenOf(service.Name) + `"}`, `{"token":"` + operatorToken + `"}`, `{"code":"x"}`} {
			s.want(t, "POST /api/dashboard/session", body, 403, "service_not_allowed")
		}
	}
	b := c.browser()
	b.does(t, "POST /api/dashboard/session", `{"token":"`+tokenOf(services[0].Name)+`"}`, 401, "admin_token_invalid")
	b.signIn(t, "token", operatorToken)
	b.does(t, "POST /api/users/99/ban", "{}", 403, "service_not_allowed", "Authorization", "Bearer "+tokenOf(services[0].Name)) // not more by a cookie
}

func TestASessionMakesNoCodes(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"", operatorToken} {
		c := newConsoled(t, token)
		b := c.browser()
		b.signIn(t, "code", c.code(t))
		b.does(t, "POST /api/dashboard/codes", "", 403, "admin_origin_denied")
		c.want(t, "POST /api/dashboard/codes", "", 403, "admin_origin_denied", "Origin", c.url, "Cookie", b.cookieName()+"="+b.cookie)
	}
}

func TestThePageIsSmallAndRunsNothingOfOthers(t *testing.T) {
	t.Parallel()
	o := newOperator(t, operatorToken)
	total := 0
	for _, path := range []string{"/", "/dashboard/app.js", "/dashboard/app.css"} {
		got := o.want(t, "GET "+path, "", 200, "", "Authorization", "", "Accept-Encoding", "gzip")
		total += len(got.body)
		policy := got.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self'; ") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: Content-Security-Policy: %s", path, policy)
		}
		for name, want := range map[string]string{"Content-Encoding": "gzip", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"} {
			if value := got.header.Get(name); value != want {
				t.Errorf("%s: %s: %q, want %q", path, name, value, want)
			}
		}
		unzipped, err := gzip.NewReader(strings.NewReader(got.body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(unzipped)
		if plain := o.want(t, "GET "+path, "", 200, "", "Accept-Encoding", "gzip;q=0, identity"); err != nil || plain.body != string(text) || plain.header.Get("ETag") == got.header.Get("ETag") {
			t.Errorf("%s: %v; what is zipped is not what is plain, or has its ETag %s", path, err, plain.header.Get("ETag"))
		}
		if again := o.want(t, "GET "+path, "", 304, "", "Accept-Encoding", "gzip", "If-None-Match", got.header.Get("ETag")); again.body != "" {
			t.Errorf("%s: 304 with %q", path, again.body)
		}
	}
	if total > 150_000 {
		t.Errorf("the page is %d bytes, want 150 KB at most", total)
	}
	for _, path := range []string{"/dashboard/", "/dashboard/nothing.js", "/dashboard/page.go", "/dashboard/%2e%2e/page.go", "/dashboard/..%2fpage.go", "/dashboard/dist/app.js"} {
		o.want(t, "GET "+path, "", 404, "no_route")
	}
}

func TestTheDashboardShowsWhatHappened(t *testing.T) {
	t.Parallel()
	reloaded := time.Now()
	o := newOperatorWith(t, "", func(d *Deps) {
		d.Process = func() dashboard.Process {
			return dashboard.Process{Version: "v1", Driver: "badger", Place: "./data", BackupEvery: time.Hour, Config: dashboard.Config{File: "gateway.yaml", YAML: "a: 1\n"}, Reloads: []dashboard.Reload{{At: reloaded, OK: true}}}
		}
	})
	for range 3 {
		o.send(t, head("GET /private/x", ""))
	}
	o.send(t, head("GET /public/x", "")) // to a service that is not there
	got := o.want(t, "GET /api/dashboard", "", 200, "")
	if got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("data may be kept: %v", got.header)
	}
	var shown dashboard.Overview
	if err := json.Unmarshal(got.json.Data, &shown); err != nil {
		t.Fatal(err)
	}
	if shown.Traffic.Requests != 4 || shown.Traffic.Errors != 1 || shown.Traffic.Latency.Count != 4 || len(shown.Traffic.Latency.Buckets) < 5 {
		t.Errorf("the traffic is %+v", shown.Traffic)
	}
	want := []dashboard.Reason{{Reason: "token_missing", Status: 401, Count: 3}, {Reason: "upstream_connect", Status: 502, Count: 1}}
	if !slices.Equal(shown.Reasons, want) {
		t.Errorf("the reasons are %+v, want %+v", shown.Reasons, want)
	}
	var routes dashboard.Routes
	got = o.want(t, "GET /api/dashboard/routes", "", 200, "")
	if err := json.Unmarshal(got.json.Data, &routes); err != nil || !routes.Now.Equal(shown.Now.Time) {
		t.Fatalf("the routes are of %v, want those of %v; %v", routes.Now, shown.Now, err)
	}
	at := slices.IndexFunc(routes.Routes, func(r dashboard.RouteState) bool { return r.Path == "/public/**" })
	if at < 0 {
		t.Fatalf("the routes are %+v", routes)
	}
	if r := routes.Routes[at]; r.Requests != 1 || r.Errors != 1 || r.Latency.Count != 1 || r.To != "service" || r.Auth != "none" {
		t.Errorf("the route is %+v", r)
	}
	if !shown.Ready.OK || !shown.Storage.Writable || shown.Storage.Place != "./data" || shown.Backup.EverySeconds != 3600 || !shown.ReloadedAt.Equal(reloaded) {
		t.Errorf("got %+v", shown)
	}
	var running dashboard.Configuration
	if err := json.Unmarshal(o.want(t, "GET /api/dashboard/config", "", 200, "").json.Data, &running); err != nil {
		t.Fatal(err)
	}
	if running.YAML != "a: 1\n" || running.File != "gateway.yaml" || len(running.Reloads) != 1 || !running.Reloads[0].At.Equal(shown.ReloadedAt) {
		t.Errorf("got %+v", running)
	}
	if strings.Contains(got.body, "null") {
		t.Errorf("a list is null in %s", got.body)
	}
}

// TestFaultsHaveNames by which the page tells them in its language; a probe reads them in English.
func TestFaultsHaveNames(t *testing.T) {
	t.Parallel()
	o := newOperatorWith(t, "", func(d *Deps) {
		d.LogFault = func() *dashboard.Fault { return dashboard.NewFault(dashboard.FaultLogUnread, "lines", "3") }
	})
	got := o.want(t, "GET /api/dashboard", "", 200, "")
	if want := `"ready":{"ok":true,"but":[{"fault":"log_unread","values":{"lines":"3"},"text":"nobody reads the log, 3 lines were dropped"}]}`; !strings.Contains(got.body, want) {
		t.Errorf("got %s, want %s", got.body, want)
	}
	if got := o.want(t, "GET /readyz", "", 200, ""); got.body != "ok, but nobody reads the log, 3 lines were dropped\n" {
		t.Errorf("got %q", got.body)
	}
}

// TestWhatAnOpenPageAsksForGrowsNeitherWithTheRoutesNorWithTheConfiguration: it asks every two seconds, perhaps through SSH.
func TestWhatAnOpenPageAsksForGrowsNeitherWithTheRoutesNorWithTheConfiguration(t *testing.T) {
	t.Parallel()
	const many = 1000
	e := newEdgeWith(t, "http://127.0.0.1:1", func(cfg *Config) {
		cfg.Routes = nil
		for i := range many {
			cfg.Routes = append(cfg.Routes, RouteConfig{Path: fmt.Sprintf("/service%d/**", i), Upstream: "service", Auth: AuthRequired})
		}
	}, func(d *Deps) {
		d.Process = func() dashboard.Process {
			return dashboard.Process{Config: dashboard.Config{YAML: strings.Repeat("a: 1\n", 20_000)}, Reloads: []dashboard.Reload{{Error: strings.Repeat("a", 20_000)}}}
		}
	})
	o := &operator{e, e.operated(t), ""}
	for i := range many {
		o.send(t, head(fmt.Sprintf("GET /service%d/x", i), ""))
	}
	if got := o.want(t, "GET /api/dashboard", "", 200, ""); len(got.body) > 10_000 {
		t.Errorf("got %d bytes, want 10 KB at most:\n%.2000s", len(got.body), got.body)
	}
	if got := o.want(t, "GET /api/dashboard/routes", "", 200, ""); strings.Count(got.body, `"path":"/service`) != many {
		t.Errorf("got %d bytes, want %d routes", len(got.body), many)
	}
}

func TestUsersAreFoundByNickname(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	for _, person := range []string{"alice", "bob", "MALICE", "100%"} {
		o.login(t, person)
	}
	for query, want := range map[string]string{"nickname=aLICE": "1 3 -", "nickname=aLICE&limit=1": "1 1", "nickname=aLICE&after=1&limit=1": "3 3", "nickname=%25": "4 -", "nickname=_": "-"} {
		var page admin.UserPage
		if err := json.Unmarshal(o.want(t, "GET /api/users?"+query, "", 200, "").json.Data, &page); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, u := range page.Users {
			got = append(got, fmt.Sprint(u.ID))
		}
		next := "-"
		if page.Next != nil {
			next = fmt.Sprint(*page.Next)
		}
		if text := strings.Join(append(got, next), " "); text != want {
			t.Errorf("%s: got %s, want %s", query, text, want)
		}
	}
}
