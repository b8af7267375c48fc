package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	traces "go.opentelemetry.io/proto/otlp/trace/v1"

	"wxgate/tracing/tracingtest"
)

// closedPort is the URL of a target where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "http://" + ln.Addr().String()
}

// parents is a service that answers 200 and keeps the traceparents that it gets, by path.
type parents struct {
	mu  sync.Mutex
	got map[string]string
}

// ServeHTTP answers a request.
func (p *parents) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got[r.URL.Path] = strings.Join(r.Header.Values("Traceparent"), "|")
}

func (p *parents) of(path string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got[path]
}

// serveTraced serves with a collector, and a service one of whose two targets nobody listens at.
func (w *world) serveTraced(collector string, more string) *parents {
	w.t.Helper()
	seen := &parents{got: map[string]string{}}
	service := httptest.NewServer(seen)
	w.t.Cleanup(service.Close)
	w.writeConfig(fmt.Sprintf(`
  - { path: /traced/:id, upstream: traced, auth: none }
  - { path: /away, upstream: away, auth: none }
%s`, more))
	w.rewrite("upstreams:\n", fmt.Sprintf("tracing: { otlp: %q, sample: 1 }\nupstreams:\n  away: %s\n  traced: { targets: [ %s, %s ], balance: round_robin, outlier: { consecutive_failures: 1000 } }\n",
		collector, closedPort(w.t), closedPort(w.t), service.URL))
	cmd := exec.Command(binary, "serve", "-c", w.config)
	cmd.Env = []string{"OTEL_EXPORTER_OTLP_HEADERS=Authentication=collector-token", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test"}
	w.process = startCommand(w.t, cmd)
	w.process.waitServing(w.t)
	return seen
}

// spansOf waits until so many spans with a name have arrived, and returns them.
func spansOf(t *testing.T, c *tracingtest.Collector, name string, n int) (found []tracingtest.Span) {
	t.Helper()
	eventually(t, 20*time.Second, func() bool {
		found = slices.DeleteFunc(c.Spans(), func(s tracingtest.Span) bool { return s.Name != name })
		return len(found) >= n
	})
	if len(found) < n {
		t.Fatalf("got %d spans %q, want %d; there are %v", len(found), name, n, c.Spans())
	}
	return found
}

// childrenOf are the spans below a span.
func childrenOf(c *tracingtest.Collector, of tracingtest.Span) (names []string, children []tracingtest.Span) {
	for _, s := range c.Spans() {
		if s.Trace == of.Trace && s.Parent == of.ID {
			names, children = append(names, s.Name), append(children, s)
		}
	}
	return names, children
}

// wantAttributes fails the test unless a span has these attributes.
func wantAttributes(t *testing.T, s tracingtest.Span, want map[string]any) {
	t.Helper()
	for key, value := range want {
		if got := s.Attributes[key]; fmt.Sprint(got) != fmt.Sprint(value) {
			t.Errorf("%s: %s is %v, want %v", s.Name, key, got, value)
		}
	}
}

func TestATraceShowsWhatARequestHasTakenAndNoSecret(t *testing.T) {
	t.Parallel()
	w, c := newWorld(t), tracingtest.New(t)
	seen := w.serveTraced(c.URL+"/adapt_path-token/api/otlp/traces", "")
	code := w.weChat.IssueCode("alice")
	got := w.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, code))
	token, _ := got.data()["access_token"].(string)
	openID := regexp.MustCompile(`"openid":"([^"]+)"`).FindStringSubmatch(got.body)
	if token == "" || openID == nil {
		t.Fatalf("the login answers %s", got.body)
	}
	w.call("POST", "/api/v1/auth/wx-login", "", `{"code":"err-40029"}`)

	login := spansOf(t, c, "POST /api/v1/auth/wx-login", 2)[0]
	names, children := childrenOf(c, login)
	if !slices.Contains(names, "wechat jscode2session") || !slices.Contains(names, "storage login") {
		t.Errorf("below the login there is %v, want what WeChat and the store have done", names)
	}
	for _, s := range children {
		if s.Began.Before(login.Began) || s.Ended.After(login.Ended) {
			t.Errorf("%s is not within the login", s.Name)
		}
		switch s.Name {
		case "wechat jscode2session":
			wantAttributes(t, s, map[string]any{"wxgate.wechat.api": "jscode2session", "wxgate.wechat.errcode": "0", "server.address": "127.0.0.1"})
		case "storage login":
			wantAttributes(t, s, map[string]any{"db.system.name": "badger", "db.operation.name": "login"})
		}
	}
	wantAttributes(t, login, map[string]any{
		"http.request.method": "POST", "http.route": "/api/v1/auth/wx-login", "http.response.status_code": 200, "url.scheme": "http",
		"network.protocol.version": "1.1", "wxgate.request_id": got.header.Get("X-Request-Id"),
	})
	if login.Parent != "" || login.Kind != traces.Span_SPAN_KIND_SERVER || login.Failed {
		t.Errorf("the login is %+v, want the first span of its trace, of kind server", login)
	}
	for key, want := range map[string]string{"service.name": "wxgate", "deployment.environment.name": "test"} {
		if login.Resource[key] != want {
			t.Errorf("%s is %v, want %s", key, login.Resource[key], want)
		}
	}
	refused := spansOf(t, c, "wechat jscode2session", 2)[1]
	if wantAttributes(t, refused, map[string]any{"wxgate.wechat.errcode": "40029", "error.type": "40029"}); !refused.Failed {
		t.Error("a code that WeChat refuses is no failure of its span")
	}

	const trace = "0af7651916cd43dd8448eb211c80319c"
	for i := range 4 { // every other one begins at the target that is not there
		w.want("a retry", w.call("GET", fmt.Sprintf("/traced/%d?query=secret-query", i), token, "", "Traceparent", "00-"+trace+"-b7ad6b7169203331-00", "Tracestate", "dd=s:2"), http.StatusOK, "")
	}
	retried := 0
	for _, s := range spansOf(t, c, "GET /traced/:id", 4) {
		if s.Trace != trace || s.Parent != "b7ad6b7169203331" || s.State != "" {
			t.Errorf("%+v, want a span in the trace of the client, without its state", s)
		}
		names, attempts := childrenOf(c, s)
		for _, a := range attempts {
			if a.Name != "GET traced" || a.Kind != traces.Span_SPAN_KIND_CLIENT {
				t.Errorf("below the request there is %v", names)
			}
		}
		last := attempts[len(attempts)-1]
		wantAttributes(t, last, map[string]any{"http.response.status_code": 200, "wxgate.upstream": "traced", "server.address": "127.0.0.1"})
		if len(attempts) > 1 {
			retried++
			wantAttributes(t, attempts[0], map[string]any{"error.type": "connect", "http.response.status_code": nil, "http.request.resend_count": nil})
			wantAttributes(t, last, map[string]any{"http.request.resend_count": 1})
		}
		told := func(i int) bool { return seen.of(fmt.Sprintf("/traced/%d", i)) == "00-"+trace+"-"+last.ID+"-01" }
		if !slices.ContainsFunc([]int{0, 1, 2, 3}, told) {
			t.Errorf("no service was told of the attempt %s: %v", last.ID, seen.got)
		}
	}
	if retried == 0 {
		t.Error("no request was tried twice")
	}
	w.want("nobody listens", w.call("GET", "/away", "", ""), http.StatusBadGateway, "upstream_connect")
	away := spansOf(t, c, "GET /away", 1)[0]
	if wantAttributes(t, away, map[string]any{"error.type": "upstream_connect", "wxgate.reason": "upstream_connect", "http.response.status_code": 502}); !away.Failed {
		t.Error("a 502 is no failure")
	}

	if code := w.stop(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
	for _, e := range c.Exports() {
		if e.Path != "/adapt_path-token/api/otlp/traces" || e.Header.Get("Authentication") != "collector-token" {
			t.Errorf("exported to %s with %v", e.Path, e.Header)
		}
		keepsSecrets(t, "an export", string(e.Body))
		for what, secret := range map[string]string{
			"the token": token, "the code": code, "an openid": openID[1], "the query": "secret-query", "the session_key": "session_key",
			"a path": "/traced/0", "an address": `client.address`,
		} {
			if strings.Contains(string(e.Body), secret) {
				t.Errorf("%s is in an export:\n%q", what, e.Body)
			}
		}
	}
	for _, secret := range []string{"path-token", "collector-token"} {
		if strings.Contains(w.output.String(), secret) {
			t.Errorf("the log holds %s:\n%s", secret, w.output)
		}
	}
}

