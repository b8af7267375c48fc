package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// dialect is how a client shows its token.
type dialect struct {
	name    string
	path    string   // of a protected route, with %s for the token
	headers []string // name and value, with %s for the token
	fetched bool     // GET only
}

// dialects are those of public clients that were put in front of the gateway unchanged.
func dialects() []dialect {
	return []dialect{
		{"Bearer", "/api/v1/recipes", []string{"Authorization", "Bearer %s"}, false},
		{"a JWT in Authorization", "/api/v1/recipes", []string{"Authorization", "%s"}, false},
		{"the header token", "/api/v1/recipes", []string{"token", "%s"}, false},
		{"a header of a shop", "/api/v1/recipes", []string{"X-Litemall-Token", "%s"}, false},
		{"wafer", "/api/v1/recipes", []string{"X-WX-Skey", "%s"}, false},
		{"a cookie of a page", "/api/v1/recipes", []string{"Cookie", "lang=zh; token=%s", "Sec-Fetch-Site", "same-origin"}, false},
		{"the query", "/media/whoami?token=%s", nil, true},
	}
}

// fill puts a token into the headers of a dialect.
func (d dialect) fill(token string) (path string, headers []string) {
	for _, h := range d.headers {
		headers = append(headers, strings.ReplaceAll(h, "%s", token))
	}
	return strings.ReplaceAll(d.path, "%s", token), headers
}

// TestAClientOfEachDialectChangesNothing logs each in, lets it call, refuses it, refreshes and logs it out. Its token is in
// no line of the log, and explain says where it stands.
func TestAClientOfEachDialectChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.writeConfig("  - { path: /media/**, upstream: recipes, strip_prefix: /media, token_query: token }\n" +
		"authn: { token_from: [Authorization, token, X-Litemall-Token, X-WX-Skey, \"cookie:token\"] }\n")
	w.serve()
	var tokens []string
	for i, d := range dialects() {
		token := w.login(fmt.Sprintf("person-%d", i))
		tokens = append(tokens, token)
		path, headers := d.fill(token)
		w.want(d.name+": a call", w.call("GET", path, "", "", headers...), http.StatusOK, "")
		none, empty := d.fill("")
		w.want(d.name+": a guest", w.call("GET", none, "", "", empty...), http.StatusUnauthorized, "token_missing")
		bad, wrong := d.fill(token[:len(token)-4] + "AAAA")
		w.want(d.name+": a forged token", w.call("GET", bad, "", "", wrong...), http.StatusUnauthorized, "token_invalid")
		if d.fetched {
			w.want(d.name+": a POST", w.call("POST", path, "", "{}"), http.StatusUnauthorized, "token_missing")
			continue
		}
		w.want(d.name+": a refresh", w.call("POST", "/api/v1/auth/refresh", "", "", headers...), http.StatusOK, "")
		w.want(d.name+": the logout", w.call("POST", "/api/v1/auth/logout", "", "", headers...), http.StatusOK, "")
		w.want(d.name+": after it", w.call("GET", path, "", "", headers...), http.StatusUnauthorized, "token_revoked")
	}
	w.want("two people", w.call("GET", "/api/v1/recipes", tokens[0], "", "token", tokens[1]), http.StatusUnauthorized, "token_malformed")
	if log := w.output.String(); slices.ContainsFunc(tokens, func(token string) bool { return strings.Contains(log, token) }) {
		t.Error("a token is in the log")
	}
}

// TestWhereTokensStandIsReloaded changes the list while the gateway runs.
func TestWhereTokensStandIsReloaded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	token := w.login("alice")
	w.want("before", w.call("GET", "/api/v1/recipes", "", "", "X-Token", token), http.StatusUnauthorized, "token_missing")
	w.writeConfig("authn: { token_from: [X-Token] }\n")
	eventually(t, 60*time.Second, func() bool {
		return w.call("GET", "/api/v1/recipes", "", "", "X-Token", token).status == http.StatusOK
	})
	w.want("elsewhere", w.call("GET", "/api/v1/recipes", token, ""), http.StatusUnauthorized, "token_missing")
}

// request is one that a client sends. %s stands for its code or token.
type request struct {
	method, path string
	headers      []string // name and value
	body         string
}

