package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const proveToken = "prove-me-prove-me-prove-me-prove-me"

// provable is a world whose gateway has an admin token.
func provable(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.rewrite(`admin: "127.0.0.1:0"`, `admin: "127.0.0.1:0", admin_token: "`+proveToken+`"`)
	w.rewrite("wechat: {", fmt.Sprintf("authn: { keys: [ { id: main, secret: %q } ] }\nwechat: { appid: %q, secret: %q,", jwtSecret, appID, appSecret))
	return w
}

// proven runs `wxgate prove` and returns the verdicts by what they are about.
func (w *world) proven(args ...string) (verdicts map[string]string, text string) {
	w.t.Helper()
	stdout, stderr, _ := w.wxgate("", append([]string{"prove", "--json"}, args...)...)
	var findings []struct{ About, Verdict, Got string }
	if err := json.Unmarshal([]byte(stdout), &findings); err != nil {
		w.t.Fatalf("%v: %s %s", err, stdout, stderr)
	}
	verdicts = map[string]string{}
	for _, f := range findings {
		verdicts[f.About] = f.Verdict
	}
	return verdicts, stdout
}

// TestAGatewayProvesItself attacks a gateway that is well, and finds that nothing was done by the attacks.
func TestAGatewayProvesItself(t *testing.T) {
	t.Parallel()
	w := provable(t)
	w.serve()
	verdicts, text := w.proven(w.url)
	for _, about := range []string{"control", "identity", "Cloud Run", "address", "tokens", "paths", "framing", "methods", "admin paths"} {
		if verdicts[about] != "ok" {
			t.Errorf("%s: %q, want ok:\n%s", about, verdicts[about], text)
		}
	}
	if strings.Contains(text, proveToken) || strings.Contains(w.output.String(), proveToken) {
		t.Error("the admin token is printed or logged")
	}
	stdout, stderr, code := w.wxgate("", "prove", w.url)
	if code != 0 || !strings.Contains(stdout, "none reaches a service") {
		t.Errorf("exit code %d: %s %s", code, stdout, stderr)
	}
	if users, _, _ := w.wxgate("", "users", "list"); strings.Contains(users, "wx") {
		t.Errorf("attacks made users:\n%s", users)
	}
}

// TestAContainerThatEverybodyReachesIsProved believes WeChat Cloud Run where anybody can play it.
func TestAContainerThatEverybodyReachesIsProved(t *testing.T) {
	t.Parallel()
	w := provable(t)
	w.rewrite("wechat: {", "wechat: { cloud_run: true,")
	w.serve()
	if verdicts, text := w.proven(w.url); verdicts["Cloud Run"] != "FAIL" {
		t.Errorf("%q, want FAIL:\n%s", verdicts["Cloud Run"], text)
	}
	w.fails([]string{"prove", w.url}, "1 attack succeeded")
}

// TestAProxyThatRepairsRequestsIsProved puts one in front that answers what the gateway would refuse.
func TestAProxyThatRepairsRequestsIsProved(t *testing.T) {
	t.Parallel()
	w := provable(t)
	w.serve()
	gateway := strings.TrimPrefix(w.url, "http://")
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+gateway+r.URL.RequestURI(), nil)
		if err != nil {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		req.Header = r.Header.Clone()
		req.Header.Del("Connection")
		req.Host = r.Host
		if r.URL.Path == "/metrics" {
			_, _ = fmt.Fprintln(rw, "wxgate_build_info 1")
			return
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for name, values := range resp.Header {
			rw.Header()[name] = values
		}
		rw.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(rw, resp.Body)
	}))
	t.Cleanup(front.Close)
	verdicts, text := w.proven(front.URL)
	if verdicts["admin paths"] != "FAIL" || verdicts["identity"] != "ok" {
		t.Errorf("admin paths %q, want FAIL; identity %q, want ok:\n%s", verdicts["admin paths"], verdicts["identity"], text)
	}
}

// TestNobodyElseIsAttacked wants one question, and no more, for what is not this gateway.
func TestNobodyElseIsAttacked(t *testing.T) {
	t.Parallel()
	w := provable(t)
	w.serve()
	asked := make(chan string, 100)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	t.Cleanup(other.Close)
	w.fails([]string{"prove", other.URL}, "does not prove that it has the server.admin_token")
	if len(asked) != 1 || <-asked != "/healthz" {
		t.Errorf("somebody else got more than a question: %d", len(asked))
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	w.fails([]string{"prove", "http://" + closed.Addr().String()}, "refused")
	w.fails([]string{"prove", "ftp://example.com"}, "is not http://")
	w.rewrite(`, admin_token: "`+proveToken+`"`, "")
	w.fails([]string{"prove"}, "server.admin_token is empty")
}
