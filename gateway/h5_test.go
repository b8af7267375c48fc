package gateway

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/gateway/limit"
	"wxgate/secret"
	"wxgate/upstream/upstreamtest"
)

const (
	testOfficial = "wx4444444444444444"
	testWebsite  = "wx5555555555555555"
	h5Page       = "https://h5.example.com/login?from=menu"
)

// newWebs are the clients of the accounts of web pages of the sandbox.
func newWebs(tb testing.TB, weChatURL string) map[wechat.WebKind]authn.WebApp {
	tb.Helper()
	webs := map[wechat.WebKind]authn.WebApp{}
	for kind, appID := range map[wechat.WebKind]string{wechat.WebOfficialAccount: testOfficial, wechat.WebWebsite: testWebsite} {
		client, err := wechat.NewWeb(wechat.Config{AppID: appID, Secret: "sandbox-secret", BaseURL: weChatURL, Timeout: 3 * time.Second}, wechat.Deps{Metrics: prometheus.NewRegistry()})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(client.Close)
		webs[kind] = authn.WebApp{AppID: appID, Client: client}
	}
	return webs
}

// withWebLogin lets people log in on web pages.
func withWebLogin(cfg *Config) {
	section := wechat.DefaultConfig()
	section.OfficialAccount = wechat.WebAccount{
		AppID: testOfficial, Secret: secret.Text("sandbox-secret"), ReturnTo: []string{h5Page, "https://h5.example.com/"},
		VerifyFiles: map[string]string{"MP_verify_abcdefgh12345678.txt": "abcdefgh12345678"},
	}
	section.Website = wechat.WebAccount{AppID: testWebsite, Secret: "sandbox-secret", ReturnTo: []string{"https://www.example.com/"}}
	cfg.WebLogin = section.WebLogin(true)
}

// webBrowser is one browser: a cookie, and where it has been sent.
type webBrowser struct {
	*edge
	cookie string // Cookie: …
}

// get asks for a page as a browser does, and keeps its cookie.
func (b *webBrowser) get(t *testing.T, target string, more ...string) (status int, location *url.URL, resp *http.Response) {
	t.Helper()
	if b.cookie != "" {
		more = append(more, b.cookie)
	}
	resp, _ = b.send(t, head("GET "+target, "", more...))
	if line, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";"); line != "" {
		b.cookie = "Cookie: " + line
	}
	location, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, location, resp
}

const asBrowser = "Accept: text/html,application/xhtml+xml"

// begin starts a login for a page, and returns the state that WeChat gets.
func (b *webBrowser) begin(t *testing.T, page, kind string) (state string) {
	t.Helper()
	status, at, _ := b.get(t, "/api/v1/auth/h5/start?return_to="+url.QueryEscape(page)+"&kind="+kind)
	if status != http.StatusFound || at.Host != "open.weixin.qq.com" || at.Fragment != "wechat_redirect" {
		t.Fatalf("start: %d %s", status, at)
	}
	return at.Query().Get("state")
}

// back comes back from WeChat with a code, and returns what the page is told: code or error, and its value.
func (b *webBrowser) back(t *testing.T, state, code string) (what, value string) {
	t.Helper()
	status, at, _ := b.get(t, "/api/v1/auth/h5/callback?code="+code+"&state="+state, asBrowser)
	if status != http.StatusFound {
		return "status", fmt.Sprint(status)
	}
	what, value, _ = strings.Cut(at.Fragment, "=")
	return what, value
}

// exchange exchanges a one-time code, and returns the token or the reason.
func (b *webBrowser) exchange(t *testing.T, oneTime string) (status int, tokenOrReason string, user map[string]any) {
	t.Helper()
	var more []string
	if b.cookie != "" {
		more = append(more, b.cookie)
	}
	status, said := b.post(t, "/api/v1/auth/h5/exchange", "", map[string]any{"code": oneTime}, more...)
	if status != http.StatusOK {
		reason, _ := said["reason"].(string)
		return status, reason, nil
	}
	data, _ := said["data"].(map[string]any)
	tokenOrReason, _ = data["access_token"].(string)
	user, _ = data["user"].(map[string]any)
	return status, tokenOrReason, user
}

