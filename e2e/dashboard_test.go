package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxgate/gateway/admin"
	shown "wxgate/gateway/admin/dashboard"
	"wxgate/gateway/certificate/certificatetest"
)

// page is a browser that shows the page of the dashboard.
type page struct {
	w      *world
	client *http.Client
	url    string // without the fragment
	origin string // of the page
	cookie *http.Cookie
}

// open opens a URL of `wxgate dashboard`: it posts the code in the fragment, as the page does.
func (w *world) open(client *http.Client, printed string) *page {
	w.t.Helper()
	at, code, found := strings.Cut(strings.TrimSpace(printed), "/#code=")
	if !found {
		w.t.Fatalf("%s is no URL with a code", printed)
	}
	p := &page{w: w, client: client, url: at, origin: at}
	answered := p.ask("POST", "/api/dashboard/session", `{"code":"`+code+`"}`)
	cookies := answered.Cookies()
	if answered.StatusCode != http.StatusOK || len(cookies) != 1 {
		w.t.Fatalf("signing in: %s, %v", answered.Status, cookies)
	}
	p.cookie = cookies[0]
	return p
}

// cookieName is that of the cookie, of which browsers have one set for all ports.
func (p *page) cookieName(prefix string) string {
	return prefix + "_" + p.url[strings.LastIndex(p.url, ":")+1:]
}

// ask sends a request as a browser does, and returns the answer without its body.
func (p *page) ask(method, path, body string) *http.Response {
	p.w.t.Helper()
	resp, _ := p.send(method, path, body)
	return resp
}