// client is a client that was written for another backend: its requests, and what it makes of answers. Conditions are a
// field of the answer and its JSON, with objects and fields joined by dots.
type client struct {
	name      string
	config    string // what the operator writes for it
	login     request
	token     string // where the answer to a login has the token; "": in a cookie
	succeeds  string // when it takes an answer of ours for a success
	again     string // when it logs in again
	status    int    // that comes with it
	has       []string
	call      request // of the service
	refresh   request // without a path: it has none
	refreshed string  // where the answer has the token
	logout    request
}

const (
	asForm = "application/x-www-form-urlencoded"
	asJSON = "application/json"
)

// clients are one of each dialect, after the public ones that were tried.
func clients() []client {
	post := func(path, body string, headers ...string) request { return request{"POST", path, headers, body} }
	get := func(path string, headers ...string) request { return request{"GET", path, headers, ""} }
	bearer, page := []string{"Authorization", "Bearer %s"}, []string{"Sec-Fetch-Site", "same-origin", "Cookie", "lang=zh; sid=%s"}
	const weChatUser = `{"code":"%s","userInfo":{"nickName":"爱丽丝","avatarUrl":"https://example.com/a.png"}}`
	return []client{
		{
			name: "Bearer and the envelope", config: "",
			login: post("/api/v1/auth/wx-login", weChatUser), token: "data.access_token", succeeds: "code=200", again: "code=401", status: 401, has: []string{`data.token_type="Bearer"`, "data.expires_in=604800", "data.user.id=1"},
			call: get("/shop/whoami", bearer...), refresh: post("/api/v1/auth/refresh", "", bearer...), refreshed: "data.access_token", logout: post("/api/v1/auth/logout", "", bearer...),
		},
		{
			name: "a JWT alone in Authorization", config: "",
			login: post("/api/v1/auth/wechat-login", `{"js_code":"%s"}`), token: "data.access_token", succeeds: "code=200", again: `error="Unauthorized"`, status: 401,
			call: get("/shop/whoami", "Authorization", "%s"), logout: post("/api/v1/auth/logout", "{}", "Authorization", "%s"),
		},
		{
			name: "NestJS: the header token, statusCode", config: `
authn: { token_from: [ token ] }
endpoints: { login: /api/auth/wx-login, logout: /api/auth/logout }
answers:
  preset: status_code
  login: '{"statusCode":200,"message":"success","data":{"token":{access_token},"userInfo":{"id":{user_id},"nickName":{nickname},"avatarUrl":{avatar}}}}'
`,
			login: post("/api/auth/wx-login", weChatUser), token: "data.token", succeeds: "statusCode=200", again: "statusCode=401", status: 401, has: []string{`data.userInfo.nickName="爱丽丝"`, "data.userInfo.id=1"},
			call: get("/shop/whoami", "token", "%s"), logout: post("/api/auth/logout", "", "token", "%s"),
		},
		{
			name: "litemall: a header of its own, errno 501 with status 200", config: `
authn: { token_from: [ X-Litemall-Token ] }
endpoints: { login: /wx/auth/login_by_weixin, logout: /wx/auth/logout }
answers:
  preset: errno
  login: '{"errno":0,"errmsg":"成功","data":{"token":{access_token},"userInfo":{"nickName":{nickname},"avatarUrl":{avatar}}}}'
`,
			login: post("/wx/auth/login_by_weixin", weChatUser), token: "data.token", succeeds: "errno=0", again: "errno=501", status: 200, has: []string{`data.userInfo.nickName="爱丽丝"`, `errmsg="成功"`},
			call: get("/shop/whoami", "X-Litemall-Token", "%s"), logout: post("/wx/auth/logout", "", "X-Litemall-Token", "%s", "Content-Type", asJSON),
		},
		{
			name: "nideshop: errno 401", config: `
authn: { token_from: [ X-Nideshop-Token ] }
endpoints: { login: /api/auth/loginByWeixin, logout: /api/auth/logout }
answers:
  preset: errno
  codes: { success: 0, 401: 401, default: 1000 }
  login: '{"errno":0,"errmsg":"","data":{"token":{access_token},"userInfo":{"id":{user_id},"nickname":{nickname}}}}'
`,
			login: post("/api/auth/loginByWeixin", `{"code":"%s","userInfo":{"errMsg":"getUserInfo:ok","userInfo":{"nickName":"爱丽丝"}}}`), token: "data.token", succeeds: "errno=0", again: "errno=401", status: 200, has: []string{`data.userInfo.nickname="爱丽丝"`},
			call: get("/shop/whoami", "X-Nideshop-Token", "%s"), logout: post("/api/auth/logout", "", "X-Nideshop-Token", "%s"),
		},
		{
			name: "wafer: a login by GET with headers, X-WX-Skey", config: `
authn: { token_from: [ X-WX-Skey ] }
identity: { allow: [ X-WX-Code, X-WX-Encrypted-Data, X-WX-IV ] }
endpoints: { login: [ GET /weapp/login, /weapp/login ], logout: GET /weapp/logout, profile: GET /weapp/user }
answers:
  success: '{"code":{code},"data":{data}}'
  refusal: '{"code":{code},"error":{message}}'
  codes: { success: 0, default: -1 }
  login: '{"code":0,"data":{"skey":{access_token},"userinfo":{"openId":{openid},"nickName":{nickname},"avatarUrl":{avatar}}}}'
  profile: '{"code":0,"data":{"openId":{openid},"nickName":{nickname},"avatarUrl":{avatar}}}'
`,
			login: get("/weapp/login", "X-WX-Code", "%s", "X-WX-Encrypted-Data", "AAAA", "X-WX-IV", "AAAA"), token: "data.skey", succeeds: "code=0", again: "code=-1", status: 401, has: []string{`data.userinfo.nickName=""`},
			call: get("/shop/whoami", "X-WX-Skey", "%s"), logout: get("/weapp/logout", "X-WX-Skey", "%s"),
		},
		{
			name: "youlai: forms, code 00000, logout by DELETE", config: `
endpoints: { login: /api/v1/auth/wechat-login, logout: DELETE /api/v1/auth/logout, refresh: /api/v1/auth/refresh-token }
answers:
  preset: code_text
  login: '{"code":"00000","msg":"一切ok","data":{"accessToken":{access_token},"refreshToken":{access_token},"tokenType":"Bearer","expires":{expires_in}}}'
  refresh: '{"code":"00000","msg":"一切ok","data":{"accessToken":{access_token},"refreshToken":{access_token},"tokenType":"Bearer","expires":{expires_in}}}'
`,
			login: post("/api/v1/auth/wechat-login", "code=%s&nickName=%E7%88%B1", "Content-Type", asForm), token: "data.accessToken", succeeds: `code="00000"`, again: `code="A0230"`, status: 401, has: []string{`data.tokenType="Bearer"`, "data.expires=604800", `msg="一切ok"`},
			call: get("/shop/whoami", bearer...), refresh: post("/api/v1/auth/refresh-token", "grant_type=refresh_token&refreshToken=%s", "Content-Type", asForm), refreshed: "data.accessToken",
			logout: request{"DELETE", "/api/v1/auth/logout", bearer, ""},
		},
		{
			name: "RuoYi: the token beside the code, 401 with status 200", config: `
endpoints: { login: /wxLogin, logout: /logout }
answers:
  preset: code_msg
  login: '{"code":200,"msg":"操作成功","token":{access_token}}'
`,
			login: post("/wxLogin", `{"code":"%s"}`), token: "token", succeeds: "code=200", again: "code=401", status: 200, has: []string{`msg="操作成功"`},
			call: get("/shop/whoami", bearer...), logout: post("/logout", "", bearer...),
		},
		{
			name: "JeecgBoot: success and result, X-Access-Token", config: `
authn: { token_from: [ X-Access-Token ] }
endpoints: { login: /sys/wechat/login, logout: GET /sys/logout }
answers:
  success: '{"success":true,"code":{code},"message":{message},"result":{data},"timestamp":{timestamp_ms}}'
  refusal: '{"success":false,"code":{code},"message":{message},"result":null,"timestamp":{timestamp_ms}}'
  login: '{"success":true,"code":200,"message":"登录成功","result":{"token":{access_token},"userInfo":{"id":"{user_id}","realname":{nickname}}},"timestamp":{timestamp_ms}}'
`,
			login: post("/sys/wechat/login?code=%s", ""), token: "result.token", succeeds: "success=true", again: "code=401", status: 401, has: []string{`result.userInfo.id="1"`, "code=200"},
			call: get("/shop/whoami", "X-Access-Token", "%s"), logout: get("/sys/logout", "X-Access-Token", "%s"),
		},
		{
			name: "status 200 with a business code", config: `
authn: { token_from: [ X-Token ] }
answers:
  preset: code_msg
  codes: { success: 0, 401: -1, default: 1 }
  login: '{"code":0,"msg":"","data":{"token":{access_token},"expireTime":{expires_at_ms},"isNew":{is_new},"uid":{user_id}}}'
`,
			login: post("/api/v1/auth/wx-login", `{"code":"%s"}`), token: "data.token", succeeds: "code=0", again: "code=-1", status: 200, has: []string{"data.uid=1"},
			call: get("/shop/whoami", "X-Token", "%s"), logout: post("/api/v1/auth/logout", "", "X-Token", "%s"),
		},
		{
			name: "FastAdmin: code 1, seconds as a text", config: `
authn: { token_from: [ token ] }
endpoints: { login: /api/user/third, logout: /api/user/logout }
answers:
  success: '{"code":{code},"msg":{message},"time":"{timestamp_s}","data":{data}}'
  refusal: '{"code":{code},"msg":{message},"time":"{timestamp_s}","data":null}'
  codes: { success: 1, 401: 401, default: 0 }
  login: '{"code":1,"msg":"登录成功","time":"{timestamp_s}","data":{"userinfo":{"id":{user_id},"token":{access_token},"expiretime":{expires_at_s}}}}'
`,
			login: post("/api/user/third", "platform=wechat&code=%s", "Content-Type", asForm), token: "data.userinfo.token", succeeds: "code=1", again: "code=401", status: 401, has: []string{"data.userinfo.id=1"},
			call: get("/shop/whoami", "token", "%s"), logout: post("/api/user/logout", "", "token", "%s", "Content-Type", asForm),
		},
		{
			name: "mall4j: the code is principal, bearer without a blank", config: `
endpoints: { login: /login, fields: { code: [ principal ] }, refresh: /token/refresh, logout: /logOut }
answers:
  success: '{"success":true,"code":"00000","msg":{message},"data":{data}}'
  refusal: '{"success":false,"code":{code},"msg":{message},"data":null}'
  codes: { 401: A00004, default: A00001 }
  refusal_status: 200
  login: &login '{"success":true,"code":"00000","msg":"","data":{"accessToken":{access_token},"refreshToken":{access_token},"expiresIn":{expires_in}}}'
  refresh: *login
`,
			login: post("/login?grant_type=mini_app", `{"principal":"%s"}`, "Content-Type", asJSON), token: "data.accessToken", succeeds: "success=true", again: `code="A00004"`, status: 200,
			call: get("/shop/whoami", "Authorization", "bearer%s"), refresh: post("/token/refresh", `{"refreshToken":"%s"}`), refreshed: "data.accessToken", logout: post("/logOut", "", "Authorization", "bearer%s"),
		},
		{
			name: "crmeb Java: the code in the query, beside a body", config: `
authn: { token_from: [ Authori-zation ] }
endpoints: { login: /api/front/wechat/authorize/program/login, logout: GET /api/front/logout }
answers:
  success: '{"code":{code},"message":{message},"data":{data}}'
  refusal: '{"code":{code},"message":{message},"data":null}'
  codes: { success: 200, 401: 401, default: 500 }
  refusal_status: 200
  login: '{"code":200,"message":"操作成功","data":{"type":"login","token":{access_token},"uid":{user_id},"nikeName":{nickname}}}'
`,
			login: post("/api/front/wechat/authorize/program/login?code=%s", `{"type":"routine"}`), token: "data.token", succeeds: "code=200", again: "code=401", status: 200, has: []string{"data.uid=1", `data.type="login"`},
			call: get("/shop/whoami", "Authori-zation", "%s"), logout: get("/api/front/logout", "Authori-zation", "%s"),
		},
		{
			name: "yudao: the refresh token in the query of a POST", config: `
endpoints: { login: /app-api/member/auth/weixin-mini-app-login, refresh: /app-api/member/auth/refresh-token, logout: /app-api/member/auth/logout }
answers:
  preset: code_msg
  codes: { success: 0 }
  login: &login '{"code":0,"msg":"","data":{"userId":{user_id},"accessToken":{access_token},"refreshToken":{access_token},"expiresTime":{expires_at_ms}}}'
  refresh: '{"code":0,"msg":"","data":{"accessToken":{access_token},"refreshToken":{access_token},"expiresTime":{expires_at_ms}}}'
`,
			login: post("/app-api/member/auth/weixin-mini-app-login", `{"phoneCode":"x","loginCode":"%s","state":"y"}`), token: "data.accessToken", succeeds: "code=0", again: "code=401", status: 200, has: []string{"data.userId=1"},
			call: get("/shop/whoami", bearer...), refresh: post("/app-api/member/auth/refresh-token?refreshToken=%s", ""), refreshed: "data.accessToken", logout: post("/app-api/member/auth/logout", "", bearer...),
		},
		{
			name: "SimpleJWT: access and refresh, the scheme JWT", config: `
endpoints: { login: /api/token/, refresh: /api/token/refresh/, logout: /api/token/blacklist/, fields: { refresh_token: [ refresh ] } }
answers:
  success: '{"detail":{message},"data":{data}}'
  refusal: '{"detail":{message},"code":{code}}'
  codes: { 401: token_not_valid, default: error }
  login: '{"access":{access_token},"refresh":{access_token}}'
  refresh: '{"access":{access_token}}'
`,
			login: post("/api/token/", `{"code":"%s"}`), token: "access", succeeds: "code=null", again: `code="token_not_valid"`, status: 401,
			call: get("/shop/whoami", "Authorization", "JWT %s"), refresh: post("/api/token/refresh/", `{"refresh":"%s"}`), refreshed: "access", logout: post("/api/token/blacklist/", `{"refresh":"%s"}`),
		},
		{
			name: "a token in the query", config: `
endpoints: { login: [ GET /user/wxapp/login ], logout: GET /user/loginout?token }
answers:
  preset: code_msg
  codes: { success: 0, 401: 2000, default: -1 }
  login: '{"code":0,"msg":"success","data":{"token":{access_token},"uid":{user_id}}}'
`,
			login: get("/user/wxapp/login?code=%s&type=2"), token: "data.token", succeeds: "code=0", again: "code=2000", status: 200, has: []string{"data.uid=1"},
			call: get("/shop/whoami?token=%s"), logout: get("/user/loginout?token=%s"),
		},
		{
			name: "a page with a cookie", config: `
authn: { token_from: [ "cookie:sid" ], set_cookie: "sid; HttpOnly; SameSite=Lax" }
answers:
  preset: status_code
`,
			login: post("/api/v1/auth/wx-login", `{"code":"%s"}`, "Sec-Fetch-Site", "same-origin"), succeeds: "statusCode=200", again: "statusCode=401", status: 401,
			call: get("/shop/whoami", page...), refresh: post("/api/v1/auth/refresh", "", page...), logout: post("/api/v1/auth/logout", "", page...),
		},
	}
}

