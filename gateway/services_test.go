package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxgate/gateway/admin"
	"wxgate/secret"
	"wxgate/upstream"
)

const operatorToken = "the-token-of-the-operator-0123456789"

// everyScope are the scopes that docs/services.md names.
func everyScope() []admin.Scope {
	return []admin.Scope{
		admin.ScopeWeChat, admin.ScopeNotify, admin.ScopeUsersRead, admin.ScopeUsersPhone, admin.ScopeUsersWrite, admin.ScopeCounters, admin.ScopeSign,
	}
}

// oneForEachScope are services that may do one thing each.
func oneForEachScope() (services []admin.Service) {
	for _, scope := range everyScope() {
		services = append(services, serviceWith(strings.ReplaceAll(string(scope), ".", "-"), scope))
	}
	return services
}

// tokenOf is the token of a service that is called name.
func tokenOf(name string) string { return "a-token-of-its-own-0123456789-" + name }

// serviceWith is a service that may do this.
func serviceWith(name string, may ...admin.Scope) admin.Service {
	return admin.Service{Name: name, Token: secret.Text(tokenOf(name)), May: may}
}

// newServices runs a gateway whose admin listener knows these services.
func newServices(t *testing.T, with func(*Deps), services ...admin.Service) *operator {
	t.Helper()
	e := newEdgeWith(t, "http://127.0.0.1:1", func(cfg *Config) {
		cfg.Server.AdminToken, cfg.Server.Services = operatorToken, services
	}, with)
	return &operator{e, e.operated(t), operatorToken}
}

// as is an operator's client with the token of a service.
func (o *operator) as(service string) *operator { return &operator{o.edge, o.url, tokenOf(service)} }

// scopesOfManual are the scopes that docs/services.md gives for each endpoint. The broker's depend on the path.
func scopesOfManual(t *testing.T) map[string][]admin.Scope {
	t.Helper()
	given := map[string][]admin.Scope{}
	for endpoint, cells := range rowsOf(t, "../docs/services.md", regexp.MustCompile("^ `((?:GET|POST|PUT|DELETE) /[^`]*)` $")) {
		given[endpoint] = []admin.Scope{}
		for _, word := range regexp.MustCompile("`([a-z.]+)`").FindAllStringSubmatch(cells[1], -1) {
			given[endpoint] = append(given[endpoint], admin.Scope(word[1]))
		}
	}
	return given
}

// request is a request for an endpoint about user 99, whom there is not: what is permitted changes nothing.
func request(endpoint string) (request, body string, headers []string) {
	request = strings.NewReplacer("{id}", "99", "{path...}", "wxa/msg_sec_check").Replace(endpoint)
	if endpoint == "POST /api/users" {
		return request, "\n", []string{"Content-Type", ndjson}
	}
	if strings.HasPrefix(endpoint, "POST ") {
		body = "{}"
	}
	return request, body, nil
}

// TestAServiceMayDoWhatItsScopesSayAndNothingElse asks for every endpoint with every scope. An endpoint that somebody adds
// fails it until docs/services.md says who may use it.
func TestAServiceMayDoWhatItsScopesSayAndNothingElse(t *testing.T) {
	t.Parallel()
	services := oneForEachScope()
	o := newServices(t, nil, services...)
	source, err := os.ReadFile("admin/api.go")
	if err != nil {
		t.Fatal(err)
	}
	endpoints := []string{"GET /metrics"}
	for _, m := range regexp.MustCompile(`(?m)^\t\t\{"((?:GET|POST|PUT|DELETE) /[^"]+)", `).FindAllStringSubmatch(string(source), -1) {
		endpoints = append(endpoints, m[1])
	}
	given := scopesOfManual(t)
	if len(endpoints) < 20 || len(given) != len(endpoints) {
		t.Fatalf("docs/services.md has %d endpoints and admin/api.go %d", len(given), len(endpoints))
	}
	for _, endpoint := range endpoints {
		may, documented := given[endpoint]
		if !documented {
			t.Errorf("docs/services.md does not say who may use %s", endpoint)
			continue
		}
		if strings.Contains(endpoint, "/api/wechat/") {
			may = []admin.Scope{admin.ScopeWeChat}
		}
		asked, body, headers := request(endpoint)
		for i, scope := range everyScope() {
			got := o.as(services[i].Name).ask(t, asked, body, headers...)
			refused := got.status == http.StatusForbidden && got.json.Reason == "service_not_allowed"
			if refused == slices.Contains(may, scope) || got.status == http.StatusUnauthorized {
				t.Errorf("%s with %s: got %d %s, want it to be permitted: %t", endpoint, scope, got.status, got.body, slices.Contains(may, scope))
			}
		}
		if got := o.ask(t, asked, body, headers...); got.status == http.StatusForbidden || got.status == http.StatusUnauthorized {
			t.Errorf("%s by the operator: got %d %s", endpoint, got.status, got.body)
		}
	}
}

