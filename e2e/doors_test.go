package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxgate/authn/issuer/issuertest"
	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
)

const (
	officialAppID  = "wx4444444444444444"
	functionSecret = "the-secret-of-the-cloud-function-0123"
	serviceToken   = "the-token-of-a-service-0123456789abcdef"
)

// doors is a gateway with every way to be somebody.
type doors struct {
	*world
}

// newDoors serves it. The service says who it was told.
func newDoors(t *testing.T) *doors {
	t.Helper()
	w := newWorld(t)
	weChat, err := sandbox.New(sandbox.Config{
		AppID: appID, Secret: appSecret, OpenPlatform: true, OfficialAccount: sandbox.WebAccount{AppID: officialAppID, Secret: appSecret},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := weChat.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = weChat.Close() })
	w.rewrite(w.weChat.URL(), weChat.URL())
	w.weChat = weChat
	w.service.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"X-User-Id", "X-Admin-Id", "X-User-Openid", "X-WX-OPENID"} {
			for _, value := range r.Header.Values(name) {
				_, _ = fmt.Fprintf(rw, "%s=%s;", name, value)
			}
		}
	})
	w.rewrite(`admin: "127.0.0.1:0"`, fmt.Sprintf(`admin: "127.0.0.1:0", admin_token: %q, services: [ { name: recipes, token: %q, may: [users.read] } ]`, adminToken, serviceToken))
	w.rewrite("wechat: {", fmt.Sprintf("wechat: { cloud_function_secret: %q, official_account: { appid: %s, secret: %q, return_to: [ 'http://127.0.0.1:5173/' ] },",
		functionSecret, officialAppID, appSecret))
	w.rewrite("limits:", fmt.Sprintf("authn: { link: unionid, issuers: [ { name: admin, secret: %q, algorithms: [HS256], subject: id, headers: { X-Admin-Id: id } } ] }\nlimits:", adminSecrets()["HS256"]))
	w.rewrite("routes:", "routes:\n  - { path: /admin/**, upstream: recipes, issuer: admin }\n  - { path: /user/**, upstream: recipes }\n  - { path: /open/**, upstream: recipes, auth: none }")
	w.serve()
	return &doors{w}
}

// onTheWeb logs a person in on a web page, and returns the one-time code and the token.
func (d *doors) onTheWeb(person string) (oneTime, token string) {
	d.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	follow := func(target string) *url.URL {
		resp, err := browser.Get(d.url + target)
		if err != nil {
			d.t.Fatal(err)
		}
		_ = resp.Body.Close()
		at, err := resp.Location()
		if err != nil {
			d.t.Fatalf("%s: %s: %v", target, resp.Status, err)
		}
		return at
	}
	state := follow("/api/v1/auth/h5/start?return_to=" + url.QueryEscape("http://127.0.0.1:5173/")).Query().Get("state")
	at := follow("/api/v1/auth/h5/callback?code=" + d.weChat.IssueWebCode(officialAppID, person, wechat.ScopeUserInfo, false) + "&state=" + state)
	oneTime = strings.TrimPrefix(at.Fragment, "code=")
	resp, err := browser.Post(d.url+"/api/v1/auth/h5/exchange", "application/json", strings.NewReader(fmt.Sprintf(`{"code":%q}`, oneTime)))
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	var got struct{ Data struct{ Access_token string } } //nolint:revive // the name in the answer
	if err := json.Unmarshal(body, &got); err != nil || got.Data.Access_token == "" {
		d.t.Fatalf("exchange: %s %s", resp.Status, body)
	}
	return oneTime, got.Data.Access_token
}

// bearer is a credential as most are sent.
func bearer(text string) func(method, target, body string) []string {
	return func(string, string, string) []string { return []string{"Authorization", "Bearer " + text} }
}

// byFunction is what the cloud function signs for somebody.
func byFunction(openID string) func(method, target, body string) []string {
	return func(method, target, body string) []string {
		at, sum := strconv.FormatInt(time.Now().Unix(), 10), sha256.Sum256([]byte(body))
		content := hex.EncodeToString(sum[:])
		mac := hmac.New(sha256.New, []byte(functionSecret))
		mac.Write([]byte(strings.Join([]string{"v2", at, appID, openID, method, target, content}, "\n")))
		return []string{
			"X-Wxgate-Appid", appID, "X-Wxgate-Openid", openID, "X-Wxgate-Timestamp", at, "X-Wxgate-Content-Sha256", content,
			"X-Wxgate-Signature-V2", hex.EncodeToString(mac.Sum(nil)),
		}
	}
}