// TestAClientOfEachKindOfBackendIsServed logs each in by its own requests, and lets it judge our answers by its own rules:
// a call, a call as a guest and with a forged token, a refused code, another login, a refresh, the logout and what
// follows.
func TestAClientOfEachKindOfBackendIsServed(t *testing.T) {
	t.Parallel()
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.writeConfig("  - { path: /shop/**, upstream: recipes, strip_prefix: /shop, token_query: token }\n" + c.config)
			w.serve()
			first := w.logIn(c)
			w.wantCalled(c, first)
			for what, token := range map[string]string{"a guest": "", "a forged token": first[:len(first)-4] + "AAAA"} {
				w.wantAgain(c, what, w.sendAs(c.call, token))
			}
			refused := w.sendAs(c.login, "no-such-code")
			if refused.holds(c.succeeds) || refused.header.Get("X-Wxgate-Reason") != "wx_code_invalid" || !strings.Contains(refused.body, "40029") {
				t.Errorf("a code that WeChat refuses: %d %s", refused.status, refused.body)
			}
			second := w.logIn(c)
			w.wantCalled(c, second)
			if c.refresh.path != "" {
				got := w.sendAs(c.refresh, second)
				if !got.holds(c.succeeds) || w.tokenIn(got, c.refreshed) == "" {
					t.Errorf("a refresh: %d %s", got.status, got.body)
				}
			}
			if got := w.sendAs(c.logout, second); got.status != http.StatusOK || !got.holds(c.succeeds) {
				t.Errorf("the logout: %d %s", got.status, got.body)
			}
			w.wantAgain(c, "after the logout", w.sendAs(c.call, second))
			w.wantCalled(c, first)
			if log := w.output.String(); strings.Contains(log, first) || strings.Contains(log, second) || strings.Contains(log, "no-such-code") {
				t.Error("a token or a code is in the log")
			}
		})
	}
}

