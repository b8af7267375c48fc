package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"wxgate/examples/recipes"
)

// hostileMemory is the most memory, in bytes, that the gateway may have while an attacker is at work, with its default
// configuration: docs/limits.md says it.
const hostileMemory = 512 << 20

// hostile is a gateway behind a trusted proxy, with users that have an address each and a service that does odd things.
type hostile struct {
	*world
	client *http.Client
	tokens []string // of the honest users
	user   string   // the token of the attacker

	patient bool // honest users try again when they are told when to: where the machine is too slow for its services
}

// TestHonestUsersDoNotNoticeAHostileOne runs one attacker of each kind beside honest users: they are served as if it was
// not there. HOSTILE says for how long each, as in HOSTILE=1m: `make long WHAT=hostile`. Without it a few kinds get a moment.
func TestHonestUsersDoNotNoticeAHostileOne(t *testing.T) {
	t.Parallel()
	length, err := time.ParseDuration(os.Getenv("HOSTILE"))
	honest, attacks := 200, attacks()
	if err != nil {
		length, honest = 400*time.Millisecond, 40
		attacks = slices.DeleteFunc(attacks, func(a attack) bool { return !a.brief })
	}
	h := newHostile(t, honest)
	h.patient = os.Getenv("HOSTILE") == ""
	scenes := []*scene{h.run("calm", nil, length)}
	for _, a := range attacks {
		if only := os.Getenv("HOSTILE_KIND"); only == "" || strings.Contains(a.kind, only) {
			scenes = append(scenes, h.run(a.kind, a.run, length))
		}
	}
	scenes = append(scenes, h.run("calm again", nil, length))
	h.report(scenes)
	for _, s := range scenes {
		s.judge(t, raceEnabled)
	}
}

func newHostile(t *testing.T, honest int) *hostile {
	h := &hostile{world: newWorld(t)}
	odd, ignoring := startOddServices(t)
	yaml := fmt.Sprintf(`
server: { listen: "127.0.0.1:0", admin: "127.0.0.1:0", trusted_proxies: [127.0.0.1] }
wechat: { base_url: %q, push: { token: hostile-token, aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG, upstream: recipes } }
storage: { badger: { dir: %q, accept_ephemeral: true } }
upstreams: { recipes: %q, ignoring: %q }
log: { access: false }
routes:
  - { path: /api/**, upstream: recipes }
  - { path: /open/**, upstream: recipes, auth: none, strip_prefix: /open }
  - { path: /ignoring/**, upstream: ignoring }
  - { path: /quick/**, upstream: recipes, timeout: 2s, strip_prefix: /quick }
  - { path: /prefetch, upstream: recipes, auth: prefetch, rewrite: /api/v1/recipes }
`, h.weChat.URL(), filepath.Join(h.dir, "data"), odd, ignoring)
	if err := os.WriteFile(h.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	h.serve()
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * honest, IdleConnTimeout: 20 * time.Second, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}
	h.client = &http.Client{Timeout: 20 * time.Second, Transport: transport}
	t.Cleanup(h.client.CloseIdleConnections)
	h.tokens = make([]string, honest)
	for i := range h.tokens {
		h.tokens[i] = h.loginFrom(fmt.Sprint("honest", i), honestAddress(i))
	}
	return h
}

// attackerAddress is where the attacker comes from, unless it has many addresses.
const attackerAddress = "203.0.113.66"

func honestAddress(i int) string { return fmt.Sprintf("198.51.%d.%d", 100+i/250, 1+i%250) }

func (h *hostile) loginFrom(person, address string) string {
	h.t.Helper()
	body := fmt.Sprintf(`{"code":%q}`, h.weChat.IssueCode(person))
	got := h.call("POST", "/api/v1/auth/wx-login", "", body, "X-Forwarded-For", address)
	token, _ := got.data()["access_token"].(string)
	if token == "" {
		h.t.Fatalf("login of %s: %d %s", person, got.status, got.body)
	}
	return token
}

