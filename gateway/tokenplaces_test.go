package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/cors"
	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

// placed is a gateway that takes tokens from several places.
func placed(t *testing.T, serviceURL string, change func(*Config)) *edge {
	t.Helper()
	return newEdge(t, serviceURL, func(cfg *Config) {
		cfg.TokenFrom = []string{"Authorization", "token", "X-WX-Skey", "cookie:sid", "subprotocol:bearer"}
		cfg.Routes = append(cfg.Routes,
			RouteConfig{Path: "/media/**", Upstream: "service", Auth: AuthRequired, TokenQuery: "token"},
			RouteConfig{Path: "/guests/**", Upstream: "service", Auth: AuthOptional, TokenQuery: "token"})
		if change != nil {
			change(cfg)
		}
	})
}

// answers sends a request, a HEAD too, and returns its answer.
func (e *edge) answers(t *testing.T, method, raw string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, raw)
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return resp.StatusCode, string(text)
}

func TestATokenIsTakenFromEachPlaceWithBearerOrWithout(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := placed(t, service.URL, nil)
	alice, bob := e.token(t, "alice"), e.token(t, "bob")
	for _, row := range []struct {
		line   string
		fields []string
		status int
		reason string
	}{
		{"GET /private/x", []string{"Authorization: Bearer " + alice}, 200, ""},
		{"GET /private/x", []string{"Authorization: " + alice}, 200, ""},
		{"GET /private/x", []string{"token: " + alice}, 200, ""},
		{"GET /private/x", []string{"TOKEN: bearer " + alice}, 200, ""},
		{"GET /private/x", []string{"X-WX-Skey: " + alice}, 200, ""},
		{"GET /private/x", []string{"Cookie: a=b; sid=" + alice}, 200, ""},
		{"GET /media/x?token=" + alice, nil, 200, ""},
		{"HEAD /media/x?b=1&token=" + alice, nil, 200, ""},
		{"GET /private/x", []string{"Authorization: Bearer " + alice, "token: " + alice, "Cookie: sid=" + alice}, 200, ""},
		{"GET /media/x?token=" + alice, []string{"token: Bearer " + alice}, 200, ""},
		{"GET /private/x", []string{"Authorization: Bearer ", "token: undefined", "X-WX-Skey: " + alice, "Cookie: sid=null"}, 200, ""},

		{"GET /private/x", []string{"Authorization: Bearer " + alice, "token: " + bob}, 401, "token_malformed"},
		{"GET /private/x", []string{"token: " + alice, "token: " + bob}, 401, "token_malformed"},
		{"GET /private/x", []string{"Cookie: sid=" + alice + "; sid=" + bob}, 401, "token_malformed"},
		{"GET /media/x?token=" + bob, []string{"token: " + alice}, 401, "token_malformed"},
		{"GET /media/x?token=" + bob + "&%74oken=" + alice, nil, 401, "token_malformed"},
		{"GET /private/x", []string{"Authorization: Basic eDp5", "token: " + alice}, 401, "token_malformed"},
		{"GET /private/x", []string{"X_WX_Skey: " + alice}, 401, "token_missing"},
		{"GET /private/x", []string{"X-Token: " + alice}, 401, "token_missing"},
		{"GET /private/x", []string{"Cookie: SID=" + alice}, 401, "token_missing"},
		{"GET /private/x", []string{"token: null", "Cookie: sid="}, 401, "token_missing"},
		{"GET /private/x?token=" + alice, nil, 401, "token_missing"},
		{"POST /media/x?token=" + alice, []string{"Content-Length: 0"}, 401, "token_missing"},
		{"GET /media/x?token=", nil, 401, "token_missing"},
		{"GET /private/x", []string{"Sec-WebSocket-Protocol: bearer, " + alice}, 401, "token_missing"},
	} {
		before := len(service.Requests())
		method, _, _ := strings.Cut(row.line, " ")
		status, body := e.answers(t, method, head(row.line, "", row.fields...))
		what := fmt.Sprintf("%.20s %.60q", row.line, row.fields)
		if status != row.status || row.reason != "" && !strings.Contains(body, `"reason":"`+row.reason+`"`) {
			t.Errorf("%s: %d %s, want %d %s", what, status, body, row.status, row.reason)
		}
		for _, req := range service.Requests()[before:] {
			if got := req.Values("X-User-Id"); !slices.Equal(got, []string{"1"}) || strings.Contains(req.Target, alice) {
				t.Errorf("%s arrived as %q of %q", what, req.Target, got)
			}
		}
	}
}