// TestClientsOfDifferentKindsShareAGateway puts three of them in front of one gateway.
func TestClientsOfDifferentKindsShareAGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.writeConfig(`  - { path: /shop/**, upstream: recipes, strip_prefix: /shop, answers: { preset: errno } }
authn: { token_from: [ Authorization, X-Litemall-Token, X-WX-Skey ] }
identity: { allow: [ X-WX-Code ] }
endpoints:
  login: [ /api/v1/auth/wx-login, /wx/auth/login_by_weixin, GET /weapp/login ]
  logout: [ /api/v1/auth/logout, /wx/auth/logout, GET /weapp/logout ]
  answers:
    /wx:
      preset: errno
      login: '{"errno":0,"errmsg":"成功","data":{"token":{access_token},"userInfo":{"nickName":{nickname}}}}'
    /weapp:
      success: '{"code":{code},"data":{data}}'
      codes: { success: 0, default: -1 }
      login: '{"code":0,"data":{"skey":{access_token},"userinfo":{"nickName":{nickname}}}}'
`)
	w.serve()
	for _, c := range clients() {
		switch name, _, _ := strings.Cut(c.name, ":"); name {
		case "litemall", "wafer", "Bearer and the envelope":
			c.has = nil
			token := w.logIn(c)
			w.wantCalled(c, token)
			if got := w.sendAs(c.logout, token); got.status != http.StatusOK || !got.holds(c.succeeds) {
				t.Errorf("%s: the logout: %d %s", c.name, got.status, got.body)
			}
			if got := w.sendAs(c.call, token); got.header.Get("X-Wxgate-Reason") != "token_revoked" {
				t.Errorf("%s: after the logout: %d %s", c.name, got.status, got.body)
			}
		}
	}
}

