package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
	"wxgate/gateway/apidoc/apidoctest"
)

// describedWorld is a gateway with every endpoint, and what it says of them.
type describedWorld struct {
	*world
	public, admin *apidoctest.API
}

// sending is an example as it is sent: what is of the moment takes the place of what the document says.
type sending struct {
	values  apidoctest.Values
	token   string
	headers []string
	refused string // the reason; "": it succeeds
}

func newDescribedWorld(t *testing.T) *describedWorld {
	t.Helper()
	w, people := newPeopleWorld(t, false)
	weChat, err := sandbox.New(sandbox.Config{
		AppID: appID, Secret: appSecret, AppKey: appKey, SandboxAppKey: sandboxAppKey, PushToken: pushToken, PushAESKey: pushKey,
		OpenPlatform: true, OfficialAccount: sandbox.WebAccount{AppID: officialAppID, Secret: appSecret},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := weChat.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = weChat.Close() })
	people.setAnswer(nil)
	w.rewrite(w.weChat.URL(), weChat.URL())
	w.weChat = weChat
	seller(t, w)
	w.rewrite(`admin: "127.0.0.1:0"`, fmt.Sprintf(`admin: "127.0.0.1:0", admin_token: %q, services: [ { name: recipes, token: %q, may: [counters] } ]`, adminToken, serviceToken))
	w.rewrite("wechat: {", fmt.Sprintf("identity: { signed: { header: X-Identity } }\nwechat: { cloud_function_secret: %q, official_account: { appid: %s, secret: %q, return_to: [ 'http://127.0.0.1:5173/' ] },",
		functionSecret, officialAppID, appSecret))
	w.rewrite("authn: {", "authn: { link: unionid,")
	w.rewrite("routes:", "routes:\n  - { path: /ai/**, upstream: recipes, rate_limit: { per: user, quota: 20/day, quota_name: ai } }")
	w.serve()
	d := &describedWorld{world: w}
	d.admin = apidoctest.New(t, []byte(d.operator("GET", "/api/openapi.json", "", "Authorization", "Bearer "+serviceToken).body))
	d.public = apidoctest.New(t, []byte(d.operator("GET", "/api/openapi.json?api=public", "").body))
	return d
}

// operator sends a request to the admin listener, whose metrics and documents name a session_key without having one.
func (d *describedWorld) operator(method, path, body string, headers ...string) (got answer) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.world.process.admin+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := d.client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	got = answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
	_ = json.Unmarshal(text, &got.json) // a body that is no JSON leaves it nil
	keepsSecrets(d.t, "the answer to "+method+" "+path, got.body)
	return got
}

// run sends every example of an operation, and holds the answers against the document.
func (d *describedWorld) run(api *apidoctest.API, id string, r sending) (last answer) {
	d.t.Helper()
	for _, example := range api.Examples(id, r.values) {
		headers := r.headers
		if example.ContentType != "" {
			headers = append([]string{"Content-Type", example.ContentType}, headers...)
		}
		if api == d.admin {
			last = d.operator(example.Method, example.Path, example.Body, headers...)
		} else {
			last = d.call(example.Method, example.Path, r.token, example.Body, headers...)
		}
		if reason := fmt.Sprint(last.json["reason"]); (r.refused == "") != (last.status < 400) || r.refused != "" && reason != r.refused {
			d.t.Errorf("%s %s: %d %.300s, want %q", id, example.Path, last.status, last.body, r.refused)
		}
		api.Check(id, last.status, last.header, last.body)
	}
	return last
}

// all runs every operation, with the requests that need more than the document says.
func (d *describedWorld) all(api *apidoctest.API, special map[string]func() sending) {
	d.t.Helper()
	for id := range special {
		if !slices.Contains(api.Operations(), id) {
			d.t.Errorf("there is no operation %s", id)
		}
	}
	for _, id := range api.Operations() {
		r := sending{token: d.login("alice")}
		if of := special[id]; of != nil {
			r = of()
		}
		d.run(api, id, r)
	}
}

// idOf is the id of the user of a new login, as it stands in paths.
func (d *describedWorld) idOf(person string) apidoctest.Values {
	return apidoctest.Values{"id": d.userID(d.login(person))}
}

// onTheWeb goes through a login on a web page up to a step. It returns the cookie, and what the step takes.
func (d *describedWorld) onTheWeb(person string, exchanging bool) sending {
	d.t.Helper()
	d.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	start := d.run(d.public, "h5Start", sending{})
	cookie, _, _ := strings.Cut(start.header.Get("Set-Cookie"), ";")
	at, err := url.Parse(start.header.Get("Location"))
	if err != nil {
		d.t.Fatal(err)
	}
	callback := sending{headers: []string{"Cookie", cookie, "Accept", "text/html"}, values: apidoctest.Values{
		"state": at.Query().Get("state"), "code": d.weChat.IssueWebCode(officialAppID, person, wechat.ScopeUserInfo, false),
	}}
	if !exchanging {
		return callback
	}
	_, code, _ := strings.Cut(d.run(d.public, "h5Callback", callback).header.Get("Location"), "#code=")
	return sending{headers: []string{"Cookie", cookie}, values: apidoctest.Values{"code": code}}
}