// TestWhichAPIsOfWeChatAServiceMayCall: a service that checks texts empties nobody's quota, reads nobody's calls, and moves no
// money.
func TestWhichAPIsOfWeChatAServiceMayCall(t *testing.T) {
	t.Parallel()
	services := oneForEachScope()
	o := newServices(t, nil, services...)
	for path, may := range map[string][]admin.Scope{
		"/wxa/msg_sec_check":                {admin.ScopeWeChat},
		"/wxa/business/checkencryptedmsg":   {admin.ScopeWeChat},
		"/cgi-bin/openapi/quota/get":        {admin.ScopeWeChat},
		"/cgi-bin/messages/send":            {admin.ScopeWeChat},
		"/cgi-bin/message/subscribe/send":   {admin.ScopeWeChat, admin.ScopeNotify},
		"/cgi-bin/message/custom/typing":    {admin.ScopeWeChat, admin.ScopeNotify},
		"/xpay/query_order":                 {admin.ScopeSign},
		"/XPay/refund_order":                {admin.ScopeSign},
		"/retail/B2b/getorder":              {admin.ScopeSign},
		"/cgi-bin/clear_quota":              nil,
		"/cgi-bin/clear_quota/v2":           nil,
		"/cgi-bin/Clear_Quota/v2":           nil,
		"/cgi-bin/component/clear_quota/v2": nil,
		"/cgi-bin/openapi/rid/get":          nil,
		"/cgi-bin/OpenAPI/rid/get":          nil,
		// What the mux cleans, it sends to the clean path, which is asked for anew.
		"/cgi-bin/message/../openapi/rid/get": nil,
	} {
		for i, scope := range everyScope() {
			got := o.as(services[i].Name).ask(t, "POST /api/wechat"+path, "{}")
			if may := slices.Contains(may, scope); may == (got.json.Reason == "service_not_allowed") || !may && got.status == http.StatusOK {
				t.Errorf("%s with %s: got %d %s, want it to be permitted: %t", path, scope, got.status, got.body, may)
			}
		}
	}
	for _, path := range []string{"/cgi-bin/token", "/cgi-bin/stable_token", "/sns/jscode2session"} {
		o.as("wechat").want(t, "POST /api/wechat"+path, "{}", http.StatusBadRequest, "invalid_request")
	}
	o.as("wechat").want(t, "GET /api/nothing", "", http.StatusNotFound, "no_route")
}

func TestATokenThatIsAlmostThatOfAServiceIsNobodys(t *testing.T) {
	t.Parallel()
	o := newServices(t, nil, serviceWith("recipes", everyScope()...), serviceWith("others", admin.ScopeCounters))
	token := tokenOf("recipes")
	for name, header := range map[string]string{
		"none": "", "an empty one": "Bearer ", "a shorter one": "Bearer " + token[:len(token)-1], "a longer one": "Bearer " + token + "x",
		"another letter": "Bearer A" + token[1:], "the name": "Bearer recipes", "two": "Bearer " + token + " " + token, "of another scheme": "Basic " + token,
		"bare": token, "half of it": "Bearer " + token[:16],
	} {
		got := o.want(t, "GET /api/users", "", http.StatusUnauthorized, "admin_token_invalid", "Authorization", header)
		if strings.Contains(got.body, token[:16]) {
			t.Errorf("%s: the answer has it: %s", name, got.body)
		}
	}
	o.as("recipes").want(t, "GET /api/users", "", http.StatusOK, "")
	o.as("recipes").want(t, "GET /api/users", "", http.StatusForbidden, "admin_origin_denied", "Origin", "http://evil.example")
}