// sendAs sends a request of a client, with a code or a token in it.
func (w *world) sendAs(r request, secret string) answer {
	w.t.Helper()
	fill := func(text string) string { return strings.ReplaceAll(text, "%s", secret) }
	headers := make([]string, 0, len(r.headers))
	for _, text := range r.headers {
		headers = append(headers, fill(text))
	}
	return w.call(r.method, fill(r.path), "", fill(r.body), headers...)
}

// logIn logs a client in, as the same person each time.
func (w *world) logIn(c client) (token string) {
	w.t.Helper()
	code := w.weChat.IssueCode("alice")
	got := w.sendAs(c.login, code)
	for _, condition := range append(c.has, c.succeeds) {
		if !got.holds(condition) {
			w.t.Errorf("a login: %s does not hold in %d %s", condition, got.status, got.body)
		}
	}
	token = w.tokenIn(got, c.token)
	if got.status != http.StatusOK || token == "" || strings.Contains(w.output.String(), code) {
		w.t.Fatalf("a login: %d %s", got.status, got.body)
	}
	return token
}

// tokenIn is the token in an answer, in a cookie if at is empty.
func (w *world) tokenIn(got answer, at string) string {
	if at != "" {
		token, _ := got.field(at).(string)
		return token
	}
	_, cookie, _ := strings.Cut(got.header.Get("Set-Cookie"), "sid=")
	token, _, _ := strings.Cut(cookie, ";")
	return token
}