// TestEveryCredentialOpensItsOwnDoorAlone tries each kind of credential at each door, beside forged identity: a user's token from the
// mini-program and from a web page, whose accounts are one person, the cloud function's signature, a service's token, the operator's,
// another issuer's, and codes. None is taken for another kind, and nobody is who they say to be.
func TestEveryCredentialOpensItsOwnDoorAlone(t *testing.T) {
	t.Parallel()
	d := newDoors(t)
	alice, bob := d.login("alice"), d.login("bob")
	openIDs := map[string]string{}
	for id, person := range map[string]string{"1": "alice", "2": "bob"} {
		openIDs[person] = d.openIDOf(id)
	}
	oneTime, onTheWeb := d.onTheWeb("alice")
	admin := issuertest.Key{Algorithm: "HS256", Signing: []byte(adminSecrets()["HS256"])}.
		Sign(t, map[string]any{"id": 7, "username": "admin", "exp": time.Now().Add(time.Hour).Unix()})
	credentials := map[string]func(method, target, body string) []string{
		"nobody":                func(string, string, string) []string { return nil },
		"alice":                 bearer(alice),
		"alice on a web page":   bearer(onTheWeb),
		"bob":                   bearer(bob),
		"bob by the function":   byFunction(openIDs["bob"]),
		"the service":           bearer(serviceToken),
		"the operator":          bearer(adminToken),
		"an administrator":      bearer(admin),
		"a one-time code":       bearer(oneTime),
		"a code of wx.login":    bearer(d.weChat.IssueCode("alice")),
		"the function's secret": bearer(functionSecret),
		"a token that was cut":  bearer(alice[:len(alice)-3]),
		"two tokens, one of each": func(string, string, string) []string {
			return []string{"Authorization", "Bearer " + alice + ", Bearer " + bob}
		},
	}
	of := map[string]struct { // who somebody is at each kind of door; "": refused
		user, admin, operator string
	}{
		"alice":               {user: "X-User-Id=1;X-User-Openid=" + openIDs["alice"] + ";"},
		"alice on a web page": {user: "X-User-Id=1;X-User-Openid="},
		"bob":                 {user: "X-User-Id=2;X-User-Openid=" + openIDs["bob"] + ";"},
		"bob by the function": {user: "X-User-Id=2;X-User-Openid=" + openIDs["bob"] + ";"},
		"an administrator":    {admin: "X-Admin-Id=7;"},
		"the service":         {operator: "read"},
		"the operator":        {operator: "all"},
	}
	forged := []string{"X-User-Id", "forged", "X_User_Id", "forged", "X-Admin-Id", "forged", "X-WX-OPENID", "oforged", "X-WX-SOURCE", "wx_client", "X-User-Openid", "oforged"}
	for name, credential := range credentials {
		who := of[name]
		door := func(what, method, target, body, want string) {
			t.Helper()
			got := d.call(method, target, "", body, slices.Concat(forged, credential(method, target, body))...)
			switch {
			case strings.Contains(got.body, "forged"):
				t.Errorf("%s at %s: what was forged counts: %s", name, what, got.body)
			case want == "" && got.status < 400:
				t.Errorf("%s at %s: %d %s, want a refusal", name, what, got.status, got.body)
			case want != "" && (got.status != http.StatusOK || !strings.HasPrefix(got.body, want)):
				t.Errorf("%s at %s: %d %s, want %s", name, what, got.status, got.body, want)
			}
		}
		door("a user's route", "GET", "/user/x", "", who.user)
		door("an administrator's route", "GET", "/admin/x", "", who.admin)
		if who.user == "" {
			door("the profile", "GET", "/api/v1/user/profile", "", "")
			door("the export", "GET", "/api/v1/user/export", "", "")
			door("a deletion", "DELETE", "/api/v1/user", "", "")
			door("a refresh", "POST", "/api/v1/auth/refresh", "{}", "")
		}
		if open := d.call("GET", "/open/x", "", "", slices.Concat(forged, credential("GET", "/open/x", ""))...); open.status == http.StatusOK && open.body != "" {
			t.Errorf("%s at a route without a token: the service is told %s", name, open.body)
		}
		d.atTheOperators(name, credential, who.operator)
	}
	for name, code := range map[string]string{"a token": alice, "a one-time code": oneTime, "the service's token": serviceToken} {
		if got := d.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, code)); got.status < 400 {
			t.Errorf("%s as a code of wx.login: %d %s", name, got.status, got.body)
		}
	}
	for name, code := range map[string]string{"a token": alice, "a code of wx.login": d.weChat.IssueCode("bob"), "a one-time code without its browser": oneTime} {
		if got := d.call("POST", "/api/v1/auth/h5/exchange", "", fmt.Sprintf(`{"code":%q}`, code)); got.status < 400 {
			t.Errorf("%s as a one-time code: %d %s", name, got.status, got.body)
		}
	}
}

// openIDOf is that of a user, as the operator sees it.
func (d *doors) openIDOf(id string) string {
	d.t.Helper()
	var user struct{ Data struct{ OpenID string } }
	if err := json.Unmarshal([]byte(d.operators("GET", "/api/users/"+id, bearer(adminToken)).body), &user); err != nil || user.Data.OpenID == "" {
		d.t.Fatalf("user %s: %v", id, err)
	}
	return user.Data.OpenID
}

// operators asks the admin listener.
func (d *doors) operators(method, path string, credential func(method, target, body string) []string) answer {
	d.t.Helper()
	w := *d.world
	p := *d.process
	p.url, w.process = d.admin, &p
	return w.call(method, path, "", "", credential(method, path, "")...)
}

// atTheOperators tries the admin listener: to read a user, and to do what a service that reads may not.
func (d *doors) atTheOperators(name string, credential func(method, target, body string) []string, may string) {
	d.t.Helper()
	if got := d.operators("GET", "/api/users/2", credential); (got.status == http.StatusOK) != (may != "") {
		d.t.Errorf("%s reads a user: %d %s", name, got.status, got.body)
	}
	if got := d.operators("DELETE", "/api/users/2/ban", credential); (got.status == http.StatusOK) != (may == "all") {
		d.t.Errorf("%s lifts a ban: %d %s", name, got.status, got.body)
	}
}