// oddServicesEnv makes the test binary the services, a process of their own: the attacker must not take their time.
const oddServicesEnv = "WXGATE_ODD_SERVICES"

func startOddServices(t *testing.T) (odd, ignoring string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), oddServicesEnv+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := fmt.Fscan(out, &odd, &ignoring); err != nil {
		t.Fatal(err)
	}
	return "http://" + odd, "http://" + ignoring
}

// serveOddServices prints where they are and serves until it is killed.
func serveOddServices() int {
	odd, err := net.Listen("tcp", "127.0.0.1:0")
	ignoring, failed := net.Listen("tcp", "127.0.0.1:0")
	if err = errors.Join(err, failed); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(odd.Addr(), ignoring.Addr())
	go ignoreAllBodies(ignoring)
	fmt.Fprintln(os.Stderr, http.Serve(odd, oddService()))
	return 1
}

// oddService has recipes, an answer without end, and a WebSocket.
func oddService() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", recipes.New())
	mux.HandleFunc("GET /api/endless", func(w http.ResponseWriter, _ *http.Request) {
		for piece := make([]byte, 32<<10); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("POST /api/sink", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /api/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Accept: "+acceptOf(r.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n")
		_, _ = io.Copy(conn, conn)
	})
	return mux
}

// scene is a stretch of time with or without an attacker.
type scene struct {
	kind            string
	attackers, fail atomic.Int64 // requests of the attacker; of the honest that failed
	memory          int64        // the most that the gateway had, in bytes

	mu    sync.Mutex
	took  []time.Duration // of the honest that went well
	first string          // the first failure
}

// run lets the honest users go on for the given time at least, beside an attacker.
func (h *hostile) run(kind string, attack func(*attacker), length time.Duration) *scene {
	h.t.Helper()
	s := &scene{kind: kind}
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { s.awaitWork(ctx, length, len(h.tokens)/2, attack != nil); cancel() })
	if attack != nil {
		h.user = h.loginFrom("mallory, "+kind, "203.0.113.1") // limits are a user's or an address's: those of the kind before are spent
		all.Go(func() { attack(&attacker{hostile: h, ctx: ctx, sent: &s.attackers}) })
	}
	for i := range h.tokens {
		all.Go(func() { h.beHonest(ctx, s, i) })
	}
	all.Go(func() { s.watchMemory(ctx, h.process) })
	all.Wait()
	if h.gone() {
		h.t.Fatalf("%s: wxgate ended:\n%.3000s", kind, h.output)
	}
	return s
}

// awaitWork returns when length has passed and so many honest requests and one of the attacker were made, which takes
// longer on a busy machine; it waits half a minute more at most.
func (s *scene) awaitWork(ctx context.Context, length time.Duration, honest int, attacked bool) {
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		enough := len(s.took)+int(s.fail.Load()) >= honest && (!attacked || s.attackers.Load() > 0)
		s.mu.Unlock()
		if took := time.Since(began); took >= length && enough || took > length+30*time.Second {
			return
		}
	}
}

// beHonest is one user: a request, a pause, and now and then something else than a look at the recipes.
func (h *hostile) beHonest(ctx context.Context, s *scene, i int) {
	pause := time.NewTimer(time.Duration(rand.IntN(400)) * time.Millisecond)
	defer pause.Stop()
	for n := i; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		began := time.Now()
		if why := h.honestRequest(s, i, n); why != "" {
			s.failed(why)
		} else {
			s.went(time.Since(began))
		}
		pause.Reset(time.Duration(200+rand.IntN(400)) * time.Millisecond)
	}
}