// wantCalled wants the service to be called for the first user.
func (w *world) wantCalled(c client, token string) {
	w.t.Helper()
	if got := w.sendAs(c.call, token); got.status != http.StatusOK || !strings.Contains(got.body, `"X-User-Id":["1"]`) {
		w.t.Errorf("a call: %d %s", got.status, got.body)
	}
}

// wantAgain wants an answer after which a client logs in again, and that nothing stores.
func (w *world) wantAgain(c client, what string, got answer) {
	w.t.Helper()
	stored := got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Request-Id") == ""
	if got.status != c.status || !got.holds(c.again) || stored || !strings.HasPrefix(got.header.Get("X-Wxgate-Reason"), "token_") {
		w.t.Errorf("%s: %d %v %s, want %d %s", what, got.status, got.header, got.body, c.status, c.again)
	}
}

// field is a field of an answer, with the objects around it: data.token.
func (a answer) field(path string) any {
	var at any = a.json
	for name := range strings.SplitSeq(path, ".") {
		object, _ := at.(map[string]any)
		at = object[name]
	}
	return at
}

// holds reports whether a field of an answer is written as a condition says.
func (a answer) holds(condition string) bool {
	path, want, _ := strings.Cut(condition, "=")
	got, err := json.Marshal(a.field(path))
	return err == nil && string(got) == want
}
