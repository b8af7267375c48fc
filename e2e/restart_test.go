//go:build linux

package e2e

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// traffic is clients that send requests one after the other, each of which must succeed.
type traffic struct {
	stop   chan struct{}
	all    sync.WaitGroup
	sent   atomic.Int64
	logins atomic.Int64
}

func (w *world) traffic(clients int) *traffic {
	tr := &traffic{stop: make(chan struct{})}
	for i := range clients {
		person := fmt.Sprintf("person%d", i)
		token := w.login(person)
		tr.all.Go(func() { tr.each(func() bool { return w.succeeds(tr, "GET", "/api/v1/recipes", token, "") }) })
		tr.all.Go(func() {
			tr.each(func() bool {
				someone := fmt.Sprintf("%s-%d", person, tr.logins.Add(1))
				return w.succeeds(tr, "POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, w.weChat.IssueCode(someone)))
			})
		})
	}
	return tr
}

func (tr *traffic) each(request func() bool) {
	for {
		select {
		case <-tr.stop:
			return
		default:
		}
		if tr.sent.Add(1); !request() {
			return
		}
	}
}

func (w *world) succeeds(tr *traffic, method, path, token, body string) bool {
	got, err := w.try(method, path, token, body)
	if err != nil || got.status != http.StatusOK {
		w.t.Errorf("request %d, %s %s: %d %v %s", tr.sent.Load(), method, path, got.status, err, got.body)
		return false
	}
	return true
}

// end stops the clients and returns how many requests they sent.
func (tr *traffic) end() int64 {
	close(tr.stop)
	tr.all.Wait()
	return tr.sent.Load()
}

// restart hands over to a successor, and waits until it serves.
func (w *world) restart() {
	w.t.Helper()
	w.t.Cleanup(func() {
		if !w.gone() {
			w.stop(w.t) // a kill would leave the successors
		}
	})
	serving := strings.Count(w.output.String(), `"msg":"serving"`)
	gone := strings.Count(w.output.String(), `"msg":"stopped"`)
	if err := w.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		w.t.Fatalf("%v\n%s", err, w.output)
	}
	eventually(w.t, 60*time.Second, func() bool {
		said := w.output.String()
		return strings.Count(said, `"msg":"serving"`) > serving && strings.Count(said, `"msg":"stopped"`) > gone
	})
}

// TestARestartLosesNothing hands over three times under load. The process that was started stays, and ends when the
// last successor is told to.
func TestARestartLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	before := w.login("alice")
	tr := w.traffic(4)
	for range 3 {
		sent := tr.sent.Load()
		w.restart()
		eventually(t, 60*time.Second, func() bool { return tr.sent.Load() > sent+50 })
	}
	t.Logf("%d requests, %d of them logins", tr.end(), tr.logins.Load())
	w.want("a token from before", w.call("GET", "/api/v1/recipes", before, ""), http.StatusOK, "")
	w.want("logout", w.call("POST", "/api/v1/auth/logout", before, ""), http.StatusOK, "")
	w.restart()
	w.want("a token that was logged out before a restart", w.call("GET", "/api/v1/recipes", before, ""), http.StatusUnauthorized, "")
	if code := w.stop(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
	if _, err := w.try("GET", "/healthz", "", ""); err == nil {
		t.Error("somebody still answers")
	}
}

// TestASuccessorThatCannotServeChangesNothing fails before the store is released, by the configuration, and after it, by the
// key of the store.
func TestASuccessorThatCannotServeChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	tr := w.traffic(2)
	otherKey := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, fault := range []string{"storage: { nonsense: 1, ", `storage: { encryption_key: "` + otherKey + `", `} {
		w.writeConfig("")
		w.rewrite("storage: { ", fault)
		refused := strings.Count(w.output.String(), "no hand-over")
		if err := w.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		eventually(t, 60*time.Second, func() bool { return strings.Count(w.output.String(), "no hand-over") > refused })
		sent := tr.logins.Load()
		eventually(t, 60*time.Second, func() bool { return tr.logins.Load() > sent+10 })
	}
	tr.end()
	w.login("bob")
}