// send is ask, and returns the data of the answer.
func (p *page) send(method, path, body string) (*http.Response, json.RawMessage) {
	p.w.t.Helper()
	req, err := http.NewRequestWithContext(p.w.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.w.t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if method != http.MethodGet {
		req.Header.Set("Origin", p.origin)
		req.Header.Set("Content-Type", "application/json")
	}
	if p.cookie != nil {
		req.AddCookie(&http.Cookie{Name: p.cookie.Name, Value: p.cookie.Value})
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answered struct{ Data json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answered); err != nil {
		p.w.t.Fatalf("%s %s: %s, %v", method, path, resp.Status, err)
	}
	return resp, answered.Data
}

// shows reads what the page shows.
func (p *page) shows(path string, into any) {
	p.w.t.Helper()
	resp, data := p.send("GET", path, "")
	if err := json.Unmarshal(data, into); resp.StatusCode != http.StatusOK || err != nil {
		p.w.t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
}

// overview is what the page shows of this moment.
func (p *page) overview() (view shown.Overview) {
	p.w.t.Helper()
	p.shows("/api/dashboard", &view)
	return view
}

// running is the configuration that the page shows.
func (p *page) running() (running shown.Configuration) {
	p.w.t.Helper()
	p.shows("/api/dashboard/config", &running)
	return running
}

// urlOf is the URL in what `wxgate dashboard` prints.
func urlOf(t *testing.T, printed string) string {
	t.Helper()
	url := regexp.MustCompile(`^https?://\S+/#code=\S+`).FindString(printed)
	if url == "" {
		t.Fatalf("no URL in %s", printed)
	}
	return url
}

// TestTheDashboardFromItsFirstCodeToAHandOver is what an operator does: open it, look, ban somebody, reload, be replaced.
func TestTheDashboardFromItsFirstCodeToAHandOver(t *testing.T) {
	t.Parallel()
	const key = "planted-key-of-a-service"
	w := newWorld(t)
	w.writeConfig("  - { path: /keyed, upstream: recipes, headers: { set: { X-Api-Key: " + key + " } } }\n")
	w.serve()
	token := w.login("alice")
	p := w.open(w.client, urlOf(t, w.does(words("dashboard"))))
	if p.url != w.admin || p.cookie.Name != p.cookieName("wxgate_dashboard") || p.cookie.Secure {
		t.Errorf("the page is at %s with the cookie %v", p.url, p.cookie)
	}
	view, running := p.overview(), p.running()
	if running.File != w.config || !strings.Contains(running.YAML, `secret: "***"`) || !strings.Contains(running.YAML, `X-Api-Key: "***"`) {
		t.Errorf("the configuration of %s is\n%s", running.File, running.YAML)
	}
	for _, secret := range []string{appSecret, jwtSecret, key} {
		if strings.Contains(running.YAML, secret) {
			t.Errorf("the configuration shows %s", secret)
		}
	}
	if view.Storage.Driver != "badger" || view.Storage.Bytes == 0 || !view.Storage.Writable || len(running.Reloads) != 1 || !running.Reloads[0].OK || !running.Reloads[0].At.Equal(view.ReloadedAt) || view.StartedAt.IsZero() {
		t.Errorf("got %+v, reloads %+v, since %v", view.Storage, running.Reloads, view.StartedAt)
	}
	if at := indexOf(view.Logins, "ok"); at < 0 || view.Logins[at].Count != 1 || len(view.Upstreams) != 1 || !view.Upstreams[0].Targets[0].Up {
		t.Errorf("the logins are %+v, the services %+v", view.Logins, view.Upstreams)
	}
	if got := p.ask("POST", "/api/users/1/ban", "{}"); got.StatusCode != http.StatusOK {
		t.Errorf("a ban: %s", got.Status)
	}
	w.want("a banned user's token", w.call("GET", "/api/v1/recipes", token, ""), http.StatusUnauthorized, "token_revoked")
	who := regexp.MustCompile(`"admin change".*"id":"1".*"by":"dashboard\([0-9a-f]{8}\)"`)
	eventually(t, 20*time.Second, func() bool { return who.MatchString(w.output.String()) })
	good := w.text()
	w.put(strings.Replace(good, "path: /whoami", "path: whoami", 1))
	eventually(t, 30*time.Second, func() bool { return len(p.running().Reloads) == 2 })
	if refused := p.running().Reloads[0]; refused.OK || !strings.Contains(refused.Error, "whoami") {
		t.Errorf("the broken file is shown as %+v", refused)
	}
	w.put(strings.Replace(good, "path: /whoami", "path: /who", 1))
	eventually(t, 30*time.Second, func() bool { return len(p.running().Reloads) == 3 })
	if running := p.running(); !running.Reloads[0].OK || !strings.Contains(running.YAML, "path: /who\n") {
		t.Errorf("after a reload: %+v\n%s", running.Reloads, running.YAML)
	}
	eventually(t, 30*time.Second, func() bool { return p.overview().ReloadedAt.Equal(p.running().Reloads[0].At) })
	w.signal(syscall.SIGUSR2)
	eventually(t, 60*time.Second, func() bool { return strings.Contains(w.output.String(), "a successor serves") })
	if got := p.ask("DELETE", "/api/users/1/ban", ""); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a session of the predecessor: %s, want 401", got.Status)
	}
	again := w.open(w.client, urlOf(t, w.does(words("dashboard"))))
	if got := again.ask("DELETE", "/api/users/1/ban", ""); got.StatusCode != http.StatusOK {
		t.Errorf("lifting the ban: %s", got.Status)
	}
}

func indexOf(results []shown.Result, name string) int {
	for i, r := range results {
		if r.Result == name {
			return i
		}
	}
	return -1
}

func TestTheDashboardBehindTLS(t *testing.T) {
	t.Parallel()
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	cert, key := filepath.Join(w.dir, "admin.pem"), filepath.Join(w.dir, "admin.key")
	if err := authority.IssueTo(cert, key, certificatetest.Leaf{Names: []string{"127.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	w.rewrite(`admin: "127.0.0.1:0"`, fmt.Sprintf(`admin: "127.0.0.1:0", admin_token: %q, admin_tls: { cert: %q, key: %q }`, adminToken, cert, key))
	w.serve()
	printed := urlOf(t, w.does(words("dashboard")))
	if !strings.HasPrefix(printed, strings.Replace(w.admin, "http:", "https:", 1)+"/#code=") {
		t.Errorf("got %s, want a URL of %s", printed, w.admin)
	}
	secure := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool()}}}
	p := w.open(secure, printed)
	if p.cookie.Name != p.cookieName("__Host-wxgate_dashboard") || !p.cookie.Secure || !p.cookie.HttpOnly || p.cookie.SameSite != http.SameSiteStrictMode {
		t.Errorf("the cookie is %v", p.cookie)
	}
	if text := p.running().YAML; strings.Contains(text, adminToken) {
		t.Errorf("the configuration shows server.admin_token:\n%s", text)
	}
	p.cookie.Name = p.cookieName("wxgate_dashboard")
	if got := p.ask("GET", "/api/dashboard", ""); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("over TLS, the cookie that a plain page could set: %s, want 401", got.Status)
	}
	p.cookie.Name = p.cookieName("__Host-wxgate_dashboard")
	if got := p.ask("POST", "/api/users/next-id", `{"next_id":1}`); got.StatusCode != http.StatusOK {
		t.Errorf("a change: %s", got.Status)
	}
	p.origin = strings.Replace(p.url, "https:", "http:", 1)
	if got := p.ask("POST", "/api/users/next-id", `{"next_id":1}`); got.StatusCode != http.StatusForbidden {
		t.Errorf("a change by a page of the same name that came without TLS: %s, want 403", got.Status)
	}
}

func TestTheDashboardCommandSaysWhatStandsInItsWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.onUnixSocket()
	w.serve()
	w.fails(words("dashboard"), "server.admin is unix:"+path+", a Unix socket, which no browser opens: forward it with `ssh -L 9090:"+path+" HOST`")
	var printed struct {
		admin.Code

		URL string
	}
	if err := json.Unmarshal([]byte(w.does(words("dashboard --json --at http://localhost:9090/"))), &printed); err != nil {
		t.Fatal(err)
	}
	if printed.URL != "http://localhost:9090/#code="+printed.Code.Code || printed.ExpiresAt.IsZero() {
		t.Errorf("got %+v", printed)
	}
	for _, at := range []string{"localhost:9090", "http://", "ftp://a", "http://a/b", "http://a?b", "http://a#b", "http://u:p@a"} {
		if stdout, stderr, code := w.wxgate("", "dashboard", "--at", at); code != 2 && code != 1 || !strings.Contains(stderr, "is not an address such as http://localhost:9090") {
			t.Errorf("--at %s: exit %d\n%s%s", at, code, stdout, stderr)
		}
	}
	w.kill()
	w.fails(words("dashboard --at http://localhost:9090"), "is the gateway running?")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.fails(words("dashboard --at http://localhost:9090"), "there is no such socket; is the gateway running?")
}