func (b *webBrowser) webCode(person string) string {
	return b.weChat.IssueWebCode(testOfficial, person, wechat.ScopeUserInfo, false)
}

func TestAPersonLogsInOnAWebPage(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, withWebLogin)
	b := &webBrowser{edge: e}
	status, at, resp := b.get(t, "/api/v1/auth/h5/start?return_to="+url.QueryEscape(h5Page))
	want := "https://open.weixin.qq.com/connect/oauth2/authorize?appid=" + testOfficial +
		"&redirect_uri=https%3A%2F%2Fapi.example.com%2Fapi%2Fv1%2Fauth%2Fh5%2Fcallback&response_type=code&scope=snsapi_userinfo&state=" + at.Query().Get("state") + "#wechat_redirect"
	if status != http.StatusFound || at.String() != want {
		t.Fatalf("start: %d %s\nwant %s", status, at, want)
	}
	cookie := resp.Header.Get("Set-Cookie")
	for _, attribute := range []string{"__Host-wxgate-h5=", "Max-Age=600", "Path=/", "HttpOnly", "SameSite=Lax", "Secure"} {
		if !strings.Contains(cookie, attribute) {
			t.Errorf("the cookie is %q, without %s", cookie, attribute)
		}
	}
	state := at.Query().Get("state")
	if len(state) > 128 || strings.Trim(state, "0123456789abcdef") != "" {
		t.Errorf("the state is %q, not 1 to 128 of a-zA-Z0-9", state)
	}
	status, at, resp = b.get(t, "/api/v1/auth/h5/callback?code="+b.webCode("alice")+"&state="+state, asBrowser)
	what, oneTime, _ := strings.Cut(at.Fragment, "=")
	if status != http.StatusFound || what != "code" || at.Scheme+"://"+at.Host+at.RequestURI() != h5Page {
		t.Fatalf("callback: %d %s", status, at)
	}
	if resp.Header.Get("Referrer-Policy") != "no-referrer" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the way back has %v", resp.Header)
	}
	status, token, user := b.exchange(t, oneTime)
	if status != http.StatusOK || user["nickname"] != "alice" || user["avatar"] == "" {
		t.Fatalf("exchange: %d %v", status, user)
	}
	if resp, body := e.send(t, head("GET /private/x", token, b.cookie+"; theme=dark")); resp.StatusCode != http.StatusOK {
		t.Fatalf("the token: %d %s", resp.StatusCode, body)
	}
	got := service.Requests()[0]
	if got.Field("X-User-Id") != "1" || got.Field("X-User-Openid") != user["openid"] || got.Field("Cookie") != "theme=dark" {
		t.Errorf("the service got\n%s", got.Head())
	}
}

func TestAWebsiteAndAnOfficialAccountKeepTheirPeopleApart(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	b := &webBrowser{edge: e}
	_, oneTime := b.back(t, b.begin(t, h5Page, ""), b.webCode("alice"))
	_, _, official := b.exchange(t, oneTime)
	status, at, _ := b.get(t, "/api/v1/auth/h5/start?kind=website&return_to="+url.QueryEscape("https://www.example.com/"))
	if status != http.StatusFound || at.Path != "/connect/qrconnect" || at.Query().Get("appid") != testWebsite || at.Query().Get("scope") != wechat.ScopeLogin {
		t.Fatalf("start: %d %s", status, at)
	}
	_, oneTime = b.back(t, at.Query().Get("state"), e.weChat.IssueWebCode(testWebsite, "alice", wechat.ScopeLogin, false))
	status, _, website := b.exchange(t, oneTime)
	if status != http.StatusOK || website["id"] == official["id"] || website["openid"] == official["openid"] {
		t.Errorf("%d: the website has %v, the official account %v: want two users without authn.link", status, website, official)
	}
	// a code of the other account is none
	if what, value := b.back(t, b.begin(t, h5Page, ""), e.weChat.IssueWebCode(testWebsite, "alice", wechat.ScopeLogin, false)); what != "error" || value != "wx_code_invalid" {
		t.Errorf("a code of the website at the official account: %s %s", what, value)
	}
}

