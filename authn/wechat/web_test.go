package wechat_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
)

const (
	officialAppID = "wx0ff1c1a100000001"
	websiteAppID  = "wx3eb517e000000001"
)

// newWebSandbox is a stand-in with accounts of web pages, bound to an Open Platform account.
func newWebSandbox(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.New(sandbox.Config{
		AppID: appID, Secret: plain, OpenPlatform: true,
		OfficialAccount: sandbox.WebAccount{AppID: officialAppID, Secret: plain}, Website: sandbox.WebAccount{AppID: websiteAppID, Secret: plain},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// newWeb is the client of the official account.
func newWeb(t *testing.T, baseURL string) *wechat.Web {
	t.Helper()
	web, err := wechat.NewWeb(wechat.Config{AppID: officialAppID, Secret: plain, BaseURL: baseURL, Timeout: 10 * time.Second}, wechat.Deps{Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(web.Close)
	return web
}

// TestTheScopeDecidesWhatIsTold is the table of the page "网页授权": snsapi_base tells no unionid and no profile.
func TestTheScopeDecidesWhatIsTold(t *testing.T) {
	t.Parallel()
	s := newWebSandbox(t)
	client := newWeb(t, s.URL())
	for _, row := range []struct {
		scope             string
		profile           bool
		unionID, profiled bool
	}{
		{wechat.ScopeBase, false, false, false},
		{wechat.ScopeBase, true, false, false},
		{wechat.ScopeUserInfo, false, true, false},
		{wechat.ScopeUserInfo, true, true, true},
		{wechat.ScopeLogin, true, true, true},
	} {
		got, err := client.WebSession(t.Context(), s.IssueWebCode(officialAppID, "alice", row.scope, false), row.profile)
		if err != nil || got.OpenID == "" || (got.UnionID != "") != row.unionID || (got.Nickname == "alice" && got.Avatar != "") != row.profiled {
			t.Errorf("%s, profile %v: openid %q, unionid %q, nickname %q, avatar %q, %v", row.scope, row.profile, got.OpenID, got.UnionID, got.Nickname, got.Avatar, err)
		}
	}
}

func TestAVirtualAccountOfASnapshotIsNobody(t *testing.T) {
	t.Parallel()
	s := newWebSandbox(t)
	client := newWeb(t, s.URL())
	got, err := client.WebSession(t.Context(), s.IssueWebCode(officialAppID, "alice", wechat.ScopeUserInfo, true), true)
	if !errors.Is(err, wechat.ErrSnapshotUser) || got != (wechat.WebSession{}) {
		t.Errorf("got openid %q, %v; want ErrSnapshotUser and nobody", got.OpenID, err)
	}
	if calls := s.Stats().APIs["userinfo"].Calls; calls != 0 {
		t.Errorf("the profile of a virtual account was asked for %d times", calls)
	}
}

func TestACodeOfAWebPageWorksOnceAndForItsOwnAccount(t *testing.T) {
	t.Parallel()
	s := newWebSandbox(t)
	client := newWeb(t, s.URL())
	spent := s.IssueWebCode(officialAppID, "alice", wechat.ScopeBase, false)
	if _, err := client.WebSession(t.Context(), spent, false); err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]int{
		spent: wechat.ErrCodeCodeUsed,
		s.IssueWebCode(websiteAppID, "alice", wechat.ScopeLogin, false): wechat.ErrCodeInvalidCode,
		s.IssueCode("alice"): wechat.ErrCodeInvalidCode, "err-40125": wechat.ErrCodeInvalidSecret, "strcode-40029": wechat.ErrCodeInvalidCode,
	} {
		_, err := client.WebSession(t.Context(), code, true)
		answer, ok := errors.AsType[*wechat.Error](err)
		if !ok || answer.Code != want || answer.API != wechat.APIWebToken {
			t.Errorf("%s: got %v, want errcode %d", code, err, want)
		}
		tellsNothing(t, err, code)
	}
}

// webServer answers both calls with what a test says.
func webServer(t *testing.T, token, userInfo string) *wechat.Web {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) }
	}
	mux.HandleFunc("/sns/oauth2/access_token", answer(token))
	mux.HandleFunc("/sns/userinfo", answer(userInfo))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return newWeb(t, server.URL)
}

const goodGrant = `{"access_token":"T","expires_in":7200,"refresh_token":"R","openid":"oA","scope":"snsapi_userinfo","unionid":"uA"}`

func TestABrokenGrantIsNobody(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no openid":          strings.Replace(goodGrant, `"openid":"oA",`, "", 1),
		"an empty openid":    strings.Replace(goodGrant, "oA", "", 1),
		"an openid twice":    strings.Replace(goodGrant, `"openid":"oA"`, `"openid":"oA","openid":"oB"`, 1),
		"a number":           strings.Replace(goodGrant, `"oA"`, "7", 1),
		"a long openid":      strings.Replace(goodGrant, "oA", strings.Repeat("o", 65), 1),
		"a line break":       strings.Replace(goodGrant, "oA", `o\r\nX-User-Id: 1`, 1),
		"a long unionid":     strings.Replace(goodGrant, "uA", strings.Repeat("u", 65), 1),
		"no token":           strings.Replace(goodGrant, `"access_token":"T",`, "", 1),
		"a token of objects": strings.Replace(goodGrant, `"T"`, `{"a":1}`, 1),
		"a long token":       strings.Replace(goodGrant, `"T"`, `"`+strings.Repeat("T", 2000)+`"`, 1),
		"no object":          `[` + goodGrant + `]`,
		"html":               "<html>",
		"too much":           goodGrant[:len(goodGrant)-1] + `,"x":"` + strings.Repeat("x", 1<<17) + `"}`,
		"something behind":   goodGrant + "{}",
	} {
		got, err := webServer(t, text, "{}").WebSession(t.Context(), "code", true)
		if !errors.Is(err, wechat.ErrBadResponse) || got != (wechat.WebSession{}) {
			t.Errorf("%s: got openid %q, %v; want ErrBadResponse", name, got.OpenID, err)
		}
	}
}