// TestReloadsAndRestartsLoseNothing reloads each second and restarts five times within WXGATE_RESTART (a few seconds
// without it) of load. Every person who was told an id must have it at the end.
func TestReloadsAndRestartsLoseNothing(t *testing.T) {
	t.Parallel()
	length, err := time.ParseDuration(os.Getenv("WXGATE_RESTART"))
	if err != nil {
		length = 4 * time.Second
	}
	w := newWorld(t)
	w.serve()
	told := new(sync.Map) // person → id
	tr := w.traffic(4)
	tr.all.Go(func() {
		tr.each(func() bool {
			person := fmt.Sprintf("told%d", tr.sent.Load())
			got, err := w.try("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, w.weChat.IssueCode(person)))
			user, _ := got.data()["user"].(map[string]any)
			if err != nil || user["id"] == nil {
				t.Errorf("login of %s: %d %v %s", person, got.status, err, got.body)
				return false
			}
			told.Store(person, user["id"])
			return true
		})
	})
	reloads, restarts := time.NewTicker(time.Second), time.NewTicker(length/6)
	defer reloads.Stop()
	defer restarts.Stop()
	end := time.After(length)
	for reloaded, restarted, over := 0, 0, false; !over; {
		select {
		case <-end:
			t.Logf("%v: %d reloads, %d restarts, %d requests, %d of them logins", length, reloaded, restarted, tr.end(), tr.logins.Load())
			over = true
		case <-reloads.C:
			reloaded++
			w.exchangeConfig(fmt.Sprintf("  - { path: /v%d, upstream: recipes }\n", reloaded))
			if err := w.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		case <-restarts.C:
			restarted++
			w.restart()
		}
	}
	people := 0
	told.Range(func(person, id any) bool {
		people++
		got := w.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, w.weChat.IssueCode(person.(string))))
		if user, _ := got.data()["user"].(map[string]any); user["id"] != id {
			t.Errorf("%s was told the id %v, and has %v", person, id, user["id"])
		}
		return true
	})
	t.Logf("%d people have the ids that they were told", people)
	for line := range strings.Lines(w.output.String()) {
		if strings.Contains(line, `"level":"ERROR"`) {
			t.Error(line)
		}
	}
}

// TestSocketsOfSystemdAreUsed passes both sockets as systemd does (sd_listen_fds): they stay open while nobody serves.
func TestSocketsOfSystemdAreUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var files []*os.File
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		file, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files = append(files, file)
	}
	begin := func() {
		cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" serve -c "$1"`, binary, w.config)
		cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=wxgate.socket:wxgate.socket")
		cmd.ExtraFiles = files
		w.process = startCommand(t, cmd)
	}
	begin()
	w.process.waitServing(t)
	url := w.url
	token := w.login("alice")
	if code := w.stop(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
	waited := make(chan answer, 1)
	stopped := *w // begin changes w
	go func() {
		got, _ := stopped.try("GET", "/api/v1/recipes", token, "")
		waited <- got
	}()
	begin()
	w.process.waitServing(t)
	if w.url != url {
		t.Errorf("it listens on %s, the socket is %s", w.url, url)
	}
	w.want("a request that came while nobody served", <-waited, http.StatusOK, "")
}

// TestARestartHandsTheOutboxOver restarts with SIGUSR2 while the service is away, so that rounds of the outbox meet a store
// that another process has, and tells it everything afterwards.
func TestARestartHandsTheOutboxOver(t *testing.T) {
	t.Parallel()
	w, s := newPeopleWorld(t, false)
	s.setAnswer(func(told) int { return http.StatusServiceUnavailable })
	w.serve()
	for i := range 20 {
		w.login(fmt.Sprint("before", i))
	}
	for round := range 3 {
		w.restart()
		w.login(fmt.Sprint("between", round))
	}
	s.setAnswer(nil)
	eventually(t, 90*time.Second, func() bool { return w.heardOfAll(s) })
	w.stop(t)
}

// restartsLoseNothing hands over twice while requests that a service answers go on.
func (w *secureWorld) restartsLoseNothing(token string) {
	w.t.Helper()
	tr := &traffic{stop: make(chan struct{})}
	for range 8 {
		tr.all.Go(func() {
			tr.each(func() bool { return w.succeeds(tr, "GET", "/api/v1/recipes", token, "") })
		})
	}
	for range 2 {
		w.restart()
	}
	if n := tr.end(); n < 40 {
		w.t.Errorf("only %d requests", n)
	}
}

// TestARestartOverTLSLosesNoRequestWithoutAStore hands over while requests that a service answers go on.
func TestARestartOverTLSLosesNoRequestWithoutAStore(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t)
	w.serveSecurely()
	token := w.login("alice")
	w.restartsLoseNothing(token)
	w.want("after it", w.call("GET", "/api/v1/user/profile", token, ""), http.StatusOK, "")
	w.redirects()
}

// TestARestartOverHTTP2LosesNoRequestWithoutAStore hands over while streams go on.
func TestARestartOverHTTP2LosesNoRequestWithoutAStore(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t)
	w.speakHTTP2()
	w.serveSecurely()
	w.restartsLoseNothing(w.login("alice"))
}

// TestARestartOverHTTP3LosesNoRequestWithoutAStore hands over twice: what comes while nobody has the socket waits for it.
func TestARestartOverHTTP3LosesNoRequestWithoutAStore(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t)
	w.rewrite(`http: "127.0.0.1:0"`, `http3: true, http: "127.0.0.1:0"`)
	w.serveSecurely()
	w.waitSays(`"msg":"serving HTTP/3"`, 1)
	token := w.login("alice")
	over := w.overQUIC()
	defer over.Close()
	w.client.Transport = over
	w.restartsLoseNothing(token)
	if said := w.output.String(); strings.Contains(said, `"level":"ERROR"`) {
		t.Errorf("an error in the log:\n%s", said)
	}
}