// TestNobodyIsLedElsewhere: what is not listed, byte for byte, leads nowhere.
func TestNobodyIsLedElsewhere(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	for _, page := range []string{
		"", "https://evil.example.com/", "//h5.example.com/", "https://h5.example.com", "https://h5.example.com/login", "https://h5.example.com//",
		"HTTPS://h5.example.com/", "https://H5.example.com/", "https://h5.example.com/#", "https://h5.example.com/?", "https://h5.example.com/.",
		"https://h5.example.com@evil.example.com/", "https://h5.example.com:443/", "https://h5.example.com/%2e", " https://h5.example.com/",
		"https://h5.example.com/\n", "https://h5.example.com/\\@evil.example.com", "http://h5.example.com/", "javascript:alert(1)", "data:text/html,x",
		"https://www.example.com/", // of the other account
		h5Page + "&x=1", strings.Repeat("https://h5.example.com/", 100), "https://h5.example.com/\x00", "https://h5.example.com/\r\nSet-Cookie: a=b",
	} {
		resp, body := e.send(t, head("GET /api/v1/auth/h5/start?return_to="+url.QueryEscape(page), "", asBrowser))
		if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Location") != "" || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %d %v %s", page, resp.StatusCode, resp.Header, body)
		}
	}
	for _, query := range []string{
		"return_to=" + url.QueryEscape(h5Page) + "&return_to=https://evil.example.com/", "return_to=https://evil.example.com/&return_to=" + url.QueryEscape(h5Page),
		"return_to=" + url.QueryEscape(h5Page) + "&kind=mini_program", "return_to=" + url.QueryEscape(h5Page) + "&kind=", "return_to=%zz", "kind=website&return_to=" + url.QueryEscape(h5Page),
		"return_to=" + url.QueryEscape(h5Page) + ";kind=website",
	} {
		resp, _ := e.send(t, head("GET /api/v1/auth/h5/start?"+query, ""))
		if good := strings.HasSuffix(query, "kind="); (resp.StatusCode == http.StatusFound) != good {
			t.Errorf("%s: %d %v", query, resp.StatusCode, resp.Header)
		}
	}
}