// TestAStopExportsWhatHasEnded stops at once after a request.
func TestAStopExportsWhatHasEnded(t *testing.T) {
	t.Parallel()
	w, c := newWorld(t), tracingtest.New(t)
	w.serveTraced(c.URL, "")
	w.call("GET", "/away", "", "")
	if code := w.stop(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
	if n := len(c.Spans()); n < 2 || c.Exports()[0].Path != "/v1/traces" {
		t.Errorf("got %d spans", n)
	}
}

// TestACollectorThatIsAwayCostsSpansAndNothingElse has one that nobody listens at, and then switches to another one by a reload.
func TestACollectorThatIsAwayCostsSpansAndNothingElse(t *testing.T) {
	t.Parallel()
	w, c := newWorld(t), tracingtest.New(t)
	nobody := closedPort(t)
	w.serveTraced(nobody, "")
	for range 300 {
		w.want("without a collector", w.call("GET", "/traced/1", "", ""), http.StatusOK, "")
	}
	eventually(t, 20*time.Second, func() bool { return w.gauge(`wxgate_tracing_spans_dropped_total{reason="export_failed"}`) != "0" })
	if n := strings.Count(w.output.String(), "spans are lost"); n != 1 {
		t.Errorf("%d lines in the log about it, want 1 a minute:\n%s", n, w.output)
	}
	w.rewrite(nobody+`", sample: 1`, c.URL+`", sample: 0.25`)
	eventually(t, 20*time.Second, func() bool { return strings.Contains(w.output.String(), `"changed":"tracing.otlp tracing.sample"`) })
	const requests, least, most = 1000, 250 - 70, 250 + 70 // five standard deviations
	for range requests {
		w.call("GET", "/traced/1", "", "", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	}
	if code := w.stop(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
	spans := slices.DeleteFunc(c.Spans(), func(s tracingtest.Span) bool { return s.Name != "GET /traced/:id" })
	if len(spans) < least || len(spans) > most {
		t.Errorf("%d of %d requests were recorded, want 250 or so", len(spans), requests)
	}
}
