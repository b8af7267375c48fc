package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"wxgate/gateway/accesslog"
	"wxgate/gateway/answer"
	"wxgate/upstream/upstreamtest"
)

// errnoAnswers is the shape of a shop, and for one route that of another client.
func errnoAnswers(cfg *Config) {
	cfg.Answers = answer.Config{Preset: "errno", Login: `{"errno":{code},"data":{"token":{access_token},"userInfo":{"id":"{user_id}","new":{is_new}}}}`}
	cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/files/**", Upstream: "service", Auth: AuthRequired, Answers: answer.Config{RefusalStatus: "own"}})
	cfg.Log.Access = true
}

// TestARefusalDressedAs200IsCountedAndLoggedAsItself: only the client is told 200.
func TestARefusalDressedAs200IsCountedAndLoggedAsItself(t *testing.T) {
	t.Parallel()
	lines := new(journal)
	e := newEdgeWith(t, upstreamtest.Echo(t).URL, errnoAnswers, func(d *Deps) { d.Access = accesslog.New(lines, accesslog.JSON) })
	resp, body := e.send(t, head("GET /private/x", ""))
	if resp.StatusCode != http.StatusOK || body != `{"errno":501,"errmsg":"请先登录","data":null}` {
		t.Errorf("got %d %s, want 200 with errno 501", resp.StatusCode, body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Wxgate-Reason": "token_missing", "Www-Authenticate": ""} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if resp.Header.Get("X-Request-Id") == "" {
		t.Error("no X-Request-Id")
	}
	if line := lines.onlyLine(t); fmt.Sprint(line["status"]) != "401" || line["reason"] != "token_missing" {
		t.Errorf("the line is %v, want status 401", line)
	}
	if got := e.count(t, "wxgate_requests_total", `route="/private/**"`, `code="401"`, `reason="token_missing"`); got != 1 {
		t.Errorf("counted %v times as 401, want once", got)
	}
}

func TestWhoGoesByTheStatusAloneGetsIt(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, errnoAnswers)
	for _, c := range []struct {
		request string
		want    int
	}{
		{head("GET /files/x", ""), 401},
		{head("GET /private/ws", "", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 401},
		{head("GET /.well-known/jwks.json", ""), 404},
		{"GET /private/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{head("GET /nowhere", ""), 200},
	} {
		if resp, body := e.send(t, c.request); resp.StatusCode != c.want || !strings.Contains(body, `"errno":`) {
			t.Errorf("%.40q: %d %s, want %d in the shape of the client", c.request, resp.StatusCode, body, c.want)
		}
	}
}

func TestALoginIsAnsweredByItsTemplate(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, errnoAnswers)
	for _, isNew := range []string{"true", "false"} {
		status, got := e.post(t, "/api/v1/auth/wx-login", "", map[string]any{"code": e.weChat.IssueCode("alice")})
		data, _ := got["data"].(map[string]any)
		token, _ := data["token"].(string)
		if user := fmt.Sprint(data["userInfo"]); status != 200 || token == "" || user != "map[id:1 new:"+isNew+"]" {
			t.Fatalf("got %d %v, want a token and user 1, new: %s", status, got, isNew)
		}
		if resp, body := e.send(t, head("GET /private/x", token)); resp.StatusCode != 200 || strings.Contains(body, "errno") {
			t.Errorf("the answer of the service: %d %s, want it as it is", resp.StatusCode, body)
		}
		resp, body := e.send(t, head("POST /api/v1/auth/refresh", token))
		if resp.StatusCode != 200 || !strings.HasPrefix(body, `{"errno":0,"errmsg":"success","data":{"access_token":"`) {
			t.Errorf("a refresh: %d %s", resp.StatusCode, body)
		}
		if resp, body := e.send(t, head("POST /api/v1/auth/logout", token)); body != `{"errno":0,"errmsg":"退出成功","data":{"message":"退出成功"}}` {
			t.Errorf("a logout: %d %s", resp.StatusCode, body)
		}
	}
}

// TestDifferentAnswersAreBounded: each is prepared for every row of the error table.
func TestDifferentAnswersAreBounded(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Upstreams = []string{"service"}
	add := func(path, refusal string) {
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: path, Upstream: "service", Auth: AuthRequired, Answers: answer.Config{Refusal: refusal}})
	}
	for i := range answer.MaxShapes - 1 {
		add(fmt.Sprintf("/a/%d", i), fmt.Sprintf("[%d]", i))
		add(fmt.Sprintf("/b/%d", i), fmt.Sprintf("[%d]", i))
	}
	if f := cfg.Validate(); len(f) > 0 {
		t.Fatalf("%d different answers: %v", answer.MaxShapes, f)
	}
	add("/c", `["one more"]`)
	if f := fmt.Sprint(cfg.Validate()); !strings.Contains(f, "routes[126].answers: is one more than the 64 different ones") {
		t.Errorf("one more: %v", f)
	}
}

// TestClientsOfSeveralKindsShareAGateway: the longest path says how an endpoint answers, and what it leaves out is said by
// the section answers.
func TestClientsOfSeveralKindsShareAGateway(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, func(cfg *Config) {
		cfg.Answers = answer.Config{Preset: "status_code"}
		cfg.Endpoints.Login = Paths{"/login", "/wx/login", "/wx/new/login", "/wxother/login"}
		cfg.Endpoints.Answers = map[string]answer.Config{"/WX": {Preset: "errno"}, "/wx/new/": {RefusalStatus: "200"}}
	})
	for path, want := range map[string]string{
		"/login":         `400 {"statusCode":400,`,
		"/wx/login":      `200 {"errno":402,`,
		"/wx/login/":     `200 {"errno":402,`,
		"/wx/new/login":  `200 {"statusCode":400,`,
		"/wxother/login": `400 {"statusCode":400,`,
	} {
		resp, body := e.send(t, head("POST "+path, ""))
		if got := fmt.Sprintf("%d %s", resp.StatusCode, body); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

// TestHealthChecksAreTheEnvelopeAndSaidToBe compares the answer with what is listed.
func TestHealthChecksAreTheEnvelopeAndSaidToBe(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, errnoAnswers)
	if resp, body := e.send(t, head("GET /healthz", "")); resp.StatusCode != 200 || !strings.HasPrefix(body, `{"code":200,"message":"success","data":{"status":"ok"},`) {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	cfg := DefaultConfig()
	cfg.Upstreams = []string{"service"}
	errnoAnswers(&cfg)
	all, err := Routes(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if want := map[bool]string{true: "envelope"}[r.Path == "/healthz" || r.Path == "/"]; want != "" && r.Answers != want || want == "" && !strings.HasPrefix(r.Answers, "errno") {
			t.Errorf("%s is listed with %s", r.Path, r.Answers)
		}
	}
}