// TestALoginOfAnotherBrowserIsRefused is login CSRF: whoever has an attacker's address in front of them must not become the attacker.
func TestALoginOfAnotherBrowserIsRefused(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	attacker, victim := &webBrowser{edge: e}, &webBrowser{edge: e}
	code := attacker.webCode("mallory")
	state := attacker.begin(t, h5Page, "")
	for name, b := range map[string]*webBrowser{
		"no cookie":             {edge: e},
		"a cookie of its own":   {edge: e, cookie: "Cookie: __Host-wxgate-h5=" + strings.Repeat("ab", 32)},
		"two cookies":           {edge: e, cookie: attacker.cookie + "; __Host-wxgate-h5=" + strings.Repeat("ab", 32)},
		"the plain cookie":      {edge: e, cookie: strings.Replace(attacker.cookie, "__Host-", "", 1)},
		"another name":          {edge: e, cookie: strings.Replace(attacker.cookie, "__Host-wxgate-h5", "__host-wxgate-h5", 1)},
		"upper case":            {edge: e, cookie: "Cookie: __Host-wxgate-h5=" + strings.ToUpper(strings.TrimPrefix(attacker.cookie, "Cookie: __Host-wxgate-h5="))},
		"more behind":           {edge: e, cookie: attacker.cookie + "00"},
		"a cookie of two lines": {edge: e, cookie: attacker.cookie + "\r\n" + attacker.cookie},
	} {
		if what, value := b.back(t, state, code); what != "error" || value != "web_login_invalid" {
			t.Errorf("%s: the page is told %s %s", name, what, value)
		}
	}
	victimState := victim.begin(t, h5Page, "")
	if what, value := victim.back(t, state, code); what != "error" || value != "web_login_invalid" {
		t.Errorf("a victim with a login of their own: %s %s", what, value)
	}
	if n := e.weChat.Seen(code); n != 0 {
		t.Fatalf("WeChat was asked %d times", n)
	}
	// The one-time code of one browser is worth nothing in another.
	what, oneTime := attacker.back(t, state, code)
	if what != "code" {
		t.Fatalf("the attacker's own: %s %s", what, oneTime)
	}
	for _, b := range []*webBrowser{victim, {edge: e}} {
		if status, reason, _ := b.exchange(t, oneTime); status != http.StatusUnauthorized || reason != "web_login_invalid" {
			t.Errorf("the one-time code of another browser: %d %s", status, reason)
		}
	}
	if status, _, _ := attacker.exchange(t, oneTime); status != http.StatusOK {
		t.Errorf("the attempts of others have spent it: %d", status)
	}
	if what, _ := victim.back(t, victimState, victim.webCode("alice")); what != "code" {
		t.Error("the victim's own login does not work any more")
	}
}

// TestAStateIsGoodOnce: who has seen one cannot lead its browser into another login.
func TestAStateIsGoodOnce(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	b := &webBrowser{edge: e}
	state, code := b.begin(t, h5Page, ""), b.webCode("alice")
	_, oneTime := b.back(t, state, code)
	if _, again := b.back(t, state, code); again != oneTime {
		t.Error("a browser that comes back twice gets another one-time code")
	}
	if n := e.weChat.Seen(code); n != 1 {
		t.Errorf("WeChat was asked %d times", n)
	}
	if what, value := b.back(t, state, b.webCode("mallory")); what != "error" || value != "web_login_invalid" {
		t.Errorf("another code with a state that came back: %s %s", what, value)
	}
	if status, _, user := b.exchange(t, oneTime); status != http.StatusOK || user["nickname"] != "alice" {
		t.Fatalf("exchange: %d %v", status, user)
	}
	if status, reason, _ := b.exchange(t, oneTime); status != http.StatusUnauthorized || reason != "web_login_invalid" {
		t.Errorf("the second exchange: %d %s", status, reason)
	}
	if what, value := b.back(t, state, b.webCode("mallory")); what != "error" || value != "web_login_invalid" {
		t.Errorf("another code with a state that is over: %s %s", what, value)
	}
}