func TestTheTokenOfAServiceIsNothingOnThePublicListener(t *testing.T) {
	t.Parallel()
	o := newServices(t, nil, serviceWith("recipes", everyScope()...))
	for _, path := range []string{"/private/x", "/optional/x", "/api/v1/user/profile"} {
		resp, body := o.send(t, head("GET "+path, tokenOf("recipes")))
		if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `"token_malformed"`) {
			t.Errorf("%s: got %d %s, want 401 token_malformed", path, resp.StatusCode, body)
		}
	}
	if resp, _ := o.send(t, head("GET /api/users", tokenOf("recipes"))); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the admin API on the public listener: %d, want 404", resp.StatusCode)
	}
}

func TestEachCallOfAServiceIsOneLineAndCounted(t *testing.T) {
	t.Parallel()
	var log lockedLog
	o := newServices(t, func(d *Deps) {
		d.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	},
		serviceWith("recipes", admin.ScopeWeChat, admin.ScopeUsersRead, admin.ScopeUsersWrite, admin.ScopeSign))
	o.login(t, "alice")
	recipes := o.as("recipes")
	for _, c := range []struct{ request, body, line, endpoint, code string }{
		{"GET /api/users/1", "", `msg="service call" service=recipes request="GET /api/users/{id}" id=1 status=200`, "GET /api/users/{id}", "200"},
		{"GET /api/users/2", "", `msg="service call" service=recipes request="GET /api/users/{id}" id=2 status=404`, "GET /api/users/{id}", "404"},
		{"GET /api/nowhere", "", `msg="service call" service=recipes request=unmatched`, "unmatched", "404"},
		{"POST /api/users/1/ban", "{}", `msg="admin change" request="POST /api/users/{id}/ban" id=1 service=recipes`, "POST /api/users/{id}/ban", "200"},
		{"POST /api/users/1/session-key/sign", `{"data":"x"}`, `msg="admin signature"`, "POST /api/users/{id}/session-key/sign", "200"},
		{"GET /api/users/export", "", `msg="admin export"`, "GET /api/users/export", "200"},
		{"POST /api/wechat/wxa/msg_sec_check", `{"content":"的"}`, `msg="wechat call" api=/wxa/msg_sec_check`, "POST /api/wechat/{path...}", "200"},
		{"POST /api/users/1/counters", "{}", `level=WARN msg="service call refused" service=recipes`, "POST /api/users/{id}/counters", "403"},
	} {
		before := log.String()
		got := recipes.ask(t, c.request, c.body)
		if fmt.Sprint(got.status) != c.code {
			t.Errorf("%s: got %d %s, want %s", c.request, got.status, got.body, c.code)
		}
		var written string
		eventually(t, "a line about "+c.request, func() bool {
			written = strings.TrimPrefix(log.String(), before)
			return strings.Contains(written, "\n")
		})
		if strings.Count(written, "\n") != 1 || !strings.Contains(written, c.line) || !strings.Contains(written, "service=recipes") {
			t.Errorf("%s is logged as\n%swant one line with %s and its service", c.request, written, c.line)
		}
		series := fmt.Sprintf(`wxgate_service_calls_total{code=%q,endpoint=%q,service="recipes"} 1`, c.code, c.endpoint)
		if metrics := o.ask(t, "GET /metrics", "").body; !strings.Contains(metrics, series) {
			t.Errorf("there is no %s", series)
		}
	}
	recipes.ask(t, "GET /api/users", "", "Authorization", "Bearer "+tokenOf("recipes")+"x")
	for _, hidden := range []string{tokenOf("recipes"), operatorToken, o.weChat.OpenID("alice")} {
		if strings.Contains(log.String(), hidden) {
			t.Errorf("the log has %s:\n%s", hidden, log.String())
		}
	}
	if printed := fmt.Sprintf("%+v %#v", o.snapshot.Load().cfg.Server, o.snapshot.Load().cfg.Server.Services); strings.Contains(printed, tokenOf("recipes")) {
		t.Error("a configuration that is printed shows the token of a service")
	}
}

