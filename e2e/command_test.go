package e2e

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// output runs a command of wxgate to its end.
func (w *world) command(args ...string) (output string, code int) {
	w.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "WX_APPID="+appID, "WX_SECRET="+appSecret, "JWT_SECRET="+jwtSecret)
	text, _ := cmd.CombinedOutput() // the exit code says it
	return string(text), cmd.ProcessState.ExitCode()
}

func TestABrokenConfigurationIsReportedWholeWithItsPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := filepath.Join(w.dir, "broken.yaml")
	if err := os.WriteFile(path, []byte(`server:
  lisen: ":1"
upstreams:
  recipes: ftp://x
routes:
  - { path: /api/**, upstream: recepies }
  - { path: nope, upstream: recipes, auth: maybe, timeout: 5 }
`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "serve"} {
		got, code := w.command(command, "-c", path)
		if code != 1 {
			t.Errorf("%s: exit code %d, want 1", command, code)
		}
		for _, want := range []string{
			path + `:2:3: server.lisen: unknown key; did you mean "listen"?`,
			path + ":4:3: upstreams.recipes", path + `:6:22: routes[0].upstream: "recepies" is not one of recipes`,
			path + `:7:7: routes[1].path: "nope"`, path + `:7:38: routes[1].auth: "maybe"`, path + ":7:51: routes[1].timeout",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: got\n%s\nwant the line %s", command, got, want)
			}
		}
		if strings.Contains(got, appSecret) || strings.Contains(got, jwtSecret) {
			t.Errorf("%s prints a secret:\n%s", command, got)
		}
	}
}

func TestASecretThatIsMissingOrShortStopsTheStartInOneLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for missing, want := range map[string]string{
		"WX_APPID": "wechat.appid", "WX_SECRET": "wechat.secret", "JWT_SECRET": "authn.keys",
	} {
		cmd := exec.Command(binary, "serve", "-c", w.config)
		for _, set := range []string{"WX_APPID=" + appID, "WX_SECRET=" + appSecret, "JWT_SECRET=" + jwtSecret} {
			if !strings.HasPrefix(set, missing+"=") {
				cmd.Env = append(cmd.Env, set)
			}
		}
		got, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(got), want) {
			t.Errorf("without %s: exit %d, %s; want 1 and a line on %s", missing, cmd.ProcessState.ExitCode(), got, want)
		}
	}
}

func TestASecondProcessOnTheFolderIsRefusedInOneLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	got, code := w.command("serve", "-c", w.config)
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(got)) {
		if !strings.Contains(line, `"msg":"the configuration holds, but may not be meant so"`) {
			lines = append(lines, line)
		}
	}
	waiting, refusal, _ := strings.Cut(strings.Join(lines, ""), "\n")
	if code != 1 || !strings.Contains(waiting, `"msg":"waiting for another process to end"`) ||
		!strings.Contains(refusal, "in use by another process") || strings.Contains(refusal, "\n") {
		t.Errorf("exit %d:\n%s", code, got)
	}
}

func TestHealthAsksTheRunningGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got, code := w.command("health", "-c", w.config); code != 1 {
		t.Errorf("health of nothing: exit %d, %s; want 1", code, got)
	}
	w.serve()
	cmd := exec.Command(binary, "health", "-c", w.config)
	cmd.Env = append(os.Environ(), "WX_APPID="+appID, "WX_SECRET="+appSecret, "JWT_SECRET="+jwtSecret, "PORT="+w.url[strings.LastIndex(w.url, ":")+1:])
	if got, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(got)) != "ok" {
		t.Errorf("health: %v, %s", err, got)
	}
}

func TestTheOperatorSeesMetricsAndProbes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	token := w.login("alice")
	w.call("GET", "/api/v1/recipes", token, "", "X-User-Id", "999")
	w.call("GET", "/api/v1/recipes", "", "")
	for path, want := range map[string][]string{
		"/livez":  {"ok"},
		"/readyz": {"ok"},
		"/metrics": {
			`wxgate_requests_total{code="200",method="GET",reason="",route="/api/**",source="upstream"} 1`,
			`wxgate_requests_total{code="401",method="GET",reason="token_missing",route="/api/**",source="gateway"} 1`,
			`wxgate_authn_logins_total{result="ok"} 1`, `wxgate_authn_verifications_total{result="token_missing"} 1`,
			`wxgate_wechat_requests_total{api="jscode2session",errcode="0"} 1`, "wxgate_identity_headers_stripped_total 1",
			"wxgate_storage_operation_duration_seconds", "wxgate_storage_bytes", "wxgate_storage_writable 1",
			"wxgate_upstream_request_duration_seconds", "wxgate_overhead_seconds", "wxgate_requests_in_flight",
			"wxgate_build_info", "go_goroutines", "process_open_fds",
		},
	} {
		var text []byte
		eventually(t, 10*time.Second, func() bool { // a request is counted once its answer has been written
			resp, err := w.client.Get(w.admin + path)
			if err != nil {
				t.Fatal(err)
			}
			text, _ = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			return resp.StatusCode == http.StatusOK && !slices.ContainsFunc(want, func(line string) bool { return !strings.Contains(string(text), line) })
		})
		if strings.Contains(string(text), "alice") || strings.Contains(string(text), token) {
			t.Errorf("%s tells about a user", path)
		}
	}
	w.want("the public listener has no metrics", w.call("GET", "/metrics", "", ""), http.StatusNotFound, "no_route")
}
