package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/authn"
	"wxgate/gateway/admin"
	"wxgate/gateway/answer"
	"wxgate/secret"
	"wxgate/storage"
)

const ndjson = "application/x-ndjson"

// operator asks the admin listener of an edge.
type operator struct {
	*edge
	url   string
	token string
}

// adminAnswer is what the admin listener said.
type adminAnswer struct {
	status int
	header http.Header
	body   string
	json   struct {
		Data                   json.RawMessage
		Reason, Detail, Status string
	}
}

// newOperator runs a gateway with its admin listener; an empty token demands none.
func newOperator(t *testing.T, token string) *operator {
	t.Helper()
	return newOperatorWith(t, token, nil)
}

// newOperatorWith is newOperator with other things to work with.
func newOperatorWith(t *testing.T, token string, with func(*Deps)) *operator {
	t.Helper()
	e := newEdgeWith(t, "http://127.0.0.1:1", func(cfg *Config) { cfg.Server.AdminToken = secret.Text(token) }, with)
	return &operator{e, e.operated(t), token}
}

// operated serves the admin listener of an edge and returns its URL.
func (e *edge) operated(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.ServeAdmin(ln, nil) }()
	t.Cleanup(func() {
		_ = e.admin.Shutdown(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// ask sends one request; a body is JSON unless the headers say otherwise. A header named Host sets the Host.
func (o *operator) ask(t *testing.T, request, body string, headers ...string) (got adminAnswer) {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequest(method, o.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if o.token != "" {
		req.Header.Set("Authorization", "Bearer "+o.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got.status, got.header, got.body = resp.StatusCode, resp.Header, string(text)
	_ = json.Unmarshal(text, &got.json) // a body that is no JSON leaves it empty
	return got
}

// want fails the test unless the answer to a request has the status and the reason.
func (o *operator) want(t *testing.T, request, body string, status int, reason string, headers ...string) adminAnswer {
	t.Helper()
	got := o.ask(t, request, body, headers...)
	if got.status != status || got.json.Reason != reason {
		t.Errorf("%s %s %v: got %d %s, want %d %s", request, body, headers, got.status, got.body, status, reason)
	}
	return got
}

// login logs a person in; the first to come is user 1.
func (o *operator) login(t *testing.T, person string) authn.Grant {
	t.Helper()
	grant, err := o.deps.Authn.Login(t.Context(), authn.Login{Code: o.weChat.IssueCode(person), Nickname: &person, Device: "iPhone"})
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

// verdict is the status that the public listener gives a token.
func (o *operator) verdict(t *testing.T, token string) int {
	t.Helper()
	resp, _ := o.send(t, head("GET /api/v1/user/profile", token))
	return resp.StatusCode
}

func TestTheAdminListenerRefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	o.login(t, "alice")
	for _, c := range []struct {
		request, body string
		status        int
		reason        string
	}{
		{"GET /api/users/0", "", 400, "invalid_request"},
		{"GET /api/users/-1", "", 400, "invalid_request"},
		{"GET /api/users/+1", "", 400, "invalid_request"},
		{"GET /api/users/alice", "", 400, "invalid_request"},
		{"GET /api/users/9007199254740992", "", 400, "invalid_request"},
		{"GET /api/users/9007199254740991", "", 404, "not_found"},
		{"GET /api/users/2", "", 404, "not_found"},
		{"GET /api/users?ids=", "", 400, "invalid_request"},
		{"GET /api/users?ids=1,", "", 400, "invalid_request"},
		{"GET /api/users?ids=1;2", "", 400, "invalid_request"},
		{"GET /api/users?limit=0", "", 400, "invalid_request"},
		{"GET /api/users?limit=1001", "", 400, "invalid_request"},
		{"GET /api/users?after=-1", "", 400, "invalid_request"},
		{"GET /api/users?after=x", "", 400, "invalid_request"},
		{"GET /api/users?after=01", "", 400, "invalid_request"},
		{"GET /api/users/010", "", 400, "invalid_request"},
		{"GET /api/users?foo=1", "", 400, "invalid_request"},
		{"GET /api/users?Openid=o1", "", 400, "invalid_request"},
		{"GET /api/users?unionid=alice", "", 400, "invalid_request"},
		{"GET /api/users?nickname=", "", 400, "invalid_request"},
		{"GET /api/users?nickname=" + strings.Repeat("a", 257), "", 400, "invalid_request"},
		{"GET /api/users?nickname=a&openid=o", "", 400, "invalid_request"},
		{"GET /api/users?limit=1&limit=2", "", 400, "invalid_request"},
		{"GET /api/users?ids=1&limit=2", "", 400, "invalid_request"},
		{"GET /api/users?openid=o1&after=0", "", 400, "invalid_request"},
		{"GET /api/users?openid=", "", 400, "invalid_request"},
		{"GET /api/users?openid=o%201", "", 400, "invalid_request"},
		{"GET /api/users?appid=wx1", "", 400, "invalid_request"},
		{"GET /api/users?openid=o1&appid=wx1", "", 400, "invalid_request"},
		{"GET /api/users?limit=%zz", "", 400, "invalid_request"},
		{"GET /api/users/1?x=1", "", 400, "invalid_request"},
		{"GET /api/users/export?after=1", "", 400, "invalid_request"},
		{"DELETE /api/users/1?dry_run=true", "", 400, "invalid_request"},
		{"POST /api/users/1/ban?for=7d", `{}`, 400, "invalid_request"},
		{"DELETE /api/users/1/sessions?except=x", "", 400, "invalid_request"},
		{"DELETE /api/users/2", "", 404, "not_found"},
		{"DELETE /api/users/x", "", 400, "invalid_request"},
		{"POST /api/users/2/counters", `{"recipe_count":1}`, 404, "not_found"},
		{"POST /api/users/x/counters", `{"recipe_count":1}`, 400, "invalid_request"},
		{"POST /api/users/1/counters", ``, 400, "invalid_request"},
		{"POST /api/users/1/counters", `{`, 400, "invalid_request"},
		{"POST /api/users/1/counters", `{}`, 400, "invalid_request"},
		{"POST /api/users/1/counters", `null`, 400, "invalid_request"},
		{"POST /api/users/1/counters", `[1]`, 400, "invalid_request"},
		{"POST /api/users/1/counters", `{"recipe_count":1}{}`, 400, "invalid_request"},
		{"POST /api/users/1/counters", `{"recipe_count":1.5}`, 400, "invalid_request"},
		{"POST /api/users/1/counters", `{"recipe_count":"1"}`, 400, "invalid_request"},
		{"POST /api/users/1/counters", `{"recipe_count":null}`, 400, "invalid_request"},
		{"POST /api/users/1/counters", `{"recipe_count":1e30}`, 400, "invalid_request"},
		{"POST /api/users/1/counters", `{"Recipe_count":1}`, 400, "invalid_request"},
		{"POST /api/users/1/counters", `{"recipe_count":1,"likes":1}`, 400, "invalid_request"},
		{"POST /api/users/1/counters", `{"recipe_count":1` + strings.Repeat(" ", 65<<10) + `}`, 413, "body_too_large"},
		{"POST /api/users/2/ban", `{}`, 404, "not_found"},
		{"POST /api/users/x/ban", `{}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", ``, 400, "invalid_request"},
		{"POST /api/users/1/ban", `null`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"till":"2999-01-01T00:00:00Z"}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"until":"tomorrow"}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"until":"2001-01-01T00:00:00Z"}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"for":"3 days"}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"for":72}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"for":null}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"for":"-1h"}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"for":"0s"}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"for":"0d"}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"for":"7w"}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"until":"2999-01-01 00:00:00"}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"until":32472144000}`, 400, "invalid_request"},
		{"POST /api/users/1/ban", `{"for":"1h","until":null}`, 400, "invalid_request"},
		{"DELETE /api/users/2/ban", "", 404, "not_found"},
		{"GET /api/users/2/sessions", "", 404, "not_found"},
		{"DELETE /api/users/2/sessions", "", 404, "not_found"},
		{"DELETE /api/sessions/nope", "", 404, "not_found"},
		{"PUT /api/users/1", `{}`, 404, "no_route"},
		{"GET /api/nothing", "", 404, "no_route"},
		{"GET /nothing", "", 404, "no_route"},
		{"POST /api/users", `{"id":7}`, 400, "invalid_request"}, // not as NDJSON
	} {
		got := o.want(t, c.request, c.body, c.status, c.reason)
		if got.header.Get("X-Request-Id") == "" || got.json.Detail == "" {
			t.Errorf("%s %s: the operator is told %s", c.request, c.body, got.body)
		}
	}
	if _, banned := o.deps.Authn.Users.Banned(1); banned {
		t.Error("a refused ban bans")
	}
	if _, err := o.deps.Authn.Users.ByID(t.Context(), 1); err != nil {
		t.Errorf("a refused erasure erases: %v", err)
	}
}

func TestAFormOfAWebPageCannotChangeAnything(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	o.login(t, "alice")
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ";"} {
		o.want(t, "POST /api/users/1/ban", `{}`, 400, "invalid_request", "Content-Type", contentType)
		o.want(t, "POST /api/users", `{"id":7,"openid":"o7"}`, 400, "invalid_request", "Content-Type", contentType)
	}
}

func TestWithoutATokenOnlyThisMachineIsAnswered(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	own := strings.TrimPrefix(o.url, "http://")
	for _, host := range []string{own, "localhost:9090", "LOCALHOST", "127.0.0.1", "127.9.9.9:1", "[::1]:9090", "[::1]"} {
		o.want(t, "GET /api/users", "", 200, "", "Host", host)
	}
	for _, host := range []string{"evil.example", "evil.example:9090", "127.0.0.1.evil.example", "localhost.evil.example:9090", "10.0.0.1:9090", "0.0.0.0:9090", "[fe80::1]", "1270.0.1"} {
		o.want(t, "GET /api/users", "", 403, "admin_origin_denied", "Host", host)
		o.want(t, "GET /metrics", "", 403, "admin_origin_denied", "Host", host)
		o.want(t, "GET /livez", "", 200, "", "Host", host) // a probe
	}
}

// elsewhere is a listener whose connections seem to come from the peer that is set.
type elsewhere struct {
	net.Listener
	from atomic.Value // of peer
}

func (l *elsewhere) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	from, _ := l.from.Load().(peer)
	return seemingly{conn, from}, err
}

type seemingly struct {
	net.Conn
	from peer
}

func (c seemingly) RemoteAddr() net.Addr { return c.from }

type peer string

func (peer) Network() string  { return "tcp" }
func (p peer) String() string { return string(p) }

// TestTheAddressAtTheOtherEndCountsNotTheHost: a socket of systemd on 0.0.0.0 answered whoever said Host: localhost.
func TestTheAddressAtTheOtherEndCountsNotTheHost(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &elsewhere{Listener: socket}
	go func() { _ = o.ServeAdmin(ln, nil) }() // until the operator's shutdown
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for address, want := range map[string]int{
		"127.0.0.1:4000": 200, "127.9.9.9:1": 200, "[::1]:4000": 200, "[::ffff:127.0.0.1]:4000": 200, "@": 200, "": 200,
		"203.0.113.7:4000": 403, "10.0.0.5:1": 403, "[fe80::1%eth0]:1": 403, "[::ffff:10.0.0.5]:1": 403, "0.0.0.0:1": 403, "localhost:1": 403, "127.0.0.1": 403,
	} {
		ln.from.Store(peer(address))
		for _, path := range []string{"/api/users", "/metrics"} {
			req, err := http.NewRequest(http.MethodGet, "http://"+ln.Addr().String()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "localhost:9090"
			req.Header.Set("X-Forwarded-For", "127.0.0.1")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s from %q: %d, want %d", path, address, resp.StatusCode, want)
			}
		}
	}
}

func TestAWebPageOfOthersIsRefusedByItsOrigin(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"", "0123456789abcdef"} {
		o := newOperator(t, token)
		for _, origin := range []string{"http://evil.example", "null", "http://127.0.0.1", "http://localhost:1", "x"} {
			o.want(t, "GET /api/users", "", 403, "admin_origin_denied", "Origin", origin)
			o.want(t, "DELETE /api/sessions/x", "", 403, "admin_origin_denied", "Origin", origin)
		}
		o.want(t, "GET /api/users", "", 200, "", "Origin", o.url)
		o.want(t, "GET /api/wechat/cgi-bin/get_api_domain_ip", "", 403, "admin_origin_denied", "Sec-Fetch-Site", "cross-site") // <img src>
		o.want(t, "GET /api/wechat/cgi-bin/get_api_domain_ip", "", 403, "admin_origin_denied", "Sec-Fetch-Site", "same-site")
		o.want(t, "GET /api/users", "", 200, "", "Sec-Fetch-Site", "none") // typed into the address bar
		o.want(t, "GET /api/users", "", 200, "", "Sec-Fetch-Site", "same-origin")
		o.want(t, "GET /metrics", "", 200, "", "Sec-Fetch-Site", "cross-site") // a link in a wiki
	}
}

func TestATokenIsDemandedEverywhereButOfProbesAndThePage(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "0123456789abcdef")
	for _, path := range []string{"/api/users", "/api/users/1", "/api/users/export", "/api/dashboard", "/metrics", "/nowhere"} {
		for _, header := range []string{"", "Bearer", "Bearer ", "Bearer 0123456789abcdeF", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Basic 0123456789abcdef", "0123456789abcdef"} {
			got := o.want(t, "GET "+path, "", 401, "admin_token_invalid", "Authorization", header)
			if got.header.Get("WWW-Authenticate") == "" || strings.Contains(got.body, "0123") {
				t.Errorf("%s with %q: %v %s", path, header, got.header, got.body)
			}
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/", "/dashboard/app.js", "/api/dashboard/session"} {
		o.want(t, "GET "+path, "", 200, "", "Authorization", "", "Host", "10.0.0.7:9090")
	}
	o.want(t, "GET /metrics", "", 200, "", "Host", "gateway.internal:9090")
	o.want(t, "GET /api/users", "", 200, "", "Authorization", "bearer 0123456789abcdef", "Host", "gateway.internal:9090")
}

func TestAuthorsAreShownWithoutWhatOthersMustNotKnow(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	alice, bob := o.login(t, "alice"), o.login(t, "bob")
	got := o.want(t, "GET /api/users?ids=2,1,77,2", "", 200, "")
	var list struct{ Users []map[string]any }
	if err := json.Unmarshal(got.json.Data, &list); err != nil || len(list.Users) != 2 {
		t.Fatalf("got %s, want users 2 and 1", got.body)
	}
	if list.Users[0]["nickname"] != "bob" || list.Users[1]["nickname"] != "alice" || len(list.Users[0]) != 9 {
		t.Errorf("got %s, want bob and alice in nine fields", got.body)
	}
	for _, secret := range []string{alice.User.OpenID, bob.User.OpenID, testAppID, "openid", "unionid", "banned", "phone"} {
		if strings.Contains(got.body, secret) {
			t.Errorf("the authors tell %s: %s", secret, got.body)
		}
	}
	var ids []string
	for id := 1; id <= 101; id++ {
		ids = append(ids, fmt.Sprint(id))
	}
	o.want(t, "GET /api/users?ids="+strings.Join(ids[:100], ","), "", 200, "")
	o.want(t, "GET /api/users?ids="+strings.Join(ids, ","), "", 400, "invalid_request")
}

func TestTheOperatorPagesThroughAllAccounts(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	for i := range 5 {
		o.login(t, fmt.Sprintf("person%d", i))
	}
	var seen []int64
	for after := "0"; after != ""; {
		got := o.want(t, "GET /api/users?limit=2&after="+after, "", 200, "")
		var page admin.UserPage
		if err := json.Unmarshal(got.json.Data, &page); err != nil {
			t.Fatalf("%v: %s", err, got.body)
		}
		for _, u := range page.Users {
			seen = append(seen, u.ID)
			if u.OpenID == "" || u.AppID != testAppID {
				t.Errorf("an account is %+v, want its openid and appid", u)
			}
		}
		if after = ""; page.Next != nil {
			after = fmt.Sprint(*page.Next)
		}
	}
	if fmt.Sprint(seen) != "[1 2 3 4 5]" {
		t.Errorf("the pages hold %v, want 1 to 5", seen)
	}
	if got := o.want(t, "GET /api/users?after=5", "", 200, ""); string(got.json.Data) != `{"users":[],"next":null}` {
		t.Errorf("after the last: %s", got.json.Data)
	}
}

func TestSupportFindsAUserByOpenID(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	o.login(t, "alice")
	bob := o.login(t, "bob")
	for _, query := range []string{"openid=" + bob.User.OpenID, "openid=" + bob.User.OpenID + "&appid=" + testAppID} {
		got := o.want(t, "GET /api/users?"+query, "", 200, "")
		var page admin.UserPage
		if err := json.Unmarshal(got.json.Data, &page); err != nil || len(page.Users) != 1 || page.Users[0].ID != bob.User.ID || page.Next != nil {
			t.Errorf("%s: %s, want bob alone", query, got.body)
		}
	}
	if got := o.want(t, "GET /api/users?openid=oNobody", "", 200, ""); string(got.json.Data) != `{"users":[],"next":null}` {
		t.Errorf("of nobody: %s", got.body)
	}
}

// lockedLog is a log that is read while it is written.
type lockedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestOnlyWhatChangesSomethingIsLoggedAsAChange(t *testing.T) {
	t.Parallel()
	var log lockedLog
	o := newOperatorWith(t, "", func(d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	o.login(t, "alice")
	for _, read := range []string{"GET /api/users", "GET /api/users/1", "GET /api/users/1/sessions", "POST /api/users/1/session-key/check", "GET /api/users/2"} {
		o.ask(t, read, "")
	}
	if got := log.String(); strings.Contains(got, "admin change") {
		t.Errorf("reading is logged as a change:\n%s", got)
	}
	o.want(t, "POST /api/users/1/ban", "{}", 200, "")
	o.want(t, "POST /api/users/2/ban", "{}", 404, "not_found")
	if got := log.String(); strings.Count(got, "admin change") != 1 || !regexp.MustCompile(`id=1 by=loopback from=127\.0\.0\.1:\d+\n`).MatchString(got) {
		t.Errorf("one ban is logged as\n%s", got)
	}
}

// lostAfterBan is a store that goes away once somebody is banned.
type lostAfterBan struct {
	authn.Store
	lost atomic.Bool
}

// Revoke does what it should, for the last time.
func (s *lostAfterBan) Revoke(ctx context.Context, revocations ...storage.Revocation) ([]storage.Revocation, error) {
	defer s.lost.Store(true)
	return s.Store.Revoke(ctx, revocations...)
}

// User reads a user, unless the store is away.
func (s *lostAfterBan) User(ctx context.Context, id int64) (storage.User, error) {
	if s.lost.Load() {
		return storage.User{}, storage.ErrUnavailable
	}
	return s.Store.User(ctx, id)
}

func TestAChangeThatIsMadeAndFailsAllTheSameIsLogged(t *testing.T) {
	t.Parallel()
	var log lockedLog
	weChat, store, client, auth := newTestAuthn(t)
	if _, err := auth.Login(t.Context(), authn.Login{Code: weChat.IssueCode("alice")}); err != nil {
		t.Fatal(err)
	}
	o := newOperatorWith(t, "", func(d *Deps) {
		d.Authn, d.Log = newAuthnOn(t, weChat, &lostAfterBan{Store: store}, client), slog.New(slog.NewTextHandler(&log, nil))
	})
	o.want(t, "POST /api/users/1/ban", "{}", 503, "storage_unavailable")
	if _, banned := o.deps.Authn.Users.Banned(1); !banned {
		t.Fatal("the user is not banned")
	}
	if got := log.String(); !regexp.MustCompile(`msg="admin change failed" .*ban" id=1 error=.* by=loopback from=`).MatchString(got) {
		t.Errorf("the ban is logged as\n%s", got)
	}
}

// TestAFloodOfRefusedAdminRequestsIsALineASecond: whoever reaches the listener wrote as much into the log as it liked.
func TestAFloodOfRefusedAdminRequestsIsALineASecond(t *testing.T) {
	t.Parallel()
	var log lockedLog
	o := newOperatorWith(t, "an-admin-token-of-some-length-0123456789", func(d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	began := time.Now()
	for range 200 {
		o.want(t, "GET /api/users", "", 401, "admin_token_invalid", "Authorization", "Bearer wrong")
	}
	most := 2 + int(time.Since(began).Seconds())
	if n := strings.Count(log.String(), "admin request refused"); n == 0 || n > most {
		t.Errorf("got %d lines of 200 refusals, want %d at most and one at least:\n%s", n, most, log.String())
	}
}

func TestCountersAddUpAndStopAtZero(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	o.login(t, "alice")
	done := make(chan struct{})
	for range 20 {
		go func() {
			o.want(t, "POST /api/users/1/counters", `{"recipe_count":2,"favorite_count":-1}`, 200, "")
			done <- struct{}{}
		}()
	}
	for range 20 {
		<-done
	}
	got := o.want(t, "POST /api/users/1/counters", `{"recipe_count":-1,"follower_count":7,"following_count":9223372036854775807}`, 200, "")
	for _, want := range []string{`"recipe_count":39`, `"follower_count":7`, `"following_count":9007199254740991`, `"favorite_count":0`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("got %s, want %s", got.body, want)
		}
	}
	if strings.Contains(got.body, "openid") {
		t.Errorf("a service that counts learns %s", got.body)
	}
}

func TestABanHoldsAtOnceAndUntilItsEnd(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	const forEver = 99 * 365 * 24 * time.Hour
	for body, want := range map[string]time.Duration{
		`{}`: forEver, `{"for":"72h"}`: 72 * time.Hour, `{"for":"7d"}`: 168 * time.Hour, `{"for":"9999999999h"}`: -1, `{"for":"2000000h"}`: forEver,
		fmt.Sprintf(`{"until":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339Nano)): time.Hour,
		`{"until":"9999-12-31T23:59:59+08:00"}`:                                         forEver,
	} {
		if want < 0 {
			o.login(t, "alice")
			o.want(t, "POST /api/users/1/ban", body, 400, "invalid_request")
			continue
		}
		token := o.login(t, "alice").Token
		got := o.want(t, "POST /api/users/1/ban", body, 200, "")
		var seen admin.Account
		if err := json.Unmarshal(got.json.Data, &seen); err != nil || seen.BannedUntil == nil {
			t.Fatalf("%s: %v, %s", body, err, got.body)
		}
		if off := time.Until(seen.BannedUntil.Time) - want; off > time.Minute || off < -time.Minute {
			t.Errorf("%s bans until %v, want %v from now", body, seen.BannedUntil, want)
		}
		if status := o.verdict(t, token); status != http.StatusUnauthorized {
			t.Errorf("%s: a banned token gets %d, want 401", body, status)
		}
		o.banned(t, "alice")
		got = o.want(t, "POST /api/users/1/ban", `{"until":null}`, 200, "")
		if !strings.Contains(got.body, `"banned_until":null`) {
			t.Errorf("lifting answers %s", got.body)
		}
	}
	o.want(t, "POST /api/users/1/ban", `{}`, 200, "")
	o.want(t, "DELETE /api/users/1/ban", "", 200, "")
	o.want(t, "DELETE /api/users/1/ban", "", 200, "") // again
	if got := o.want(t, "GET /api/users/1", "", 200, ""); !strings.Contains(got.body, `"banned_until":null`) {
		t.Errorf("after lifting: %s", got.body)
	}
	o.login(t, "alice")
}

// banned tries a login on the public listener.
func (o *operator) banned(t *testing.T, person string) {
	t.Helper()
	body := fmt.Sprintf(`{"code":%q}`, o.weChat.IssueCode(person))
	resp, text := o.send(t, head("POST /api/v1/auth/wx-login", "", "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body)))+body)
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(text, `"reason":"user_banned"`) {
		t.Errorf("the login of a banned user: %d %s, want 403 user_banned", resp.StatusCode, text)
	}
}

func TestErasingEndsEverythingOfAUser(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	alice := o.login(t, "alice")
	o.want(t, "DELETE /api/users/1", "", 200, "")
	if status := o.verdict(t, alice.Token); status != http.StatusUnauthorized {
		t.Errorf("the token of an erased user gets %d, want 401", status)
	}
	for _, request := range []string{"GET /api/users/1", "DELETE /api/users/1", "GET /api/users/1/sessions", "DELETE /api/users/1/ban"} {
		o.want(t, request, "", 404, "not_found")
	}
	if got := o.want(t, "GET /api/users/export", "", 200, ""); strings.Contains(got.body, alice.User.OpenID) {
		t.Errorf("the export still has %s", got.body)
	}
	if id := o.login(t, "alice").User.ID; id != 2 {
		t.Errorf("alice comes back as user %d, want 2", id)
	}
}

func TestAUserWhoIsGoneIsNotFoundForTheOperator(t *testing.T) {
	t.Parallel()
	gone := fmt.Errorf("reading user 7: %w", storage.ErrNotFound)
	if f := answer.NewTable().Lookup(gone); f.Status != http.StatusNotFound || f.Reason != "not_found" {
		t.Errorf("the operator gets %d %s, want 404 not_found", f.Status, f.Reason)
	}
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	phone, tablet, other := o.login(t, "alice"), o.login(t, "alice"), o.login(t, "bob")
	list := func() (sessions []admin.Session) {
		got := o.want(t, "GET /api/users/1/sessions", "", 200, "")
		data := struct{ Sessions *[]admin.Session }{&sessions}
		if err := json.Unmarshal(got.json.Data, &data); err != nil {
			t.Fatalf("%v: %s", err, got.body)
		}
		return sessions
	}
	sessions := list()
	if len(sessions) != 2 || sessions[0].Device != "iPhone" || sessions[0].UserID != 1 || sessions[0].CreatedAt.IsZero() {
		t.Fatalf("the sessions are %+v, want two of user 1 on an iPhone", sessions)
	}
	o.want(t, "DELETE /api/sessions/"+sessions[0].ID, "", 200, "")
	o.want(t, "DELETE /api/sessions/"+sessions[0].ID, "", 404, "not_found")
	verdicts := []int{o.verdict(t, phone.Token), o.verdict(t, tablet.Token), o.verdict(t, other.Token)}
	if fmt.Sprint(verdicts) != "[401 200 200]" {
		t.Errorf("after one has ended: %v, want 401 for it alone", verdicts)
	}
	o.login(t, "alice")
	if got := o.want(t, "DELETE /api/users/1/sessions", "", 200, ""); string(got.json.Data) != `{"ended":2}` {
		t.Errorf("ending all says %s, want 2", got.body)
	}
	if got := o.want(t, "DELETE /api/users/1/sessions", "", 200, ""); string(got.json.Data) != `{"ended":0}` {
		t.Errorf("ending none says %s", got.body)
	}
	verdicts = []int{o.verdict(t, tablet.Token), o.verdict(t, other.Token), len(list())}
	if fmt.Sprint(verdicts) != "[401 200 0]" {
		t.Errorf("after all have ended: %v, want 401 200 0", verdicts)
	}
}

func (o *operator) importing(t *testing.T, lines string) (report admin.ImportReport) {
	t.Helper()
	got := o.want(t, "POST /api/users", lines, 200, "", "Content-Type", ndjson)
	if err := json.Unmarshal(got.json.Data, &report); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	return report
}

func TestAnImportReportsEveryLineThatItCannotTake(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	report := o.importing(t, strings.Join([]string{
		`{"id":7,"openid":"o7","nickname":"小七","bio":"a\nb","recipe_count":3,"created_at":"2020-02-03T04:05:06Z"}`,
		``,
		`{"id":7,"openid":"o7"}`,                // again: as it was
		`{"id":7,"openid":"other"}`,             // 4: the id is taken
		`{"id":8,"openid":"o7"}`,                // 5: the openid is taken
		`{"id":0,"openid":"o0"}`,                // 6
		`{"id":9}`,                              // 7
		`{"id":9,"openid":"o 9"}`,               // 8
		`{"id":9,"openid":"o9","nickName":"x"}`, // 9: Go takes it for nickname
		`{"id":10,"openid":"o10","openId":"x"}`, // 10: two openids
		`{"id":"1e1","openid":"o10"}`,           // 11: no number
		`{"id":10,"openid":10}`,                 // 12: a number
		`{"id":10,"openid":"o10"} {}`,           // 13
		"{\"id\":10,\"openid\":\"\xc4\xe3\"}",   // 14: GBK
		`nonsense`,                              // 15
		"{\"id\":11,\"openid\":\"o11\"}\r",      // as Windows ends lines
	}, "\n"))
	var refused []string
	for _, e := range report.Errors {
		refused = append(refused, fmt.Sprintf("%d %s", e.Line, e.Reason))
		if e.Detail == "" {
			t.Errorf("line %d is refused without a word", e.Line)
		}
	}
	want := "4 conflict|5 conflict|6 invalid_request|7 invalid_request|8 invalid_request|10 invalid_request|11 invalid_request|12 invalid_request|13 invalid_request|14 invalid_request|15 invalid_request"
	if got := strings.Join(refused, "|"); got != want {
		t.Errorf("refused are\n%s, want\n%s", got, want)
	}
	if report.Imported != 4 || report.Failed != 11 {
		t.Errorf("imported %d, failed %d; want 4 and 11", report.Imported, report.Failed)
	}
	got := o.want(t, "GET /api/users/7", "", 200, "")
	for _, part := range []string{`"nickname":"小七"`, `"bio":"a\nb"`, `"recipe_count":3`, `"created_at":"2020-02-03T04:05:06.000Z"`, `"appid":"` + testAppID} {
		if !strings.Contains(got.body, part) {
			t.Errorf("user 7 is %s, want %s", got.body, part)
		}
	}
	if id := o.login(t, "somebody new").User.ID; id != 12 {
		t.Errorf("the next new user is %d, want 12", id)
	}
}

// TestARefusedLineSaysItsFaultInOneSentence: its reader has only the table of users before them.
func TestARefusedLineSaysItsFaultInOneSentence(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	for line, want := range map[string]string{
		`id,openid`:                             "the line is not a JSON object: invalid character 'i' looking for beginning of value",
		`[7]`:                                   "the line is not a JSON object",
		`{"id":7,"openid":"o`:                   "the line ends before its JSON object does",
		`{"id":7,"openid":"o7"`:                 "the line ends before its JSON object does",
		`{"id":7,"openid":"o7"}]`:               `behind the object stands "]"; write one object per line, and nothing else`,
		`{"id":7,"openid":"o7"},`:               `behind the object stands ","; write one object per line, and nothing else`,
		`{"openid":"o7"}`:                       "there is no id",
		`{"id":"","openid":"o7"}`:               `id: "" is not a user id, a number such as 42`,
		`{"id":7}`:                              "there is no openid",
		`{"id":7,"openid":"o 中文"}`:              "the openid is not visible ASCII of at most 64 bytes",
		`{"id":4503599627370497,"openid":"o7"}`: "the id 4503599627370497 is not from 1 to 2^52",
		`{"id":7,"openid":"o7","appid":"wx00000000000000"}`: `the appid "wx00000000000000" is not that of a mini-program in gateway.yaml`,
	} {
		report := o.importing(t, line)
		if len(report.Errors) != 1 || report.Errors[0].Detail != "invalid request: "+want || report.Errors[0].Reason != "invalid_request" {
			t.Errorf("%s: got %+v, want %q", line, report, want)
		}
	}
}

// TestADryRunShowsUsersAsTheyWouldBeStored has a mark of Windows, lines that are refused, and fields that are left out.
func TestADryRunShowsUsersAsTheyWouldBeStored(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	text := "\ufeff" + `{"id":1,"openid":"o1","avatar":"/uploads/a.png","nickname":"<b>","created_at":"0000-00-00"}` + "\n" +
		`{"id":0,"openid":"o0"}` + "\n" + `{"id":99,"openid":"o1"}` + "\n"
	for id := 2; id <= 20; id++ {
		text += fmt.Sprintf(`{"id":"%d","openid":"o%d","created_at":"2024-10-16 12:00:00","password":"x"}`+"\n", id, id)
	}
	got := o.want(t, "POST /api/users?dry_run", text, 200, "", "Content-Type", ndjson)
	var report admin.ImportReport
	if err := json.Unmarshal(got.json.Data, &report); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	if report.Imported != 20 || report.Failed != 2 || len(report.First) != 10 {
		t.Fatalf("got %+v, want 20 users, 2 refused and 10 shown", report)
	}
	for i, u := range report.First {
		if u.ID != int64(i+1) || u.OpenID != fmt.Sprintf("o%d", i+1) || u.AppID != testAppID || u.Avatar != "" || u.CreatedAt.Year() < 2024 {
			t.Errorf("user %d is shown as %+v", i+1, u)
		}
	}
	if first := report.First[0]; first.Nickname != "<b>" {
		t.Errorf("the first user is %+v", first)
	}
	if got := o.want(t, "GET /api/users/export", "", 200, "").body; got != "" {
		t.Errorf("a dry run imported %s", got)
	}
}

// TestTheFirstLineWithAnOpenIDWins although the second says which mini-program it means.
func TestTheFirstLineWithAnOpenIDWins(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	text := `{"id":501,"openid":"oSame"}` + "\n" + `{"id":502,"openid":"oSame","appid":"` + testAppID + `"}` + "\n"
	for _, path := range []string{"POST /api/users?dry_run", "POST /api/users"} {
		got := o.want(t, path, text, 200, "", "Content-Type", ndjson).body
		if !strings.Contains(got, `"imported":1,"failed":1`) || !strings.Contains(got, `"line":2`) {
			t.Errorf("%s: got %s, want the second line refused", path, got)
		}
	}
}

func TestAnImportKeepsAUserWhosePictureIsWrong(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	lines := []struct{ rest, without string }{
		{`"avatar":"/uploads/a.png"`, "avatar"},
		{`"avatar":"wxfile://tmp_1.png"`, "avatar"},
		{`"avatar":"http:/x"`, "avatar"},
		{`"avatar":"http://tmp/a.png"`, "avatar"},
		{`"nickname":"` + strings.Repeat("长", 65) + `"`, "nickname"},
		{`"nickname":"a\nb"`, "nickname"},
		{`"nickname":"\u202egpj.exe\u2069"`, "nickname"},
		{`"bio":"` + strings.Repeat("x", 501) + `"`, "bio"},
		{`"bio":"a\u2066b"`, "bio"},
		{`"recipe_count":-1`, "recipe_count"},
		{`"follower_count":9007199254740992`, "follower_count"},
		{`"created_at":"2024-10-16 25:00:00"`, "created_at"},
		{`"created_at":"2924-10-16 12:00:00"`, "created_at"},
		{`"created_at":"0000-00-00"`, "created_at"},
		{`"nickName":7`, "nickname"},
		{"\"nickname\":\"\xc4\xe3\"", "nickname"}, // GBK
		{`"avatar":{"url":"https://a.example/"}`, "avatar"},
		{`"unionid":"a b"`, "unionid"},
		{`"unionid":7`, "unionid"},
		{`"favorite_count":"many"`, "favorite_count"},
		{`"following_count":1.5`, "following_count"},
		{`"password":"$2b$10$x"`, `"password"`},
		{`"created_at":"0000-00-00 00:00:00"`, "created_at"},
		{`"created_at":1700000000`, "created_at"},
	}
	var text strings.Builder
	for i, line := range lines {
		fmt.Fprintf(&text, `{"id":%d,"openid":"o%d",%s}`+"\n", i+1, i+1, line.rest)
	}
	report := o.importing(t, text.String()+`{"id":99,"openid":"o99","created_at":null,"avatar":"https://cdn.example/a.png"}`)
	if report.Imported != len(lines)+1 || report.Failed != 0 || report.Warned != len(lines) || len(report.Warnings) != len(lines) {
		t.Fatalf("got %+v, want all taken and %d warnings", report, len(lines))
	}
	for i, line := range lines {
		if w := report.Warnings[i]; w.Line != i+1 || !strings.HasPrefix(w.Detail, "taken without "+line.without+": ") {
			t.Errorf("%s: the warning is %+v, want one on %s", line.rest, w, line.without)
		}
		got := o.want(t, fmt.Sprintf("GET /api/users/%d", i+1), "", 200, "")
		for _, bad := range []string{"uploads", "wxfile", "http:/", "长", ":-1", "2024-10-16", "\u202e", "\u2069", "\u2066"} {
			if strings.Contains(got.body, bad) {
				t.Errorf("%s: stored is %s", line.rest, got.body)
			}
		}
	}
}

// TestAnImportReadsWhatMySQLWrites has its forms of dates, and numbers in quotes.
func TestAnImportReadsWhatMySQLWrites(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	for i, form := range []struct{ written, want string }{
		{"2024-10-16 12:00:00", "2024-10-16T12:00:00.000Z"},
		{"2024-10-16 12:00:00.123456", "2024-10-16T12:00:00.123Z"},
		{"2024-10-16", "2024-10-16T00:00:00.000Z"},
		{"2024-10-16T12:00:00", "2024-10-16T12:00:00.000Z"},
		{"2024-10-16T12:00:00+08:00", "2024-10-16T04:00:00.000Z"},
	} {
		line := fmt.Sprintf(`{"id":"%d","openid":"o%d","recipe_count":"12","created_at":%q,"updated_at":"0000-00-00 00:00:00"}`, i+1, i+1, form.written)
		if report := o.importing(t, line); report.Imported != 1 || report.Warned != 0 {
			t.Errorf("%s: got %+v", line, report)
		}
		got := o.want(t, fmt.Sprintf("GET /api/users/%d", i+1), "", 200, "").body
		if !strings.Contains(got, `"created_at":"`+form.want) || !strings.Contains(got, `"recipe_count":12`) {
			t.Errorf("%s became %s, want %s", form.written, got, form.want)
		}
	}
}

func TestAByteOrderMarkLosesNoUser(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	if report := o.importing(t, "\ufeff"+`{"id":7,"openid":"o7"}`+"\r\n"+`{"id":8,"openid":"o8"}`); report.Imported != 2 || report.Failed != 0 {
		t.Errorf("got %+v, want both users", report)
	}
	if report := o.importing(t, `{"id":9,"openid":"o9"}`+"\n\ufeff"+`{"id":10,"openid":"o10"}`); report.Imported != 1 || report.Failed != 1 {
		t.Errorf("a mark in the midst: got %+v, want it refused", report)
	}
}

func TestOfTwoLinesThatClaimOneIDTheFirstWins(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	var lines strings.Builder
	for id := 1; id <= 100; id++ {
		fmt.Fprintf(&lines, `{"id":%d,"openid":"first%d"}`+"\n"+`{"id":%d,"openid":"first%d"}`+"\n", id, id, 1000+id, id)
		fmt.Fprintf(&lines, `{"id":%d,"openid":"second%d"}`+"\n", id, id)
	}
	if report := o.importing(t, lines.String()); report.Imported != 100 || report.Failed != 200 {
		t.Errorf("imported %d, failed %d; want 100 and 200", report.Imported, report.Failed)
	}
	for i, u := range usersOf(t, o.want(t, "GET /api/users/export", "", 200, "").body) {
		if want := fmt.Sprintf("first%d", i+1); u.ID != int64(i+1) || u.OpenID != want {
			t.Errorf("user %d has %s, want %s", u.ID, u.OpenID, want)
		}
	}
}

func TestAnImportIsBounded(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "")
	long := `{"id":7,"openid":"o7","bio":"` + strings.Repeat("x", 64<<10) + `"}`
	got := o.want(t, "POST /api/users", "{\"id\":6,\"openid\":\"o6\"}\n"+long, 413, "body_too_large", "Content-Type", ndjson)
	if !strings.Contains(got.json.Detail, "line 2") {
		t.Errorf("a line that is too long: %s", got.body)
	}
	if report := o.importing(t, strings.Repeat("x\n", 20_000)); report.Failed != 20_000 || len(report.Errors) != 10_000 {
		t.Errorf("failed %d and told %d, want 20000 and 10000", report.Failed, len(report.Errors))
	}
}

func TestWhatIsExportedCanBeImportedElsewhere(t *testing.T) {
	t.Parallel()
	from, to := newOperator(t, ""), newOperator(t, "")
	var lines strings.Builder
	const many = 3*256 + 500 // batches of an import and a page of an export
	for id := 1; id <= many; id++ {
		fmt.Fprintf(&lines, `{"id":%d,"openid":"o%d","nickname":"<&>%d"}`+"\n", 3*id, id, id)
	}
	if report := from.importing(t, lines.String()); report.Imported != many || report.Failed != 0 {
		t.Fatalf("the import says %+v", report)
	}
	exported := from.want(t, "GET /api/users/export", "", 200, "")
	if exported.header.Get("Content-Type") != ndjson || exported.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the export's head is %v", exported.header)
	}
	if report := to.importing(t, exported.body); report.Imported != many || report.Failed != 0 {
		t.Fatalf("the import of an export says %+v", report)
	}
	again := to.want(t, "GET /api/users/export", "", 200, "")
	before, after := usersOf(t, exported.body), usersOf(t, again.body)
	for i := range before {
		before[i].UpdatedAt, after[i].UpdatedAt = time.Time{}, time.Time{}
		if before[i] != after[i] {
			t.Fatalf("user %+v arrives as %+v", before[i], after[i])
		}
	}
	if len(before) != many || len(after) != many {
		t.Errorf("%d users were exported and %d arrive, want %d", len(before), len(after), many)
	}
}

func usersOf(t *testing.T, lines string) (users []storage.User) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var u storage.User
		if err := json.Unmarshal([]byte(line), &u); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		users = append(users, u)
	}
	return users
}

func TestAnAdminListenerOffLoopbackNeedsAToken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ admin, token, want string }{
		{"127.0.0.1:9090", "", ""},
		{"localhost:9090", "", ""},
		{"[::1]:9090", "", ""},
		{"0.0.0.0:9090", "", "server.admin: "},
		{":9090", "", "server.admin: "},
		{"10.0.0.1:9090", "", "server.admin: "},
		{"0.0.0.0:9090", "0123456789abcdef", ""},
		{"127.0.0.1:9090", "0123456789abcdef", ""},
		{"127.0.0.1:9090", "0123456789abcde", "server.admin_token: has 15 bytes"},
		{"127.0.0.1:9090", "0123456789 abcdef", "server.admin_token: "},
		{"127.0.0.1:9090", "0123456789abcdef令", "server.admin_token: "},
	} {
		cfg := DefaultConfig()
		cfg.Routes = []RouteConfig{{Path: "/", Auth: AuthNone, Respond: fixedAnswer{Status: 200}}}
		cfg.Server.Admin, cfg.Server.AdminToken = c.admin, secret.Text(c.token)
		faults := cfg.Validate()
		got := fmt.Sprint(faults)
		if (len(faults) > 0) != (c.want != "") || !strings.Contains(got, c.want) || (c.token != "" && strings.Contains(got, c.token)) {
			t.Errorf("admin %s, token of %d bytes: got %s, want %q", c.admin, len(c.token), got, c.want)
		}
	}
}