func TestAReloadChangesWhatServicesMayDo(t *testing.T) {
	t.Parallel()
	o := newServices(t, nil, serviceWith("recipes", admin.ScopeUsersRead))
	o.as("recipes").want(t, "GET /api/users", "", http.StatusOK, "")
	cfg := o.snapshot.Load().cfg
	cfg.Server.Services = []admin.Service{serviceWith("recipes", admin.ScopeCounters), serviceWith("new", admin.ScopeUsersRead)}
	o.reload(t, cfg, map[string]*upstream.Upstream{"service": o.deps.Upstreams["service"]})
	o.as("recipes").want(t, "GET /api/users", "", http.StatusForbidden, "service_not_allowed")
	o.as("new").want(t, "GET /api/users", "", http.StatusOK, "")
	cfg.Server.Services = nil
	o.reload(t, cfg, map[string]*upstream.Upstream{"service": o.deps.Upstreams["service"]})
	o.as("recipes").want(t, "GET /api/users", "", http.StatusUnauthorized, "admin_token_invalid")
}

func TestServicesThatCouldDoMoreThanTheyShouldAreRefused(t *testing.T) {
	t.Parallel()
	good := serviceWith("recipes", admin.ScopeWeChat)
	for name, c := range map[string]struct {
		change func(*ServerConfig)
		want   string
	}{
		"as it should be":       {func(*ServerConfig) {}, ""},
		"no admin token":        {func(s *ServerConfig) { s.AdminToken = "" }, "server.services: needs a server.admin_token"},
		"no name":               {func(s *ServerConfig) { s.Services[0].Name = "" }, "server.services[0].name: "},
		"a name with a space":   {func(s *ServerConfig) { s.Services[0].Name = "the recipes" }, "server.services[0].name: "},
		"a name twice":          {func(s *ServerConfig) { s.Services[1].Name = "recipes" }, `server.services[1].name: "recipes" is listed twice`},
		"no token":              {func(s *ServerConfig) { s.Services[0].Token = "" }, "server.services[0].token: has 0 bytes; 32 are the least"},
		"a short token":         {func(s *ServerConfig) { s.Services[0].Token = good.Token[:31] }, "server.services[0].token: has 31 bytes"},
		"a token with a blank":  {func(s *ServerConfig) { s.Services[0].Token += " x" }, "server.services[0].token: has characters"},
		"a token that is known": {func(s *ServerConfig) { s.Services[0].Token = secret.Text(strings.Repeat("ab", 16)) }, "server.services[0].token: is not random"},
		"one token for two":     {func(s *ServerConfig) { s.Services[1].Token = good.Token }, "server.services[1].token: is that of server.services[0]"},
		"that of the operator":  {func(s *ServerConfig) { s.Services[1].Token = s.AdminToken }, "server.services[1].token: is that of server.admin_token"},
		"nothing that it may":   {func(s *ServerConfig) { s.Services[0].May = nil }, "server.services[0].may: is empty"},
		"an unknown scope":      {func(s *ServerConfig) { s.Services[0].May = []admin.Scope{"users"} }, `server.services[0].may[0]: "users" is not one of wechat, notify, users.read`},
		"too many":              {func(s *ServerConfig) { s.Services = append(s.Services, make([]admin.Service, 99)...) }, "server.services: has 101 services; 100"},
	} {
		cfg := DefaultConfig()
		cfg.Routes = []RouteConfig{{Path: "/", Auth: AuthNone, Respond: fixedAnswer{Status: 200}}}
		cfg.Server.AdminToken, cfg.Server.Services = operatorToken, []admin.Service{good, serviceWith("others", admin.ScopeNotify)}
		c.change(&cfg.Server)
		faults := cfg.Validate()
		got := fmt.Sprint(faults)
		if (len(faults) > 0) != (c.want != "") || !strings.Contains(got, c.want) || strings.Contains(got, good.Token.Reveal()) {
			t.Errorf("%s: got %s, want %q", name, got, c.want)
		}
	}
}
