package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wxgate/authn/wechat/sandbox"
	"wxgate/examples/recipes"
)

const (
	appID     = "wx2222222222222222"
	appSecret = "e2e-app-secret"
	jwtSecret = "e2e-jwt-secret-e2e-jwt-secret-e2e"
)

// world is a WeChat, a service and a folder, with a gateway process between them.
type world struct {
	t       *testing.T
	weChat  *sandbox.Sandbox
	service *httptest.Server
	dir     string
	config  string
	client  *http.Client
	*process
}

// process is a running wxgate.
type process struct {
	cmd    *exec.Cmd
	url    string // of the public listener
	admin  string // of the admin listener
	output *lockedBuffer
	exited chan struct{}
}

// newWorld prepares everything but the gateway; serve starts it.
func newWorld(t *testing.T) *world {
	t.Helper()
	weChat, err := sandbox.New(sandbox.Config{
		AppID: appID, Secret: appSecret, AppKey: appKey, SandboxAppKey: sandboxAppKey, PushToken: pushToken, PushAESKey: pushKey,
		OfficialAccount: sandbox.WebAccount{AppID: officialAppID, Secret: appSecret},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := weChat.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = weChat.Close() })
	service := httptest.NewServer(recipes.New())
	t.Cleanup(service.Close)
	w := &world{t: t, weChat: weChat, service: service, dir: t.TempDir(), client: &http.Client{Timeout: 20 * time.Second}}
	w.config = filepath.Join(w.dir, "gateway.yaml")
	w.writeConfig("")
	return w
}

// writeConfig writes a gateway.yaml; more is added at its end.
func (w *world) writeConfig(more string) {
	w.t.Helper()
	yaml := fmt.Sprintf(`
server: { listen: "127.0.0.1:0", admin: "127.0.0.1:0" }
wechat: { base_url: %q }
storage: { badger: { dir: %q, accept_ephemeral: true } }
upstreams:
  recipes: %s
limits: { login: { rate: 1000000/s, burst: 1000000 }, sessions: { rate: 1000000/s, burst: 1000000 } }
routes:
  - { path: /api/**, upstream: recipes }
  - { path: /whoami, upstream: recipes, auth: optional }
%s`, w.weChat.URL(), filepath.Join(w.dir, "data"), w.service.URL, more)
	if err := os.WriteFile(w.config, []byte(yaml), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// serve starts the gateway and waits until it listens.
func (w *world) serve() {
	w.t.Helper()
	p := start(w.t, []string{"serve", "-c", w.config})
	w.process = p
	w.t.Cleanup(func() { w.leaksNothing(p) })
	w.process.waitServing(w.t)
}

func start(t *testing.T, args []string) *process {
	t.Helper()
	return startCommand(t, exec.Command(binary, args...))
}

// startCommand starts a command that becomes wxgate. It keeps its secrets.
func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := launch(t, cmd)
	t.Cleanup(func() {
		for _, found := range p.leaked() {
			t.Errorf("the log or the metrics hold %s", found)
		}
	})
	return p
}

func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, output: new(lockedBuffer), exited: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), cmd.Env...), "WX_APPID="+appID, "WX_SECRET="+appSecret, "JWT_SECRET="+jwtSecret)
	if p.cmd.Stderr == nil {
		p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	t.Cleanup(p.kill)
	return p
}

var serving = regexp.MustCompile(`"msg":"serving","listen":"([^"]+)","admin":"([^"]+)"`)

// waitServing polls the log for the line that names the listeners.
func (p *process) waitServing(t *testing.T) {
	t.Helper()
	var found []string
	eventually(t, 60*time.Second, func() bool {
		found = serving.FindStringSubmatch(p.output.String())
		return found != nil || p.gone()
	})
	if found == nil {
		t.Fatalf("wxgate did not start:\n%s", p.output)
	}
	p.url, p.admin = "http://"+found[1], "http://"+found[2]
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// kill ends the process as a power cut would, and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// stop ends the process as an operator would, and returns its exit code.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(40 * time.Second):
		t.Fatalf("wxgate did not stop:\n%s", p.output)
	}
	return p.cmd.ProcessState.ExitCode()
}

// answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	closes bool // the gateway ends the connection
	body   string
	json   map[string]any
}

// data is the data of an envelope.
func (a answer) data() map[string]any {
	data, _ := a.json["data"].(map[string]any)
	return data
}

// call sends one request; token may be empty, body is JSON or empty.
func (w *world) call(method, path, token, body string, headers ...string) answer {
	w.t.Helper()
	got, err := w.try(method, path, token, body, headers...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

func (w *world) try(method, path, token, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	got := answer{status: resp.StatusCode, header: resp.Header, closes: resp.Close, body: string(text)}
	_ = json.Unmarshal(text, &got.json) // a body that is no JSON leaves it nil
	keepsSecrets(w.t, "the answer to "+method+" "+path, fmt.Sprint(got.header, got.body))
	if strings.Contains(got.body, `session_key"`) {
		w.t.Errorf("%s %s answers with a session_key: %.200s", method, path, got.body)
	}
	return got, err
}

// login logs a person in and returns the token.
func (w *world) login(person string) string {
	w.t.Helper()
	got := w.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, w.weChat.IssueCode(person)))
	token, _ := got.data()["access_token"].(string)
	if got.status != http.StatusOK || token == "" {
		w.t.Fatalf("login of %s: %d %s", person, got.status, got.body)
	}
	return token
}

// want fails the test unless the answer has the status and, when given, the reason.
func (w *world) want(what string, got answer, status int, reason string) {
	w.t.Helper()
	if got.status != status || (reason != "" && got.json["reason"] != reason) {
		w.t.Errorf("%s: got %d %s, want %d %s", what, got.status, got.body, status, reason)
	}
}

// eventually looks until it holds. It looks less often the longer it takes and the more a look costs, because others run beside it.
func eventually(t *testing.T, within time.Duration, holds func() bool) {
	t.Helper()
	begun := time.Now()
	for {
		looked := time.Now()
		if holds() {
			return
		}
		elapsed, cost := time.Since(begun), time.Since(looked)
		if elapsed > within {
			t.Fatalf("it did not happen within %v", within)
		}
		<-time.After(max(5*time.Millisecond, min(elapsed/10, 50*time.Millisecond), min(4*cost, time.Second)))
	}
}

// lockedBuffer is a buffer that a process may write while a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// leaksNothing checks that what a gateway said holds no code, token or phone number either.
func (w *world) leaksNothing(p *process) {
	w.t.Helper()
	said := p.output.String()
	for _, mark := range []string{"eyJhbGci", `session_key\"`, `"code":"`, "Bearer ", sandbox.PhoneNumber("alice"), sandbox.PhoneNumber("bob")} {
		if at := strings.Index(said, mark); at >= 0 {
			w.t.Errorf("the log holds %q: …%.120s", mark, said[max(0, at-40):])
		}
	}
}

func (w *world) says(text string) int { return strings.Count(w.output.String(), text) }

func (w *world) waitSays(text string, times int) {
	w.t.Helper()
	defer func() {
		if w.t.Failed() {
			w.t.Logf("waiting for %d × %q; the log:\n%s", times, text, w.output)
		}
	}()
	eventually(w.t, 60*time.Second, func() bool { return w.says(text) >= times })
}

// readyz is what readiness says.
func (w *world) readyz() (status int, text string) {
	w.t.Helper()
	resp, err := w.client.Get(w.admin + "/readyz")
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(body))
}
