package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ownService is a team's own service: it says who calls it.
func ownService(t *testing.T) string {
	t.Helper()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "user %q token %q", r.Header["X-User-Id"], r.Header.Get("Authorization"))
	}))
	t.Cleanup(service.Close)
	return service.URL
}

// startBare starts wxgate in a shell that has none of its variables; more are NAME=value.
func startBare(t *testing.T, dir string, args []string, more ...string) *process {
	t.Helper()
	unset := []string{"-u", "WX_APPID", "-u", "WX_SECRET", "-u", "JWT_SECRET", "TMPDIR=" + t.TempDir()} // a killed sandbox leaves its folder
	cmd := exec.Command("env", append(append(append(unset, more...), binary), args...)...)
	cmd.Dir = dir
	return startCommand(t, cmd)
}

// tryOut starts a gateway in the sandbox and waits for the lines that it prints.
func tryOut(t *testing.T, dir string, args ...string) (*process, []string) {
	t.Helper()
	p := startBare(t, dir, args)
	var lines []string
	eventually(t, 60*time.Second, func() bool {
		lines = curlLines(p.output.String())
		return len(lines) == 5 && strings.Contains(p.output.String(), "serving") || p.gone()
	})
	if len(lines) != 5 {
		t.Fatalf("%v prints %d lines to paste, want 5:\n%s", args, len(lines), p.output)
	}
	return p, lines
}

func paste(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Errorf("%s\nanswers %v\n%s", line, err, out)
	}
	keepsSecrets(t, line, string(out))
	return string(out)
}

// readmeYAML is the gateway.yaml of the README, in front of a service.
func readmeYAML(t *testing.T, service string) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if block == nil || !strings.Contains(string(block[1]), "http://127.0.0.1:3000") {
		t.Fatal("README.md has no gateway.yaml with a service on 127.0.0.1:3000")
	}
	return strings.ReplaceAll(string(block[1]), "http://127.0.0.1:3000", service)
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestATeamTriesItsOwnServiceWithoutAnAppid(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"demo", "-c", "my.yaml"}, {"serve", "--sandbox", "-c", "my.yaml"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "my.yaml"), readmeYAML(t, ownService(t))+"server: { listen: '127.0.0.1:0', admin: '127.0.0.1:0' }\n")
			p, lines := tryOut(t, dir, args...)
			for i, want := range []string{`"access_token":"`, `user ["1"]`, `"reason":"token_missing"`} {
				if got := paste(t, lines[i]); !strings.Contains(got, want) {
					t.Errorf("%s\nanswers\n%s\nwant %s", lines[i], got, want)
				}
			}
			if !strings.Contains(p.output.String(), "SANDBOX") || !strings.Contains(p.output.String(), "anyone can log in as anyone") {
				t.Errorf("a sandbox that is not loud:\n%s", p.output)
			}
			if code := p.stop(t); code != 0 {
				t.Errorf("exit code %d:\n%s", code, p.output)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
				t.Errorf("the sandbox leaves %v beside its file", left)
			}
		})
	}
}