func TestWhatSaysAnythingButNoIsASnapshot(t *testing.T) {
	t.Parallel()
	for value, snapshot := range map[string]bool{"0": false, `"0"`: false, "null": false, "false": false, "1": true, `"1"`: true, "true": true, "{}": true, "2": true} {
		grant := strings.Replace(goodGrant, "{", `{"is_snapshotuser":`+value+`,`, 1)
		if _, err := webServer(t, grant, "{}").WebSession(t.Context(), "code", false); errors.Is(err, wechat.ErrSnapshotUser) != snapshot {
			t.Errorf("is_snapshotuser %s: %v", value, err)
		}
	}
}

// TestAProfileThatDoesNotFitIsLeftOut wants a login in spite of it: the code is spent.
func TestAProfileThatDoesNotFitIsLeftOut(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"of somebody else":        `{"openid":"oB","nickname":"mallory","headimgurl":"https://x/y"}`,
		"with another unionid":    `{"openid":"oA","unionid":"uB","nickname":"mallory","headimgurl":"https://x/y"}`,
		"an errcode":              `{"errcode":48001,"errmsg":"api unauthorized"}`,
		"html":                    "<html>",
		"a nickname that is none": `{"openid":"oA","nickname":{},"headimgurl":"https://x/y"}`,
	} {
		got, err := webServer(t, goodGrant, text).WebSession(t.Context(), "code", true)
		if err != nil || got.OpenID != "oA" || got.UnionID != "uA" || got.Nickname != "" || got.Avatar != "" {
			t.Errorf("%s: openid %q, unionid %q, nickname %q, %v", name, got.OpenID, got.UnionID, got.Nickname, err)
		}
	}
	withoutUnion := strings.Replace(goodGrant, `,"unionid":"uA"`, "", 1)
	got, err := webServer(t, withoutUnion, `{"openid":"oA","unionid":"uA","nickname":"爱丽丝","headimgurl":""}`).WebSession(t.Context(), "code", true)
	if err != nil || got.UnionID != "uA" || got.Nickname != "爱丽丝" {
		t.Errorf("the unionid of the profile: %q, nickname %q, %v", got.UnionID, got.Nickname, err)
	}
}