func TestAnEmptyTokenIsNobodyWhereverItStands(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := placed(t, service.URL, nil)
	for _, fields := range [][]string{{"token: "}, {"X-WX-Skey: undefined"}, {"Cookie: sid="}, {"Cookie: sid=null"}, {"token: Bearer", "Authorization: Bearer "}} {
		if resp, body := e.send(t, head("GET /guests/x?token=null", "", fields...)); resp.StatusCode != http.StatusOK {
			t.Errorf("%q: %d %s, want 200", fields, resp.StatusCode, body)
		}
	}
	for _, req := range service.Requests() {
		if req.Field("X-User-Id") != "" || req.Target != "/guests/x" {
			t.Errorf("%s is of user %q", req.Target, req.Field("X-User-Id"))
		}
	}
}

// TestACookieCountsOnlyFromPagesOfOurs is about requests that any page can make a browser send.
func TestACookieCountsOnlyFromPagesOfOurs(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := placed(t, service.URL, func(cfg *Config) {
		cfg.Server.CORS.Origins = make(cors.Origins, 1)
		if err := cfg.Server.CORS.Origins[0].UnmarshalText([]byte("https://*.h5.example.com")); err != nil {
			t.Fatal(err)
		}
		cfg.Server.TrustedProxies = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
	})
	alice := e.token(t, "alice")
	for _, row := range []struct {
		fields []string
		counts bool
	}{
		{nil, false},
		{[]string{"Origin: http://api.example.com"}, true},
		{[]string{"Origin: http://API.example.com:80"}, true},
		{[]string{"Origin: https://api.example.com"}, true},
		{[]string{"Origin: https://shop.example.com", "X-Forwarded-Host: shop.example.com", "X-Forwarded-Proto: https"}, true},
		{[]string{"Origin: http://shop.example.com", "X-Forwarded-Host: shop.example.com", "X-Forwarded-Proto: https"}, false},
		{[]string{"Origin: https://api.example.com.evil.example"}, false},
		{[]string{"Origin: https://evil.example"}, false},
		{[]string{"Origin: https://evil.example", "Sec-Fetch-Site: same-origin"}, false},
		{[]string{"Origin: http://api.example.com", "Origin: https://evil.example"}, false},
		{[]string{"Origin: http://api.example.com:8080"}, false},
		{[]string{"Origin: https://shop.h5.example.com"}, true},
		{[]string{"Origin: http://shop.h5.example.com"}, false},
		{[]string{"Origin: https://h5.example.com"}, false},
		{[]string{"Origin: null"}, false},
		{[]string{"Origin: "}, false},
		{[]string{"Origin: api.example.com"}, false},
		{[]string{"Sec-Fetch-Site: same-origin"}, true},
		{[]string{"Sec-Fetch-Site: same-site"}, false},
		{[]string{"Sec-Fetch-Site: cross-site"}, false},
		{[]string{"Sec-Fetch-Site: none"}, false},
		{[]string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"}, false},
	} {
		fields := append([]string{"Cookie: a=b; sid=" + alice, "Content-Length: 0"}, row.fields...)
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			before := len(service.Requests())
			resp, body := e.send(t, head(method+" /guests/x", "", fields...))
			if len(row.fields) > 1 && strings.HasPrefix(row.fields[1], "Origin") && resp.StatusCode == http.StatusBadRequest {
				continue // two lines of Origin
			}
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s %q: %d %s", method, row.fields, resp.StatusCode, body)
			}
			req := service.Requests()[before]
			want := map[bool]string{true: "1", false: ""}[row.counts]
			if req.Field("X-User-Id") != want || strings.Contains(req.Head(), alice) != row.counts || !strings.Contains(req.Head(), "a=b") {
				t.Errorf("%s %q is user %q, want %q; the service received\n%s", method, row.fields, req.Field("X-User-Id"), want, req.Head())
			}
			status := map[bool]int{true: 200, false: 401}[row.counts]
			if resp, body := e.send(t, head(method+" /private/x", "", fields...)); resp.StatusCode != status {
				t.Errorf("%s %q: %d %s, want %d", method, row.fields, resp.StatusCode, body, status)
			}
		}
		for _, method := range []string{"GET", "HEAD"} {
			if status, body := e.answers(t, method, head(method+" /private/x", "", fields[0])); status != http.StatusOK {
				t.Errorf("%s %q: %d %s, want 200", method, row.fields, status, body)
			}
		}
	}
}