func TestOneOfTwentyExchangesAtOnceLogsIn(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	b := &webBrowser{edge: e}
	_, oneTime := b.back(t, b.begin(t, h5Page, ""), b.webCode("alice"))
	var mu sync.Mutex
	var all sync.WaitGroup
	statuses := map[int]int{}
	for range 20 {
		all.Go(func() {
			status, _, _ := b.exchange(t, oneTime)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	all.Wait()
	if statuses[http.StatusOK] != 1 || statuses[http.StatusUnauthorized] != 19 {
		t.Errorf("got %v, want one 200 and nineteen 401", statuses)
	}
}

// TestASecondGatewayTakesALoginOverAndReplaysNone: two processes with one store and one key.
func TestASecondGatewayTakesALoginOverAndReplaysNone(t *testing.T) {
	t.Parallel()
	one := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	client, _ := one.deps.WeChat[testAppID].(*wechat.Client)
	store, _ := one.deps.Storage.(authn.Store)
	other := newEdgeWith(t, upstreamtest.Refused(t), withWebLogin, func(d *Deps) {
		d.Authn, d.Storage = newAuthnOn(t, one.weChat, store, client), one.deps.Storage
	})
	first := &webBrowser{edge: one}
	state, code := first.begin(t, h5Page, ""), first.webCode("alice")
	second := &webBrowser{edge: other, cookie: first.cookie}
	what, oneTime := second.back(t, state, code)
	if what != "code" {
		t.Fatalf("the callback at the second gateway: %s %s", what, oneTime)
	}
	if _, again := first.back(t, state, code); again != oneTime {
		t.Errorf("the same callback at the first gateway: %s, want the same one-time code", again)
	}
	if n := one.weChat.Seen(code); n != 1 {
		t.Errorf("WeChat was asked %d times", n)
	}
	if status, _, _ := first.exchange(t, oneTime); status != http.StatusOK {
		t.Fatalf("exchange at the first gateway: %d", status)
	}
	if status, reason, _ := second.exchange(t, oneTime); status != http.StatusUnauthorized || reason != "web_login_invalid" {
		t.Errorf("the replay at the second gateway: %d %s", status, reason)
	}
	if what, _ := second.back(t, state, second.webCode("mallory")); what != "error" {
		t.Errorf("the state at the second gateway: %s", what)
	}
}

func TestARefusalIsToldToThePage(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	b := &webBrowser{edge: e}
	for _, answer := range []string{"", "code=&", "code=authdeny&"} {
		status, at, _ := b.get(t, "/api/v1/auth/h5/callback?"+answer+"state="+b.begin(t, h5Page, ""))
		if status != http.StatusFound || at.Fragment != "error=access_denied" || at.Host != "h5.example.com" {
			t.Errorf("%q: %d %s", answer, status, at)
		}
	}
	if calls := e.weChat.Stats().APIs["access_token"].Calls; calls != 0 {
		t.Errorf("WeChat was asked %d times", calls)
	}
}

// TestASnapshotPageLeavesNothing wants neither a user nor anything in the store.
func TestASnapshotPageLeavesNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	b := &webBrowser{edge: e}
	snapshot := func() string { return e.weChat.IssueWebCode(testOfficial, "alice", wechat.ScopeUserInfo, true) }
	if what, value := b.back(t, b.begin(t, h5Page, ""), snapshot()); what != "error" || value != "snapshot_user" {
		t.Errorf("the page is told %s %s", what, value)
	}
	state := b.begin(t, h5Page, "")
	resp, body := e.send(t, head("GET /api/v1/auth/h5/callback?code="+snapshot()+"&state="+state, "", b.cookie))
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(body, `"snapshot_user"`) {
		t.Errorf("a program: %d %s, want 403 snapshot_user", resp.StatusCode, body)
	}
	store, _ := e.deps.Storage.(interface {
		Temporaries(ctx context.Context, prefix string, limit int) ([]string, error)
	})
	users, err := e.deps.Authn.Users.List(t.Context(), 0, 10)
	kept, keptErr := store.Temporaries(t.Context(), "web ", 10)
	if err != nil || keptErr != nil || len(users) != 0 || len(kept) != 0 {
		t.Errorf("%d users, %q kept, %v, %v", len(users), kept, err, keptErr)
	}
}

// TestWhatWeChatAnswersReachesThePageAsAReason goes through the failures of WeChat.
func TestWhatWeChatAnswersReachesThePageAsAReason(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	b := &webBrowser{edge: e}
	for code, want := range map[string]string{
		"err-40029": "wx_code_invalid", "err-40163": "wx_code_used", "err-40125": "wx_misconfigured", "err-45011": "wx_rate_limited", "err-50002": "wx_user_blocked",
		"broken-html": "wx_bad_response", "broken-empty": "wx_bad_response", "broken-noopenid": "wx_bad_response", "broken-emptyopenid": "wx_bad_response",
		"broken-huge": "wx_bad_response", "broken-cut": "wx_bad_response", "broken-reset": "wx_bad_response", "broken-trailing": "wx_bad_response", "broken-502": "wx_bad_response",
		"a%20b": "invalid_request", strings.Repeat("c", 129): "invalid_request", "%0d%0aX:1": "invalid_request",
	} {
		if what, value := b.back(t, b.begin(t, h5Page, ""), code); what != "error" || value != want {
			t.Errorf("%s: the page is told %s %s, want error %s", code, what, value, want)
		}
	}
	resp, body := e.send(t, head("GET /api/v1/auth/h5/callback?code=err-40029&state="+b.begin(t, h5Page, ""), "", b.cookie))
	if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("X-Wxgate-Reason") != "wx_code_invalid" || !strings.Contains(body, "40029") {
		t.Errorf("a program is told %d %s", resp.StatusCode, body)
	}
	if users, err := e.deps.Authn.Users.List(t.Context(), 0, 10); err != nil || len(users) != 0 {
		t.Errorf("%d users, %v", len(users), err)
	}
}

// TestAForgedStateOrCodeCostsNothing: neither WeChat nor the store is asked, and nothing leads elsewhere.
func TestAForgedStateOrCodeCostsNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	b := &webBrowser{edge: e}
	good := b.begin(t, h5Page, "")
	bytes, _ := hex.DecodeString(good)
	var forged []string
	for i := range bytes { // each byte changed
		other := slices.Clone(bytes)
		other[i] ^= 1
		forged = append(forged, hex.EncodeToString(other))
	}
	forged = append(forged, "", "0", good[:len(good)-2], good+"00", strings.ToUpper(good), strings.Repeat("0", len(good)), "x"+good[1:], good+"&state="+good, strings.Repeat("a", 9000))
	for _, state := range forged {
		status, at, _ := b.get(t, "/api/v1/auth/h5/callback?code=demo-alice&state="+state)
		if status != http.StatusUnauthorized && status != http.StatusBadRequest || at.String() != "" {
			t.Errorf("%.100s: %d %s", state, status, at)
		}
		_, at, _ = b.get(t, "/api/v1/auth/h5/callback?code=demo-alice&state="+state, asBrowser)
		if at.String() != "" && at.Host != "h5.example.com" {
			t.Errorf("%.100s leads to %s", state, at)
		}
		if status, reason, _ := b.exchange(t, state); status != http.StatusUnauthorized || reason != "web_login_invalid" {
			t.Errorf("as a one-time code, %.100s: %d %s", state, status, reason)
		}
	}
	if status, reason, _ := b.exchange(t, good); status != http.StatusUnauthorized {
		t.Errorf("a state as a one-time code: %d %s", status, reason)
	}
	_, oneTime := b.back(t, good, b.webCode("alice"))
	if status, _, _ := b.get(t, "/api/v1/auth/h5/callback?code=demo-alice&state="+oneTime); status != http.StatusUnauthorized {
		t.Errorf("a one-time code as a state: %d", status)
	}
	if seen := e.weChat.Seen("demo-alice"); seen != 0 {
		t.Errorf("WeChat was asked %d times", seen)
	}
	for _, body := range []string{`{}`, `{"code":""}`, `{"code":null}`, `[]`, `{"code":7}`} {
		if status, _ := b.postText(t, "/api/v1/auth/h5/exchange", "", body, b.cookie); status < 400 || status > 401 {
			t.Errorf("%s: %d", body, status)
		}
	}
}

func TestAFloodOfCallbacksIsLimitedAsLoginsAre(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), func(cfg *Config) {
		withWebLogin(cfg)
		cfg.Limits.Login = limit.BucketConfig{Per: "ip", Rate: limit.Rate{Count: 1, Per: time.Hour}, Burst: 5}
	})
	b := &webBrowser{edge: e}
	limited := 0
	for range 30 {
		if what, value := b.back(t, b.begin(t, h5Page, ""), "err-40029"); what == "status" && value == "429" {
			limited++
		}
	}
	if calls := e.weChat.Stats().APIs["access_token"].Calls; calls != 5 || limited != 25 {
		t.Errorf("WeChat was asked %d times, %d were limited; want 5 and 25", calls, limited)
	}
}

