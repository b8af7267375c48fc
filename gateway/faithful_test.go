package gateway

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wxgate/upstream/upstreamtest"
)

// rawAnswer sends a request and returns the answer as it comes, up to the end of its head, or of the connection.
func (e *edge) rawAnswer(t *testing.T, request string, headOnly bool) string {
	t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if !headOnly {
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		return string(all)
	}
	var head strings.Builder
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("%q: %v", head.String(), err)
		}
		if head.WriteString(line); line == "\r\n" {
			return head.String()
		}
	}
}

// withoutOurs removes the lines that the gateway adds to an answer.
func withoutOurs(answer string) string {
	var kept strings.Builder
	for line := range strings.Lines(answer) {
		if !strings.HasPrefix(line, "X-Request-Id: ") && line != "Connection: close\r\n" {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func TestAnAnswerLooksAsTheServiceWroteIt(t *testing.T) {
	t.Parallel()
	const date = "Date: Sun, 29 Nov 2026 17:00:00 GMT\r\n"
	long := strings.Repeat("x", 40_000)
	for name, answer := range map[string]string{
		"Express":              "HTTP/1.1 200 OK\r\nX-Powered-By: Express\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nETag: W/\"2\"\r\nset-cookie: a=1\r\nVary: x\r\nSet-Cookie: b=2\r\n" + date + "\r\nok",
		"lower case":           "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n" + strings.ToLower(date[:4]) + date[4:] + "\r\nok",
		"a phrase of its own":  "HTTP/1.1 416 Requested Range Not Satisfiable\r\nContent-Length: 0\r\n" + date + "\r\n",
		"an empty phrase":      "HTTP/1.1 200 \r\n" + date + "Content-Length: 2\r\n\r\nok",
		"204 with a length":    "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n" + date + "\r\n",
		"204 without":          "HTTP/1.1 204 No Content\r\n" + date + "\r\n",
		"304 with a length":    "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n" + date + "\r\n",
		"a long line":          "HTTP/1.1 200 OK\r\nX-Long: " + long + "\r\nContent-Length: 2\r\n" + date + "\r\nok",
		"a name of the length": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Lengths: 3\r\n" + date + "\r\nok",
	} {
		service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { return answer })
		e := newEdge(t, service.URL, nil)
		if got := withoutOurs(e.rawAnswer(t, head("GET /public/x", "", "Connection: close"), false)); got != answer {
			t.Errorf("%s: got\n%.1000s\nwant\n%.1000s", name, got, answer)
		}
	}
}

// TestFramingIsOursWhereTheServiceMisleads: what is kept of the service's words never decides where an answer ends.
func TestFramingIsOursWhereTheServiceMisleads(t *testing.T) {
	t.Parallel()
	const date = "Date: Sun, 29 Nov 2026 17:00:00 GMT\r\n"
	for name, row := range map[string]struct{ answer, want string }{
		"zeros before the length":     {"HTTP/1.1 200 OK\r\nContent-Length: 002\r\n" + date + "\r\nok", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 2\r\n\r\nok"},
		"a Connection that names it":  {"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n" + date + "\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + date + "\r\nok"},
		"a 204 that announces a body": {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n" + date + "\r\n", "HTTP/1.1 204 No Content\r\n" + date + "\r\n"},
	} {
		service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { return row.answer })
		e := newEdge(t, service.URL, nil)
		if got := withoutOurs(e.rawAnswer(t, head("GET /public/x", "", "Connection: close"), false)); got != row.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, row.want)
		}
	}
}

func TestA101LooksAsTheServiceWroteIt(t *testing.T) {
	t.Parallel()
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	sum := sha1.Sum([]byte(key + webSocketGUID))
	accept := "Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	for name, row := range map[string]struct{ answer, want string }{
		"as ws writes it":    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + accept + "\r\n", ""},
		"with a length":      {"HTTP/1.1 101 Web Socket Protocol Handshake\r\nconnection: upgrade\r\n" + accept + "upgrade: WebSocket\r\nContent-Length: 0\r\n\r\n", ""},
		"with other options": {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" + accept + "\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" + accept + "Connection: Upgrade\r\n\r\n"},
	} {
		service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { return row.answer })
		e := newEdge(t, service.URL, nil)
		request := head("GET /public/x", "", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: "+key)
		want := row.want
		if want == "" {
			want = row.answer
		}
		if got := withoutOurs(e.rawAnswer(t, request, true)); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestALengthOfZeroReachesTheService(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	for _, method := range []string{"GET", "DELETE", "OPTIONS", "POST"} {
		e.send(t, head(method+" /public/x", "", "Content-Length: 0"))
		e.send(t, head(method+" /public/x", ""))
	}
	var got []string
	for _, req := range service.Requests() {
		got = append(got, strings.Join(req.Values("Content-Length"), "+"))
	}
	if want := "0||0||0||0|0"; strings.Join(got, "|") != want {
		t.Errorf("got lengths %q, want %q", strings.Join(got, "|"), want)
	}
}

func TestAPrefixIsPutBackIntoAnswers(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		return "HTTP/1.1 302 Found\r\nlocation: /login?next=/\r\nSet-Cookie: a=1; Path=/; HttpOnly\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
	})
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/shop/**", Upstream: "service", Auth: AuthNone, StripPrefix: "/shop", Relocate: true})
	})
	resp, _ := e.send(t, head("GET /shop/cart", ""))
	if got, want := resp.Header.Get("Location")+" "+strings.Join(resp.Header["Set-Cookie"], " "), "/shop/login?next=/ a=1; Path=/shop; HttpOnly b=2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if resp, _ := e.send(t, head("GET /strip/cart", "")); resp.Header.Get("Location") != "/login?next=/" {
		t.Errorf("got %q where nothing is to be put back", resp.Header.Get("Location"))
	}
}

// TestAPrefixIsPutBackIntoAnUpgrade: a service may set its cookie when a WebSocket opens.
func TestAPrefixIsPutBackIntoAnUpgrade(t *testing.T) {
	t.Parallel()
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	sum := sha1.Sum([]byte(key + webSocketGUID))
	accept := "Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		return "HTTP/1.1 101 Switching Protocols\r\nSet-Cookie: a=1; Path=/\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + accept + "\r\n"
	})
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/shop/**", Upstream: "service", Auth: AuthNone, StripPrefix: "/shop", Relocate: true})
	})
	got := e.rawAnswer(t, head("GET /shop/live", "", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: "+key), true)
	if !strings.Contains(got, "101 ") || !strings.Contains(got, "Set-Cookie: a=1; Path=/shop\r\n") {
		t.Errorf("got\n%s", got)
	}
}

// TestAPathThatIsAllowedReachesNoOtherRoute: every reading of a path must be allowed by its route.
func TestAPathThatIsAllowedReachesNoOtherRoute(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	open := PathRules{EncodedSlash: allow, Semicolon: allow, EncodedPercent: allow, EdgeSpace: allow}
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = []RouteConfig{
			{Path: "/**", Upstream: "service", Auth: AuthNone, PathRules: open},
			{Path: "/files/:name", Upstream: "service", Auth: AuthNone, PathRules: open},
			{Path: "/slash/**", Upstream: "service", Auth: AuthNone, PathRules: PathRules{EncodedSlash: allow}},
			{Path: "/admin/**", Upstream: "service", Auth: AuthRequired},
			{Path: "/team/**", Upstream: "service", Auth: AuthRequired, PathRules: open},
			{Path: "/api/**", Upstream: "service", Auth: AuthNone, StripPrefix: "/api", PathRules: open},
		}
	})
	for path, want := range map[string]string{
		"/files/a%2Fb":               "/files/a%2Fb",
		"/files/a;v=1":               "/files/a;v=1",
		"/x/50%25ab?q=%2f;":          "/x/50%25ab?q=%2f;",
		"/x/%20a%20":                 "/x/%20a%20",
		"/slash/a%2fb":               "/slash/a%2fb",
		"/api/a%2Fb;c":               "/a%2Fb;c",
		"/x/a%3Bb%2Fc":               "/x/a%3Bb%2Fc",
		"/slash/a;b":                 "400",
		"/slash/50%25ab":             "400",
		"/admin%2Fusers":             "400",
		"/x%2Fa/..":                  "400",
		"/x/..%2Fadmin":              "400",
		"/x/..;/admin/a":             "400",
		"/admin;x/users":             "400",
		"/admin%3Bx/users":           "400",
		"/;x/admin/users":            "400",
		"/%2561dmin/users":           "400",
		"/%20admin/users":            "400",
		"/admin%E3%80%80/a":          "400",
		"/a%252e%252e/x":             "400",
		"/x/%25c0%25ae/y":            "400",
		"/x/a%252fb":                 "400",
		"/x/%252541":                 "400",
		"/x/a%2F%2Fb":                "400",
		"/x/a%5Cb":                   "400",
		"/x/a%00b":                   "400",
		"/x/%2e%2e%2fadmin":          "400",
		"/team%2Fa":                  "400", // open as it is written, for members as a service may read it
		"/healthz%2Fa":               "/healthz%2Fa",
		"/api/v1/user;login":         "/v1/user;login",
		"/api%2Fv1%2Fuser%2Fprofile": "400", // an endpoint of ours allows nothing
	} {
		before := len(service.Requests())
		resp, body := e.send(t, head("GET "+path, ""))
		got := "400"
		if after := service.Requests(); resp.StatusCode == 200 && len(after) == before+1 {
			got = after[before].Target
		}
		if got != want {
			t.Errorf("%s: got %s (%d), want %s\n%s", path, got, resp.StatusCode, want, body)
		}
	}
	token := e.token(t, "alice")
	if resp, _ := e.send(t, head("GET /team/a%2Fb", token)); resp.StatusCode != 200 {
		t.Errorf("a protected route that allows it: got %d, want 200", resp.StatusCode)
	}
	if got := service.Requests()[len(service.Requests())-1].Field("X-User-Id"); got != "1" {
		t.Errorf("got X-User-Id %q, want 1", got)
	}
	if resp, _ := e.send(t, head("GET /team/a%2Fb", "")); resp.StatusCode != 401 {
		t.Errorf("without a token: got %d, want 401", resp.StatusCode)
	}
}

// TestAReadingWithoutARouteIsNotReached: what no route exposes stays hidden from a route that allows encoded slashes.
func TestAReadingWithoutARouteIsNotReached(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = []RouteConfig{
			{Path: "/:page", Upstream: "service", Auth: AuthNone, PathRules: PathRules{EncodedSlash: allow, Semicolon: allow}},
			{Path: "/:page/print", Methods: []string{"GET"}, Upstream: "service", Auth: AuthNone, PathRules: PathRules{EncodedSlash: allow}},
		}
	})
	for request, want := range map[string]int{
		"GET /about;v=1": 200, "GET /about%2Fprint": 200, "POST /about%2Fprint": 400, "GET /internal%2Fusers": 400, "GET /internal%2Fusers;v=1": 400, "GET /about%2Fprint;v=1": 400,
	} {
		if resp, body := e.send(t, head(request, "")); resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d: %s", request, resp.StatusCode, want, body)
		}
	}
}

func TestExplainTellsWhichPathsARouteAllows(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Upstreams = []string{"service"}
	cfg.Routes = []RouteConfig{
		{Path: "/shop/**", Upstream: "service", Auth: AuthNone, StripPrefix: "/shop/", Relocate: true, PathRules: PathRules{EncodedSlash: allow, EdgeSpace: allow}},
		{Path: "/shop/admin/**", Upstream: "service", Auth: AuthRequired},
		{Path: "/shop/cart/**", Upstream: "service", Auth: AuthRequired, PathRules: PathRules{EncodedSlash: allow}},
	}
	for target, want := range map[string]string{
		"/shop/a%2Fb":     "[encoded_slash edge_space] /shop /a%2Fb",
		"/shop/admin%2Fb": "the path could be read in two ways, one of which /shop/admin/** takes, whose path_rules do not allow it",
		"/shop/cart%2Fb":  "the path could be read in two ways, one of which /shop/cart/** takes, for other callers than /shop/**",
		"/x%2Fb":          "the path could be read in two ways, one of which no route takes",
		"/shop/a%5Cb":     "the path could be read in two ways",
	} {
		e, err := Explain(cfg, Question{Method: "GET", Target: target, Host: "h", Client: netip.MustParseAddr("192.0.2.1")})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if e.Route != nil {
			got = fmt.Sprint(e.Route.PathRules, " ", e.Route.Relocates, " ", e.Target)
		} else {
			got = strings.TrimPrefix(e.Refusal.Detail, "invalid request: ")
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
}

func TestFaultsOfPathRulesAndRelocation(t *testing.T) {
	t.Parallel()
	r := RouteConfig{Path: "/a/**", Upstream: "service", Auth: AuthNone, Relocate: true, PathRules: PathRules{Semicolon: "yes"}}
	var got []string
	for _, fault := range r.validate([]string{"service"}, newReservedHeaders(DefaultConfig())) {
		got = append(got, fault.Error())
	}
	want := []string{
		"rewrite_location: needs a strip_prefix, whose paths it puts back",
		`path_rules.semicolon: "yes" is not one of refuse, allow`,
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
}