// linked is the id of an account of a web page that is part of a user of the mini-program.
func (d *describedWorld) linked() apidoctest.Values {
	d.t.Helper()
	user := d.idOf("erin")["id"]
	d.run(d.public, "h5Exchange", d.onTheWeb("erin", true))
	var accounts []any
	eventually(d.t, 20*time.Second, func() bool {
		accounts, _ = d.operator("GET", fmt.Sprintf("/api/users/%v", user), "").data()["accounts"].([]any)
		return len(accounts) > 0 && d.operator("GET", fmt.Sprintf("/api/users/%v", accounts[0]), "").data()["link"] == "linked"
	})
	return apidoctest.Values{"id": accounts[0]}
}

// TestEveryExampleOfTheAPIIsAnsweredAsDescribed sends every example of both documents to the binary, with what is of the moment in
// place of tokens, codes and ids, and holds the answers against the documents.
func TestEveryExampleOfTheAPIIsAnsweredAsDescribed(t *testing.T) {
	t.Parallel()
	d := newDescribedWorld(t)
	d.login("alice") // user 1
	firstSession := func(token string) apidoctest.Values {
		var list struct{ Data []struct{ ID string } }
		if err := json.Unmarshal([]byte(d.call("GET", "/api/v1/auth/sessions", token, "").body), &list); err != nil || len(list.Data) == 0 {
			t.Fatalf("sessions: %v", err)
		}
		return apidoctest.Values{"id": list.Data[0].ID}
	}
	d.all(d.public, map[string]func() sending{
		"cloudLogin": func() sending {
			return sending{headers: byFunction(d.weChat.OpenID("alice"))("POST", "/api/v1/auth/cloud-login", `{"nickName":"小爱"}`)}
		},
		"h5Callback": func() sending { return d.onTheWeb("frank", false) },
		"h5Exchange": func() sending { return d.onTheWeb("frank", true) },
		"endSession": func() sending {
			token := d.login("bob")
			return sending{token: token, values: firstSession(token)}
		},
		"deleteUser": func() sending { return sending{token: d.login("carol")} },
		"decrypt": func() sending {
			token := d.login("alice")
			data, err := d.weChat.EncryptData("alice", d.weChat.Object("werun", "alice"))
			if err != nil {
				t.Fatal(err)
			}
			return sending{token: token, values: apidoctest.Values{"encryptedData": data.EncryptedData, "iv": data.IV}}
		},
	})
	d.want("the public listener", d.call("GET", "/api/openapi.json", "", ""), http.StatusUnauthorized, "token_missing") // a route's
	d.all(d.admin, map[string]func() sending{
		"ban":          func() sending { return sending{values: d.idOf("dora")} },
		"eraseUser":    func() sending { return sending{values: d.idOf("gina")} },
		"endSession":   func() sending { return sending{values: firstSession(d.login("bob"))} },
		"signIn":       func() sending { return sending{values: apidoctest.Values{"token": adminToken}} },
		"unlink":       func() sending { return sending{values: d.linked()} },
		"postToWeChat": func() sending { return sending{values: apidoctest.Values{"openid": d.weChat.OpenID("alice")}} },
	})
}