func TestAWebSessionShowsNothing(t *testing.T) {
	t.Parallel()
	s := wechat.WebSession{OpenID: "oSecret", UnionID: "uSecret", Nickname: "nSecret"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, s); strings.Contains(text, "Secret") {
			t.Errorf("%s shows %s", verb, text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newWeb(t, "http://127.0.0.1:1").WebSession(ctx, "a code", false); !errors.Is(err, wechat.ErrInvalidCode) {
		t.Errorf("a malformed code: %v", err)
	}
}

// TestTheAuthorizePageTakesWhatWeWrite has the stand-in judge our address as WeChat does: parameters, their order, the state.
func TestTheAuthorizePageTakesWhatWeWrite(t *testing.T) {
	t.Parallel()
	s := newWebSandbox(t)
	cfg := wechat.DefaultConfig()
	cfg.OpenURL = s.URL()
	cfg.OfficialAccount = wechat.WebAccount{AppID: officialAppID, Secret: plain, ReturnTo: []string{"https://h5.example.com/"}}
	cfg.Website = wechat.WebAccount{AppID: websiteAppID, Secret: plain}
	const callback = "http://127.0.0.1:8080/api/v1/auth/h5/callback"
	for want, address := range map[string]string{
		"/connect/oauth2/authorize?appid=wx0ff1c1a100000001&redirect_uri=http%3A%2F%2F127.0.0.1%3A8080%2Fapi%2Fv1%2Fauth%2Fh5%2Fcallback&response_type=code&scope=snsapi_base&state=S1#wechat_redirect":     cfg.WebLogin(false).Authorize(wechat.WebOfficialAccount, callback, "S1"),
		"/connect/oauth2/authorize?appid=wx0ff1c1a100000001&redirect_uri=http%3A%2F%2F127.0.0.1%3A8080%2Fapi%2Fv1%2Fauth%2Fh5%2Fcallback&response_type=code&scope=snsapi_userinfo&state=S1#wechat_redirect": cfg.WebLogin(true).Authorize(wechat.WebOfficialAccount, callback, "S1"),
		"/connect/qrconnect?appid=wx3eb517e000000001&redirect_uri=http%3A%2F%2F127.0.0.1%3A8080%2Fapi%2Fv1%2Fauth%2Fh5%2Fcallback&response_type=code&scope=snsapi_login&state=S1#wechat_redirect":           cfg.WebLogin(true).Authorize(wechat.WebWebsite, callback, "S1"),
	} {
		if address != s.URL()+want {
			t.Errorf("got  %s\nwant %s", address, s.URL()+want)
		}
		if status := get(t, address); status != http.StatusOK {
			t.Errorf("%s: %d", address, status)
		}
	}
	good := cfg.WebLogin(false).Authorize(wechat.WebOfficialAccount, callback, "S1")
	for name, wrong := range map[string]string{
		"another order":  strings.Replace(good, "response_type=code&scope=snsapi_base", "scope=snsapi_base&response_type=code", 1),
		"a state with _": strings.Replace(good, "state=S1", "state=S_1", 1),
		"a long state":   strings.Replace(good, "state=S1", "state="+strings.Repeat("S", 129), 1),
		"another appid":  strings.Replace(good, officialAppID, appID, 1),
		"another scope":  strings.Replace(good, "snsapi_base", "snsapi_login", 1),
		"another domain": strings.Replace(good, "127.0.0.1%3A8080", "evil.example.com", 1),
	} {
		if status := get(t, wrong); status != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", name, status)
		}
	}
}

func get(t *testing.T, url string) (status int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestPagesAndFilesOfAWebAccountAreExact(t *testing.T) {
	t.Parallel()
	good := func() wechat.Config {
		c := wechat.DefaultConfig()
		c.AppID, c.Secret = appID, plain
		c.OfficialAccount = wechat.WebAccount{
			AppID: officialAppID, Secret: plain, ReturnTo: []string{"https://h5.example.com/login?from=a", "http://127.0.0.1:5173/"},
			VerifyFiles: map[string]string{"MP_verify_abcdefgh12345678.txt": "abcdefgh12345678"},
		}
		c.Website = wechat.WebAccount{AppID: websiteAppID, Secret: plain, VerifyFiles: map[string]string{"abc.txt": "abc"}}
		return c
	}
	if faults := good().Validate(); len(faults) > 0 {
		t.Fatal(faults)
	}
	if got := good().WebLogin(false).Accounts[wechat.WebWebsite].ReturnTo; len(got) != 2 {
		t.Errorf("website returns to %q, want the pages of official_account", got)
	}
	page := func(text string) func(*wechat.Config) {
		return func(c *wechat.Config) { c.OfficialAccount.ReturnTo = []string{text} }
	}
	file := func(name, content string) func(*wechat.Config) {
		return func(c *wechat.Config) { c.OfficialAccount.VerifyFiles = map[string]string{name: content} }
	}
	for want, change := range map[string]func(*wechat.Config){
		"official_account.secret: is empty":                       func(c *wechat.Config) { c.OfficialAccount.Secret = "" },
		"official_account.return_to: is empty":                    func(c *wechat.Config) { c.OfficialAccount.ReturnTo = nil },
		"website.appid: is that of official_account":              func(c *wechat.Config) { c.Website.AppID = officialAppID },
		"official_account.appid: is that of the mini-program":     func(c *wechat.Config) { c.OfficialAccount.AppID = appID },
		"return_to[0]: \"/login\" is not an https:// URL":         page("/login"),
		"\"//evil.example.com/\" is not":                          page("//evil.example.com/"),
		"\"https:///x\" is not":                                   page("https:///x"),
		"\"javascript:alert(1)\" is not":                          page("javascript:alert(1)"),
		"\"http://h5.example.com/\" is plain http":                page("http://h5.example.com/"),
		"has a user name":                                         page("https://h5.example.com@evil.example.com/"),
		"has a fragment":                                          page("https://h5.example.com/#/home"),
		"is not visible ASCII":                                    page("https://h5.example.com/\\evil"),
		"return_to[1]: \"https://a.test/\" is listed twice":       func(c *wechat.Config) { c.OfficialAccount.ReturnTo = []string{"https://a.test/", "https://a.test/"} },
		"verify_files.index.html: is not the name":                file("index.html", "x"),
		"verify_files.../a.txt: is not the name":                  file("../a.txt", "x"),
		"verify_files.a.txt: has 0 bytes":                         file("a.txt", ""),
		"verify_files.a.txt: has 2000 bytes":                      file("a.txt", strings.Repeat("x", 2000)),
		"is another file's name already":                          file("ABC.txt", "other"),
		"open_url: is not an http:// or https:// URL with a host": func(c *wechat.Config) { c.OpenURL = "open.weixin.qq.com" },
	} {
		cfg := good()
		change(&cfg)
		if err := cfg.Validate().Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