func TestRefreshAndLogoutTakeTheTokenWhereItStands(t *testing.T) {
	t.Parallel()
	e := placed(t, upstreamtest.Echo(t).URL, nil)
	for person, place := range map[string][]string{
		"header": {"token: %s"}, "raw": {"Authorization: %s"}, "family": {"X-WX-Skey: %s"}, "cookie": {"Cookie: sid=%s", "Origin: https://api.example.com"},
	} {
		token := e.token(t, person)
		fields := append([]string{fmt.Sprintf(place[0], token), "Content-Length: 0"}, place[1:]...)
		for _, path := range []string{"/api/v1/auth/refresh", "/api/v1/auth/logout"} {
			if resp, body := e.send(t, head("POST "+path, "", fields...)); resp.StatusCode != http.StatusOK {
				t.Errorf("%s from %s: %d %s", path, person, resp.StatusCode, body)
			}
		}
		if resp, body := e.send(t, head("POST /api/v1/auth/refresh", "", fields...)); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("after the logout of %s: %d %s, want 401", person, resp.StatusCode, body)
		}
	}
}

func TestTheTokenStopsHereWhereverItStood(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := placed(t, service.URL, func(cfg *Config) { cfg.Identity.ForwardAuthorization = false })
	token := e.token(t, "alice")
	for _, field := range []string{"Authorization: " + token, "token: " + token, "X-WX-Skey: Bearer " + token, "Cookie: sid=" + token, "Cookie: a=1; sid=" + token + ";b=2"} {
		before := len(service.Requests())
		e.send(t, head("GET /media/x?token="+token, "", field))
		req := service.Requests()[before]
		if strings.Contains(req.Head(), token) || req.Field("X-User-Id") != "1" || strings.Contains(field, "a=1") && req.Field("Cookie") != "a=1; b=2" {
			t.Errorf("%.20s: the service received\n%s", field, req.Head())
		}
		if !strings.Contains(field, "a=1") && len(req.Values("Cookie")) > 0 {
			t.Errorf("%.20s: an empty Cookie arrived", field)
		}
	}
}