// TestReasonsAreAnsweredAsDescribed provokes reasons at the operations that describe them.
func TestReasonsAreAnsweredAsDescribed(t *testing.T) {
	t.Parallel()
	d := newDescribedWorld(t)
	alice, ended := d.login("alice"), d.login("alice")
	d.call("POST", "/api/v1/auth/logout", ended, "")
	banned := d.idOf("dora")
	d.operator("POST", fmt.Sprintf("/api/users/%v/ban", banned["id"]), "{}", "Content-Type", "application/json")
	d.operator("POST", "/api/users", "{\"id\":900,\"openid\":\"oImported\"}\n", "Content-Type", "application/x-ndjson")
	imported := apidoctest.Values{"id": 900}
	withCode := func(code string) sending { return sending{values: apidoctest.Values{"code": code}} }
	for _, row := range []struct {
		id, reason string
		sending
	}{
		{"login", "invalid_request", withCode("")},
		{"login", "wx_code_invalid", withCode("err-40029")},
		{"login", "wx_code_used", withCode("err-40163")},
		{"login", "wx_user_blocked", withCode("err-40226")},
		{"login", "wx_rate_limited", withCode("err-45011")},
		{"login", "wx_misconfigured", withCode("err-40013")},
		{"login", "wx_busy", withCode("err--1")},
		{"login", "wx_bad_response", withCode("broken-html")},
		{"login", "user_banned", withCode("demo-dora")},
		{"loginSkey", "wx_code_invalid", sending{values: apidoctest.Values{"js_code": "unknown"}}},
		{"cloudLogin", "cloud_identity_missing", sending{}},
		{"h5Start", "invalid_request", sending{values: apidoctest.Values{"return_to": "http://evil.example/"}}},
		{"h5Callback", "web_login_invalid", sending{values: apidoctest.Values{"state": "other", "code": "x"}}},
		{"h5Exchange", "web_login_invalid", sending{}},
		{"refresh", "token_missing", sending{}},
		{"refresh", "token_malformed", sending{token: "nonsense"}},
		{"refresh", "token_invalid", sending{token: alice[:len(alice)-4] + "AAAA"}},
		{"refresh", "token_revoked", sending{token: ended}},
		{"logout", "token_missing", sending{}},
		{"listSessions", "invalid_request", sending{token: alice, values: apidoctest.Values{"limit": 101}}},
		{"endSession", "not_found", sending{token: alice, values: apidoctest.Values{"id": "unknown"}}},
		{"getProfile", "token_missing", sending{}},
		{"updateProfile", "invalid_request", sending{token: alice, values: apidoctest.Values{"nickname": strings.Repeat("x", 65)}}},
		{"updateProfile", "body_too_large", sending{token: alice, values: apidoctest.Values{"bio": strings.Repeat("x", 65<<10)}}},
		{"deleteUser", "token_missing", sending{}},
		{"exportUser", "token_revoked", sending{token: ended}},
		{"bindPhone", "phone_code_invalid", sending{token: alice, values: apidoctest.Values{"code": "err-40029"}}},
		{"decrypt", "session_key_stale", sending{token: alice}},
		{"signPayment", "upstream_invalid", sending{token: alice, values: apidoctest.Values{"order": "failed"}}},
		{"signPayment", "sign_data_invalid", sending{token: alice, values: apidoctest.Values{"order": "wrong"}}},
	} {
		row.refused = row.reason
		d.run(d.public, row.id, row.sending)
	}
	nobody := apidoctest.Values{"id": 999999}
	for _, row := range []struct {
		id, reason string
		sending
	}{
		{"listUsers", "invalid_request", sending{values: apidoctest.Values{"limit": 1001}}},
		{"listUsers", "admin_token_invalid", sending{headers: []string{"Authorization", "Bearer nobodys"}}},
		{"listUsers", "service_not_allowed", sending{headers: []string{"Authorization", "Bearer " + serviceToken}}},
		{"listUsers", "admin_origin_denied", sending{headers: []string{"Origin", "http://evil.example"}}},
		{"openapi", "invalid_request", sending{values: apidoctest.Values{"api": "other"}}},
		{"openapi", "admin_token_invalid", sending{headers: []string{"Authorization", "Bearer nobodys"}}},
		{"importUsers", "invalid_request", sending{headers: []string{"Content-Type", "text/plain"}}},
		{"showUser", "not_found", sending{values: nobody}},
		{"eraseUser", "not_found", sending{values: nobody}},
		{"addCounters", "invalid_request", sending{values: apidoctest.Values{"recipe_count": "one"}}},
		{"addCounters", "not_found", sending{values: nobody}},
		{"ban", "invalid_request", sending{values: apidoctest.Values{"for": "-1h"}}},
		{"unban", "not_found", sending{values: nobody}},
		{"unlink", "conflict", sending{}},
		{"grantQuota", "invalid_request", sending{values: apidoctest.Values{"name": "other"}}},
		{"listSessions", "not_found", sending{values: nobody}},
		{"endSession", "not_found", sending{}},
		{"checkSessionKey", "session_key_stale", sending{values: imported}},
		{"signWithSessionKey", "session_key_stale", sending{values: imported}},
		{"signWithSessionKey", "body_too_large", sending{values: apidoctest.Values{"data": strings.Repeat("x", 65<<10)}}},
		{"phone", "not_found", sending{}},
		{"callWeChat", "invalid_request", sending{values: apidoctest.Values{"path": "cgi-bin/token"}}},
		{"signIn", "admin_token_invalid", sending{}},
	} {
		row.refused = row.reason
		d.run(d.admin, row.id, row.sending)
	}
	for range 5 {
		d.operator("POST", "/api/dashboard/session", `{"token":"wrong"}`, "Content-Type", "application/json")
	}
	d.run(d.admin, "signIn", sending{refused: "rate_limited"})
}