// TestTheLinesToPasteFollowTheFile pastes them under every key that moves a login, its answer or the token.
func TestTheLinesToPasteFollowTheFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ yaml, login, refused string }{
		"a header, errno": {`
authn: { token_from: [ token ] }
endpoints: { login: /wx/auth/login_by_weixin, logout: /wx/auth/logout }
answers: errno
routes: [ { path: /api/**, upstream: own } ]`, `"errno":0`, `"errno":501`},
		"a cookie, and a call that changes something": {`
authn: { token_from: [ "cookie:sid", Authorization ], set_cookie: sid }
answers: status_code
routes: [ { path: /api/orders, methods: [ POST ], upstream: own } ]`, `"statusCode":200`, `"statusCode":401`},
		"a login by GET, a template": {`
authn: { token_from: [ X-WX-Skey ] }
endpoints: { login: GET /weapp/login }
answers: { success: '{"code":{code},"data":{data}}', login: '{"code":0,"openid":{openid},"data":{"skey":"Bearer {access_token}","again":{access_token}}}' }
routes: [ { path: /api/**, upstream: own } ]`, `"skey":"Bearer eyJ`, `"reason":"token_missing"`},
		"the other login, Bearer": {`
endpoints: { login: off }
routes: [ { path: /api/**, upstream: own } ]`, `"skey":"eyJ`, `"reason":"token_missing"`},
		"a login whose first path is a route's": {`
endpoints: { login: [ /a/login, "GET /b/it's" ] }
routes: [ { path: /a/login, upstream: own }, { path: /api/**, upstream: own, auth: required } ]`, `"access_token":"eyJ`, ``},
		"a subprotocol beside a header": {`
authn: { token_from: [ "subprotocol:bearer", token ] }
routes: [ { path: /api/**, upstream: own } ]`, `"access_token":"eyJ`, `"reason":"token_missing"`},
		"a subprotocol alone": {`
authn: { token_from: [ "subprotocol:bearer" ] }
routes: [ { path: /api/**, upstream: own } ]`, `"access_token":"eyJ`, `"reason":"token_missing"`},
		"routes of an issuer": {`
authn: { issuers: [ { name: admin, secret: "an-administration-of-its-own-0123456789", headers: { X-Admin-Id: sub } } ] }
routes: [ { path: /admin/**, upstream: own, issuer: admin }, { path: /api/**, upstream: own } ]`, `"access_token":"eyJ`, `"reason":"token_missing"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "my.yaml"), "server: { listen: '127.0.0.1:0', admin: '127.0.0.1:0' }\nupstreams: { own: "+ownService(t)+" }"+c.yaml+"\n")
			_, lines := tryOut(t, dir, "serve", "--sandbox", "-c", "my.yaml")
			for i, want := range []string{c.login, `user ["1"]`, c.refused} {
				if got := paste(t, lines[i]); !strings.Contains(got, want) {
					t.Errorf("%s\nanswers\n%s\nwant %s", lines[i], got, want)
				}
			}
		})
	}
}

func TestTheSandboxSaysThatNobodyCanLogIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "my.yaml"), readmeYAML(t, ownService(t))+"server: { listen: '127.0.0.1:0', admin: '127.0.0.1:0' }\nendpoints: { login: off, login_skey: off }\n")
	p := startBare(t, dir, []string{"serve", "--sandbox", "-c", "my.yaml"})
	var lines []string
	eventually(t, 60*time.Second, func() bool { // they come behind the line that it serves
		lines = curlLines(p.output.String())
		return len(lines) == 3 || p.gone()
	})
	if len(lines) != 3 || !strings.Contains(p.output.String(), "nobody can log in") {
		t.Fatalf("without a login it prints\n%s", p.output)
	}
	if got := paste(t, lines[0]); !strings.Contains(got, `"reason":"token_missing"`) {
		t.Errorf("%s\nanswers\n%s", lines[0], got)
	}
}

func TestASandboxTokenHoldsNowhereElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rewrite("routes:", "authn: { keys: [ { id: main, secret: \""+jwtSecret+"\" } ] }\nroutes:")
	w.serve()
	ours := w.login("alice")
	_, lines := tryOut(t, w.dir, "demo", "-c", w.config)
	answer := paste(t, lines[0])
	theirs := regexp.MustCompile(`"access_token":"([^"]+)"`).FindStringSubmatch(answer)
	if theirs == nil {
		t.Fatalf("no login in the sandbox: %s", answer)
	}
	w.want("a token of the sandbox at the gateway", w.call("GET", "/api/v1/recipes", theirs[1], ""), http.StatusUnauthorized, "token_invalid")
	sandboxed := regexp.MustCompile(`http://[^/]+`).FindString(lines[0])
	line := fmt.Sprintf("curl -sS %s/api/v1/recipes -H 'Authorization: Bearer %s'", sandboxed, ours)
	if got := paste(t, line); !strings.Contains(got, `"reason":"token_invalid"`) {
		t.Errorf("a token of the gateway in the sandbox: %s", got)
	}
}

func TestASandboxListensForThisMachineAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "my.yaml"), readmeYAML(t, ownService(t))+
		"server: { listen: '0.0.0.0:0', admin: ':0', admin_token: 'a-token-of-the-real-gateway' }\n")
	p, _ := tryOut(t, dir, "serve", "--sandbox", "-c", "my.yaml")
	p.waitServing(t)
	for _, url := range []string{p.url, p.admin} {
		if !strings.HasPrefix(url, "http://127.0.0.1:") {
			t.Errorf("it listens on %s", url)
		}
	}
	for _, want := range []string{"It listens on a free port of 127.0.0.1 instead of 0.0.0.0:0.", "It listens on a free port of 127.0.0.1 instead of :0."} {
		if !strings.Contains(p.output.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, p.output)
		}
	}
}

func TestTheSandboxTakesOverAChangedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	yaml := readmeYAML(t, ownService(t)) + "server: { listen: '127.0.0.1:0', admin: '127.0.0.1:0' }\nauthn: { algorithm: ES256 }\n"
	writeFile(t, filepath.Join(dir, "my.yaml"), yaml)
	p, lines := tryOut(t, dir, "serve", "--sandbox", "-c", "my.yaml")
	p.waitServing(t)
	paste(t, lines[0])
	writeFile(t, filepath.Join(dir, "my.yaml"), strings.Replace(yaml, "/api/**", "/shop/**", 1))
	eventually(t, 60*time.Second, func() bool { return strings.Contains(p.output.String(), `"reloaded"`) })
	if got := paste(t, strings.Replace(lines[1], "/api/", "/shop/", 1)); !strings.Contains(got, `user ["1"]`) {
		t.Errorf("after the reload: %s", got)
	}
	if strings.Contains(p.output.String(), "need a restart") {
		t.Errorf("a reload changes more than the file:\n%s", p.output)
	}
}

func TestTheLogOfTheDemoStaysReadableAfterAReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	yaml := readmeYAML(t, ownService(t)) + "server: { listen: '127.0.0.1:0', admin: '127.0.0.1:0' }\n"
	writeFile(t, filepath.Join(dir, "my.yaml"), yaml)
	p, _ := tryOut(t, dir, "demo", "-c", "my.yaml")
	writeFile(t, filepath.Join(dir, "my.yaml"), strings.Replace(yaml, "/api/**", "/shop/**", 1))
	eventually(t, 60*time.Second, func() bool { return strings.Contains(p.output.String(), "reloaded") })
	if log := p.output.String(); !strings.Contains(log, `msg=reloaded because="the content of a file changed" changed=routes `) {
		t.Errorf("the log after a reload:\n%s", log)
	}
}

func TestTheSandboxSaysWhichServicesAreOfOtherMachines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "my.yaml"), readmeYAML(t, "http://192.0.2.7:3000")+"server: { listen: '127.0.0.1:0', admin: '127.0.0.1:0' }\n")
	p, _ := tryOut(t, dir, "demo", "-c", "my.yaml")
	if !strings.Contains(p.output.String(), "CAUTION: upstreams.recipes (http://192.0.2.7:3000) is another machine") {
		t.Errorf("it does not:\n%s", p.output)
	}
}

func TestTheDemoIsRefusedWhereOthersCouldReachIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, args := range [][]string{
		{"demo", "--listen", "0.0.0.0:0"},
		{"demo", "--listen", ":0"},
		{"demo", "--listen", "[::]:0"},
		{"demo", "--listen", "192.0.2.1:0"},
		{"demo", "--page", "0.0.0.0:0"},
		{"demo", "--page", "example.com:80"},
		{"demo", "--listen", "8080"},
		{"demo", "-c", w.config, "--listen", "0.0.0.0:0"},
	} {
		got, code := w.command(args...)
		if code != 2 || !strings.Contains(got, "is not a loopback address") {
			t.Errorf("wxgate %v: exit %d, %s; want 2 and why", args, code, got)
		}
	}
	if got, code := w.command("demo", "-c", "/nonexistent.yaml"); code != 1 || !strings.Contains(got, "/nonexistent.yaml") {
		t.Errorf("demo -c of a file that is not there: exit %d, %s", code, got)
	}
}

func TestASecondCtrlCLeavesNoFolderOfTheDemo(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	p := startBare(t, tmp, []string{"demo", "--listen", "127.0.0.1:0"}, "TMPDIR="+tmp)
	eventually(t, 60*time.Second, func() bool { return strings.Contains(p.output.String(), "msg=serving") || p.gone() })
	if made, _ := filepath.Glob(filepath.Join(tmp, "wxgate-demo-*")); len(made) != 1 {
		t.Fatalf("the demo made %v:\n%s", made, p.output)
	}
	slow := strings.Replace(curlLines(p.output.String())[0], "demo-alice", "slow-30s-alice", 1)
	login := exec.Command("sh", "-c", slow) // a drain has to wait for it
	if err := login.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = login.Wait() })
	stats := strings.Replace(curlLines(p.output.String())[9], "reset -X POST", "stats", 1)
	eventually(t, 60*time.Second, func() bool { return strings.Contains(paste(t, stats), "slow-30s-alice") })
	interrupt := func() {
		if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	interrupt()
	eventually(t, 60*time.Second, func() bool { return strings.Contains(p.output.String(), "msg=draining") || p.gone() })
	interrupt()
	<-p.exited
	if left, _ := filepath.Glob(filepath.Join(tmp, "wxgate-demo-*")); len(left) > 0 {
		t.Errorf("exit code %d leaves %v:\n%s", p.cmd.ProcessState.ExitCode(), left, p.output)
	}
}