// TestABrowserOpensAWebSocketWithItsToken offers the token as a subprotocol, which is all that a browser can write.
func TestABrowserOpensAWebSocketWithItsToken(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		offer, line string
		fields      []string
		arrives     string // the offer that the service gets
		selects     string // by the service
		want        string // what the client is told; "": 401
	}{
		{"bearer, %s", "GET /private/x", nil, "", "", "bearer"},
		{"chat, bearer, %s", "GET /private/x", nil, "chat", "chat", "chat"},
		{"chat, bearer, %s", "GET /private/x", nil, "chat", "", "bearer"},
		{"", "GET /media/x?token=%s", nil, "", "", "none"},
		{"", "GET /private/x", []string{"Cookie: sid=%s", "Origin: http://api.example.com"}, "", "", "none"},
		{"", "GET /private/x", []string{"Cookie: sid=%s", "Origin: http://evil.example"}, "", "", ""},
		{"", "GET /private/x", []string{"Cookie: sid=%s"}, "", "", ""},
	} {
		service := upstreamtest.HTTP(t, func(req upstreamtest.Request) string {
			return strings.Replace(switching(req), "Sec-WebSocket-Protocol: chat\r\n", map[bool]string{true: "Sec-WebSocket-Protocol: " + row.selects + "\r\n"}[row.selects != ""], 1)
		})
		e := placed(t, service.URL, nil)
		token := e.token(t, "alice")
		fill := func(s string) string { return strings.ReplaceAll(s, "%s", token) }
		fields := []string{}
		if row.offer != "" {
			fields = append(fields, "Sec-WebSocket-Protocol: "+fill(row.offer))
		}
		for _, f := range row.fields {
			fields = append(fields, fill(f))
		}
		conn, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(conn, webSocket(fill(row.line), "", fields...))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if row.want == "" {
			if resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%+v: %d, want 401", row, resp.StatusCode)
			}
			continue
		}
		selected := strings.Join(resp.Header.Values("Sec-WebSocket-Protocol"), "|")
		if resp.StatusCode != http.StatusSwitchingProtocols || selected != strings.Replace(row.want, "none", "", 1) {
			t.Errorf("%+v: %d, selected %q", row, resp.StatusCode, selected)
		}
		req := service.Requests()[0]
		if got := strings.Join(req.Values("Sec-WebSocket-Protocol"), "|"); got != row.arrives || req.Field("X-User-Id") != "1" || row.fields == nil && strings.Contains(req.Head(), token) {
			t.Errorf("%+v: the service received\n%s", row, req.Head())
		}
	}
}

func TestATokenCannotStandWhereSomethingElseDoes(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"X-User-Id": "says who is calling", "X-WX-OPENID": "says who is calling", "x-wx-from-unionid": "says who is calling", "X-User-Role": "says who is calling",
		"X-Wxgate-Openid": "says who is calling", "Remote-User": "says who is calling", "X-Caller": "says who is calling", "X-Identity": "says who is calling",
		"Cookie": "something else", "Host": "something else", "X-Real-Ip": "something else", "X-Forwarded-For": "something else", "Sec-WebSocket-Protocol": "something else",
		"Content-Type": "something else", "Connection": "something else", "X-Request-Id": "something else", "Origin": "something else",
		"query:token": "is not the name of a header", "a b": "is not a name", "Token": "", "X-WX-Skey": "", "X-User-Token": "", "skey": "", "X-Litemall-Token": "", "cookie:token": "",
		"authorization": "is listed twice",
	} {
		cfg := DefaultConfig()
		cfg.Upstreams, cfg.Routes = []string{"service"}, []RouteConfig{{Path: "/a", Upstream: "service", Auth: AuthRequired}}
		cfg.Identity.Headers["X-Caller"], cfg.Identity.Signed.Header = fieldID, "X-Identity"
		cfg.TokenFrom = []string{"Authorization", entry}
		if got := fmt.Sprint(cfg.Validate()); (want == "") != (got == "[]") || !strings.Contains(got, want) || want != "" && !strings.Contains(got, "authn.token_from[1]") {
			t.Errorf("%s: %s, want %q", entry, got, want)
		}
	}
	for _, r := range []RouteConfig{{TokenQuery: "a b", Auth: AuthRequired}, {TokenQuery: "token", Auth: AuthNone}, {TokenQuery: "token", Auth: AuthPrefetch}} {
		r.Path, r.Upstream = "/a", "service"
		cfg := DefaultConfig()
		cfg.Upstreams, cfg.Routes = []string{"service"}, []RouteConfig{r}
		if got := fmt.Sprint(cfg.Validate()); !strings.Contains(got, "routes[0].token_query") {
			t.Errorf("%+v: %s", r, got)
		}
	}
}
