package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/upstream/upstreamtest"
)

// forgedRequest stands in the content of an attacker's request.
const forgedRequest = "GET /private/forged HTTP/1.1\r\nHost: h\r\nX-User-Id: 1\r\n\r\n"

// allowsGetBodies makes every route let content of GET through.
func allowsGetBodies(cfg *Config) {
	for i := range cfg.Routes {
		cfg.Routes[i].GetBody = allow
	}
}

func withLength(content string) string { return fmt.Sprintf("Content-Length: %d", len(content)) }

func asOneChunk(content string) string {
	return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(content), content)
}

// A service that does not read content never executes a request of which somebody put it into a body, with the X-User-Id of
// another one: content of GET and HEAD stops here, that of DELETE and OPTIONS is the last on its connection.
func TestARequestInTheContentOfAnotherIsNeverExecutedForAnotherUser(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){"refused": nil, "get_body: allow": allowsGetBodies} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := upstreamtest.NewUndraining(t)
			e := newEdge(t, service.URL, change)
			token := e.token(t, "mallory")
			for _, method := range []string{"GET", "HEAD", "DELETE", "OPTIONS"} {
				want := 200
				if change == nil && (method == "GET" || method == "HEAD") {
					want = 400
				}
				for _, raw := range []string{
					head(method+" /private/a", token, withLength(forgedRequest)) + forgedRequest,
					head(method+" /private/a", token, "Transfer-Encoding: chunked") + asOneChunk(forgedRequest),
					head(method+" /public/a", "", withLength(forgedRequest)) + forgedRequest,
				} {
					if resp := e.headOf(t, raw); resp != want {
						t.Errorf("%.40q: got %d, want %d", raw, resp, want)
					}
					if _, body := e.send(t, head("GET /public/own", "")); body != `/public/own for ""` {
						t.Errorf("behind %.40q the next one got %q", raw, body)
					}
				}
			}
			for _, req := range service.Requests() {
				if strings.Contains(req.Target, "forged") || len(req.Values("X-User-Id")) > 0 && req.Field("X-User-Id") != "1" {
					t.Errorf("%s %s was executed for user %q", req.Method, req.Target, req.Field("X-User-Id"))
				}
			}
		})
	}
}

// headOf sends a request and returns the status of its answer.
func (e *edge) headOf(t *testing.T, raw string) int {
	t.Helper()
	l := e.dial(t)
	defer l.Close()
	l.say(t, raw)
	line, err := l.ReadString('\n')
	var status int
	if _, scanned := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil || scanned != nil {
		t.Fatalf("%.40q: got %q, %v", raw, line, err)
	}
	return status
}

func TestContentOfAGetIs400UnlessItsRouteAllowsIt(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/search/**", Upstream: "service", Auth: AuthNone, GetBody: allow})
	})
	for _, tc := range []struct {
		what, raw string
		want      int
	}{
		{"a length", head("GET /public/a", "", "Content-Length: 2") + "{}", 400},
		{"chunks", head("GET /public/a", "", "Transfer-Encoding: chunked") + asOneChunk("{}"), 400},
		{"no chunk but the last", head("GET /public/a", "", "Transfer-Encoding: chunked") + "0\r\n\r\n", 400},
		{"a length, before the body comes", head("GET /public/a", "", "Content-Length: 2", "Expect: 100-continue"), 400},
		{"chunks, before they come", head("GET /public/a", "", "Transfer-Encoding: chunked", "Expect: 100-continue"), 400},
		{"an upgrade with a length", head("GET /public/a", "", "Connection: upgrade", "Upgrade: websocket", "Content-Length: 2") + "{}", 400},
		{"an upgrade with a length where it is allowed", head("GET /search/a", "", "Connection: upgrade", "Upgrade: websocket", "Content-Length: 2") + "{}", 400},
		{"a length of 0", head("GET /public/a", "", "Content-Length: 0"), 200},
		{"no content", head("GET /public/a", ""), 200},
		{"a length where it is allowed", head("GET /search/a", "", "Content-Length: 2") + "{}", 200},
		{"chunks where they are allowed", head("GET /search/a", "", "Transfer-Encoding: chunked") + asOneChunk("{}"), 200},
		{"content of a POST", head("POST /public/a", "", "Content-Length: 2") + "{}", 200},
		{"content for the gateway itself", head("GET /healthz", "", "Content-Length: 2") + "{}", 200},
	} {
		if got := e.headOf(t, tc.raw); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.what, got, tc.want)
		}
	}
	for _, req := range service.Requests() {
		if req.Method == "GET" && len(req.Body) > 0 && (req.Path() != "/search/a" || req.Field("Connection") != "close") {
			t.Errorf("%q arrived with Connection: %q", req.Target, req.Field("Connection"))
		}
	}
}

// Twenty phones on a bad line take longer over their bodies than the route's timeout: each is 408, and the service's
// breaker, which would open at twenty failures, does not.
func TestSlowBodiesAreTheirSendersFaultAndOpenNoBreaker(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	metrics := prometheus.NewRegistry()
	e := newEdgeWith(t, service.URL, nil, func(d *Deps) { d.Metrics = metrics })
	const slow = 25
	for _, size := range []int{100, 20_000} { // one that is read before it is sent, and one that flows
		var all []line
		for range slow {
			l := e.dial(t)
			l.say(t, head("POST /quick/a", "", fmt.Sprintf("Content-Length: %d", size))+strings.Repeat("b", size/2))
			all = append(all, l)
		}
		upstreamtest.Dawdle(400 * time.Millisecond) // longer than /quick may take
		for _, l := range all {
			l.say(t, strings.Repeat("b", size-size/2))
			answer, err := l.ReadString('\n')
			if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 408 ") {
				t.Errorf("a body of %d bytes that took too long: got %q, %v, want 408", size, answer, err)
			}
			_ = l.Close()
		}
		if resp, _ := e.send(t, head("GET /quick/a", "")); resp.StatusCode != 200 {
			t.Errorf("after %d slow bodies of %d bytes an innocent request is %d, want 200", slow, size, resp.StatusCode)
		}
	}
}