// honestRequest says what went wrong, "" for nothing.
func (h *hostile) honestRequest(s *scene, i, n int) string {
	method, path, token, body, want := "GET", "/api/v1/recipes", h.tokens[i], "", `"code":200`
	switch n % 40 { // a login a quarter of a minute: half an hour of them stays within limits.sessions
	case 0, 10, 20, 30:
		path, token = "/open/api/v1/whoami", ""
		want = "{"
	case 5:
		method, path, token, want = "POST", "/api/v1/auth/wx-login", "", "access_token"
		body = fmt.Sprintf(`{"code":%q}`, h.weChat.IssueCode(fmt.Sprint("honest", i)))
	case 3, 13, 23, 33:
		method, path, body, want = "POST", "/api/sink", `{"a":"short body"}`, ""
	case 7, 27:
		path = fmt.Sprintf("/ignoring/%d-%d", i, n)
		want = path // another user's answer would show here
	case 17, 37:
		path, want = "/api/v1/user/profile", `"openid"`
	}
	got, err := h.tryWith(h.client, method, path, token, body, "X-Forwarded-For", honestAddress(i))
	if err == nil && got.status == http.StatusServiceUnavailable && h.patient && got.header.Get("Retry-After") == "1" {
		<-time.After(time.Second)
		got, err = h.tryWith(h.client, method, path, token, body, "X-Forwarded-For", honestAddress(i))
	}
	switch {
	case err != nil:
		return err.Error()
	case got.status > 299 || !strings.Contains(got.body, want):
		return fmt.Sprintf("%s %s: %d %.200s", method, path, got.status, got.body)
	case want == "access_token":
		h.tokens[i], _ = got.data()["access_token"].(string) // a phone goes on with the token of its last login
	}
	return ""
}

func (h *hostile) tryWith(client *http.Client, method, path, token, body string, headers ...string) (answer, error) {
	w := *h.world
	w.client = client
	return w.try(method, path, token, body, headers...)
}

func (s *scene) went(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, took)
}

func (s *scene) failed(why string) {
	s.fail.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == "" {
		s.first = why
	}
}

// watchMemory remembers the most memory that the process has had.
func (s *scene) watchMemory(ctx context.Context, p *process) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		s.memory = max(s.memory, p.memory())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// memory is the resident set of the process, in bytes; 0 where /proc does not say.
func (p *process) memory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// percentile is in milliseconds.
func (s *scene) percentile(percent int) float64 {
	all := slices.Sorted(slices.Values(s.took))
	if len(all) == 0 {
		return 0
	}
	return float64(all[min(len(all)-1, len(all)*percent/100)].Microseconds()) / 1000
}

// success is the part of the honest requests that went well, in percent.
func (s *scene) success() float64 {
	well := len(s.took)
	return 100 * float64(well) / float64(max(1, well+int(s.fail.Load())))
}

func (h *hostile) report(scenes []*scene) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "kind\tits requests\thonest\tsuccess %\tp50 ms\tp99 ms\tMB\t")
	for _, s := range scenes {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%.2f\t%.1f\t%.1f\t%d\t\n", s.kind, s.attackers.Load(), len(s.took)+int(s.fail.Load()), s.success(),
			s.percentile(50), s.percentile(99), s.memory>>20)
	}
	_ = w.Flush()
	h.t.Logf("beside %d honest users\n%s", len(h.tokens), table.String())
}

// judge holds a scene against what the manual says. Latency is told, not judged: the machine has a say in it.
func (s *scene) judge(t *testing.T, race bool) {
	t.Helper()
	if s.success() < 99.9 || len(s.took) == 0 {
		t.Errorf("%s: %.2f %% of %d honest requests went well, want 99.9 at least; the first that did not: %s",
			s.kind, s.success(), len(s.took)+int(s.fail.Load()), s.first)
	}
	if s.memory > hostileMemory && !race {
		t.Errorf("%s: the gateway had %d MB, want %d at most", s.kind, s.memory>>20, hostileMemory>>20)
	}
	if s.attackers.Load() == 0 && !strings.HasPrefix(s.kind, "calm") {
		t.Errorf("%s: the attacker did nothing", s.kind)
	}
}