func TestBannedPeopleDoNotComeInByAWebPage(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	b := &webBrowser{edge: e}
	_, oneTime := b.back(t, b.begin(t, h5Page, ""), b.webCode("alice"))
	_, _, user := b.exchange(t, oneTime)
	id, _ := user["id"].(float64)
	if err := e.deps.Authn.Users.Ban(t.Context(), int64(id), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, oneTime = b.back(t, b.begin(t, h5Page, ""), b.webCode("alice"))
	if status, reason, _ := b.exchange(t, oneTime); status != http.StatusForbidden || reason != "user_banned" {
		t.Errorf("%d %s, want 403 user_banned", status, reason)
	}
}

func TestAPageOnThisMachineNeedsNoTLS(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	for host, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080/", "localhost:8080": "http://localhost:8080/", "localhost": "http://localhost/", "[::1]:8080": "http://[::1]:8080/",
		"h5.example.com": "https://h5.example.com/", "192.168.0.9:8080": "https://192.168.0.9:8080/", "localhost.example.com": "https://localhost.example.com/", "127.0.0.1.example.com": "https://127.0.0.1.example.com/",
	} {
		resp, _ := e.send(t, "GET /api/v1/auth/h5/start?return_to="+url.QueryEscape(h5Page)+" HTTP/1.1\r\nHost: "+host+"\r\nX-Forwarded-Host: evil.example.com\r\nX-Forwarded-Proto: http\r\n\r\n")
		at, _ := url.Parse(resp.Header.Get("Location"))
		plain, cookie := strings.HasPrefix(want, "http://"), resp.Header.Get("Set-Cookie")
		if got := at.Query().Get("redirect_uri"); got != want+"api/v1/auth/h5/callback" || strings.HasPrefix(cookie, "wxgate-h5=") != plain || strings.Contains(cookie, "Secure") == plain {
			t.Errorf("Host %s: back to %s with the cookie %s", host, got, cookie)
		}
	}
}

