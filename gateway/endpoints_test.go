package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"wxgate/gateway/answer"
	"wxgate/upstream/upstreamtest"
)

// movedEndpoints has endpoints where the clients of somebody else expect them.
func movedEndpoints(cfg *Config) {
	cfg.Endpoints.Login = Paths{"/wx/auth/login_by_weixin", "/api/v1/auth/wx-login"}
	cfg.Endpoints.Refresh, cfg.Endpoints.Logout = Paths{"/wx/auth/refresh"}, Paths{"/wx/auth/logout/"}
	cfg.Endpoints.Sessions, cfg.Endpoints.Profile = Paths{"/wx/devices"}, Paths{}
	cfg.Endpoints.Phone, cfg.Endpoints.Decrypt = Paths{}, Paths{}
	cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/api/**", Upstream: "service", Auth: AuthNone})
}

func TestEndpointsAnswerWhereTheyWereMovedTo(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, movedEndpoints)
	token := ""
	for _, path := range []string{"/wx/auth/login_by_weixin", "/api/v1/auth/wx-login", "/WX/auth/login_by_weixin/"} {
		status, answer := e.post(t, path, "", map[string]any{"code": e.weChat.IssueCode("alice")})
		data, _ := answer["data"].(map[string]any)
		if token, _ = data["access_token"].(string); status != http.StatusOK || token == "" {
			t.Fatalf("POST %s: %d %v, want a token", path, status, answer)
		}
	}
	if status, answer := e.post(t, "/wx/auth/refresh", token, nil); status != http.StatusOK {
		t.Errorf("refresh: %d %v", status, answer)
	}
	resp, body := e.send(t, head("GET /wx/devices?limit=1", token))
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"current":`) {
		t.Fatalf("sessions: %d %s", resp.StatusCode, body)
	}
	if resp, body := e.send(t, head("DELETE /wx/devices/nobodys", token)); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "not_found") {
		t.Errorf("another's session: %d %s, want 404 not_found", resp.StatusCode, body)
	}
	if status, answer := e.post(t, "/wx/auth/logout", token, nil); status != http.StatusOK {
		t.Errorf("logout: %d %v", status, answer)
	}
	if resp, body := e.send(t, head("GET /private/x", token)); resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "token_revoked") {
		t.Errorf("after logout: %d %s, want 401 token_revoked", resp.StatusCode, body)
	}
}

// TestAnEndpointThatWasMovedAnswersNoMoreWhereItWas: what lies there now is a request like any other.
func TestAnEndpointThatWasMovedAnswersNoMoreWhereItWas(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, movedEndpoints)
	for _, line := range []string{
		"POST /api/v1/auth/wechat-login", "POST /api/v1/auth/refresh", "POST /api/v1/auth/logout", "GET /api/v1/auth/sessions",
		"DELETE /api/v1/auth/sessions/x", "GET /api/v1/user/profile", "PUT /api/v1/user/profile", "POST /api/v1/auth/phone",
	} {
		before := len(service.Requests())
		if resp, body := e.send(t, head(line, "", "X-User-Id: 7")); resp.StatusCode != http.StatusOK || len(service.Requests()) != before+1 {
			t.Errorf("%s: %d %s, want it at the service", line, resp.StatusCode, body)
			continue
		}
		if got := service.Requests()[before]; got.Values("X-User-Id") != nil {
			t.Errorf("%s arrived with a forged identity: %s", line, got.Head())
		}
	}
	if status, answer := e.post(t, "/api/v1/user/login", "", map[string]any{"js_code": e.weChat.IssueCode("alice")}); status != http.StatusOK {
		t.Errorf("what is not listed stays: %d %v", status, answer)
	}
}

func TestPathsOfEndpointsAreJudgedAtLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*EndpointsConfig)
		want   string
	}{
		{func(c *EndpointsConfig) { c.Login = Paths{"wx/login"} }, `login[0]: "wx/login" is neither a path, which begins with /, nor off alone`},
		{func(c *EndpointsConfig) { c.Login = Paths{"/a", "off"} }, `login[1]: "off" is neither a path, which begins with /, nor off alone`},
		{func(c *EndpointsConfig) { c.Logout = Paths{"/user/:id/logout"} }, `logout[0]: "/user/:id/logout" is not literal, and an endpoint is found by nothing else`},
		{func(c *EndpointsConfig) { c.Phone = Paths{"/phone/**"} }, `phone[0]: "/phone/**" is not literal, and an endpoint is found by nothing else`},
		{func(c *EndpointsConfig) { c.Phone = Paths{"/a//b"} }, `phone[0]: "/a//b" is not a path pattern such as /api/:name/**: segment 2 is ""`},
		{func(c *EndpointsConfig) { c.Phone = Paths{"/" + strings.Repeat("a", 300)} }, `phone[0]: has 301 bytes; 256 are the most`},
		{func(c *EndpointsConfig) { c.Login = make(Paths, 17) }, `login: has 17 paths; 16 are the most`},
		{func(c *EndpointsConfig) { c.Logout = Paths{"/api/v1/auth/Refresh/"} }, `logout: POST /api/v1/auth/Refresh/ is an endpoint already, of refresh`},
		{func(c *EndpointsConfig) { c.Login = Paths{"/a", "/a"} }, `login: POST /a is an endpoint already, of login`},
		{func(c *EndpointsConfig) { c.Login = Paths{"DELETE /a"} }, `login[0]: "DELETE" is not a method of it, which are GET, POST`},
		{func(c *EndpointsConfig) { c.Logout = Paths{"get /a"} }, `logout[0]: "get" is not a method of it, which are GET, POST, DELETE`},
		{func(c *EndpointsConfig) { c.Phone = Paths{"GET /a"} }, `phone[0]: "GET": only the methods of login, login_skey, refresh, logout and profile can be chosen`},
		{func(c *EndpointsConfig) { c.Login = Paths{"GET /a?token"} }, `login[0]: ?token: a query holds the token of a GET alone, for refresh, logout and profile`},
		{func(c *EndpointsConfig) { c.Logout = Paths{"/a?token"} }, `logout[0]: ?token: a query holds the token of a GET alone, for refresh, logout and profile`},
		{func(c *EndpointsConfig) { c.Logout = Paths{"GET /a?"} }, `logout[0]: "GET /a?" names no query parameter`},
		{func(c *EndpointsConfig) { c.Logout = Paths{"GET /a?a=b"} }, `logout[0]: "a=b" is not a name of 1 to 64 letters, digits, '-', '_' or '.'`},
		{func(c *EndpointsConfig) { c.Logout = Paths{"GET  /a"} }, `logout[0]: "GET  /a" is neither a path, which begins with /, nor off alone`},
		{func(c *EndpointsConfig) { c.Login = Paths{"GET /api/v1/user/profile"} }, `profile: GET /api/v1/user/profile is an endpoint already, of login`},
		{func(c *EndpointsConfig) { c.Answers = map[string]answer.Config{"/wx": {Preset: "errno"}} }, `answers./wx: no endpoint is there or below`},
		{
			func(c *EndpointsConfig) {
				c.Answers = map[string]answer.Config{"/api/": {Preset: "errno"}, "/API": {Preset: "code_text"}}
			},
			`answers./api/: is listed twice, as /API too: paths are compared without case`,
		},
		{func(c *EndpointsConfig) { c.Answers = map[string]answer.Config{"/api": {Preset: "x"}} }, `answers./api.preset: "x" is not one of envelope, status_code, errno, code_msg, code_text`},
		{func(c *EndpointsConfig) { c.Fields.Code = []string{"principal", "JS_code"} }, `fields.code[1]: "JS_code" is a name of code already`},
		{func(c *EndpointsConfig) { c.Fields.Code = []string{"refreshToken"} }, `fields.code[0]: "refreshToken" is a name of refresh_token already`},
		{func(c *EndpointsConfig) { c.Fields.RefreshToken = []string{"all"} }, `fields.refresh_token[0]: "all" is a name of a parameter of logout already`},
		{func(c *EndpointsConfig) { c.Fields.Code, c.Fields.PhoneCode = []string{"x"}, []string{"X"} }, `fields.phone_code[0]: "X" is a name of code already`},
		{func(c *EndpointsConfig) { c.Fields.Avatar = []string{"user.avatar"} }, `fields.avatar[0]: "user.avatar" is within another field; only fields at the top are looked for`},
		{func(c *EndpointsConfig) { c.Fields.Nickname = []string{"a b"} }, `fields.nickname[0]: "a b" is not a name of 1 to 64 letters, digits, '-', '_' or '.'`},
		{func(c *EndpointsConfig) { c.Fields.Bio = make([]string, 9) }, `fields.bio: has 9 names; 8 are the most`},
		{func(c *EndpointsConfig) { c.Profile = Paths{"/"} }, `health: GET / is an endpoint already, of profile`},
	} {
		cfg := defaultEndpoints()
		c.change(&cfg)
		var got []string
		for _, f := range cfg.validate() {
			got = append(got, f.Error())
		}
		if !slices.Contains(got, c.want) {
			t.Errorf("got %q, want %q among them", got, c.want)
		}
	}
	if f := defaultEndpoints().validate(); f != nil {
		t.Errorf("the defaults: %v", f)
	}
}

func TestCheckNamesTheEndpointsThatLieUnderARoute(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Endpoints.Login, cfg.Endpoints.JWKS = Paths{"/shop/login", "/elsewhere/login"}, Paths{"/shop/keys"} // without public keys the latter is nowhere
	cfg.Routes = []RouteConfig{
		{Path: "/shop/**", Upstream: "shop", Auth: AuthRequired},
		{Path: "/shop/login", Host: "a.example.com", Upstream: "shop", Auth: AuthNone}, // its own, there
		{Path: "/api/v1/user/**", Methods: []string{"GET"}, Upstream: "shop", Auth: AuthRequired},
	}
	var got []string
	for _, c := range cfg.Covered() {
		got = append(got, fmt.Sprintln(c.Route, c.Path, c.Endpoints))
	}
	want := []string{"0 /shop/** [POST /shop/login]\n", "2 /api/v1/user/** [GET /api/v1/user/profile GET /api/v1/user/export]\n"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