// TestTwoPagesLogInAtOnce in one browser, in any order.
func TestTwoPagesLogInAtOnce(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), withWebLogin)
	b := &webBrowser{edge: e}
	first, second := b.begin(t, h5Page, ""), b.begin(t, "https://h5.example.com/", "")
	if first == second {
		t.Fatal("two logins have one state")
	}
	for _, state := range []string{first, second} {
		if what, value := b.back(t, state, b.webCode("alice")); what != "code" {
			t.Errorf("%s %s", what, value)
		}
	}
}

func TestFilesOfADomainAreServedWithoutALogin(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		withWebLogin(cfg)
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/**", Upstream: "service", Auth: AuthRequired})
	})
	resp, body := e.send(t, head("GET /MP_verify_abcdefgh12345678.txt", ""))
	if resp.StatusCode != http.StatusOK || body != "abcdefgh12345678" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	for _, path := range []string{"/MP_verify_other.txt", "/x/MP_verify_abcdefgh12345678.txt", "/MP_verify_abcdefgh12345678.txt/x"} {
		if resp, _ := e.send(t, head("GET "+path, "")); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401 of the route", path, resp.StatusCode)
		}
	}
	if len(service.Requests()) != 0 {
		t.Error("the service was asked")
	}
}

func TestWithoutAnAccountThereIsNoLoginOfWebPages(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	for _, line := range []string{"GET /api/v1/auth/h5/start?return_to=" + url.QueryEscape(h5Page), "GET /api/v1/auth/h5/callback?code=a&state=b", "POST /api/v1/auth/h5/exchange"} {
		if resp, body := e.send(t, head(line, "")); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %s", line, resp.StatusCode, body)
		}
	}
}
