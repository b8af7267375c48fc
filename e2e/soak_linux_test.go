package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"
)

const soakUsers = 500

// mostGrowth bounds the slope of the gateway's anonymous memory, in MB in 10 minutes: a run of 12 minutes grew 6 MB.
// Shorter runs than shortestJudged say nothing about it.
const (
	mostGrowth     = 20
	shortestJudged = 10 * time.Minute
)

// soak is a gateway under mixed traffic, with what was counted.
type soak struct {
	*world
	tokens []string // of user i+1
	kinds  []*soakKind
}

// soakKind is one kind of traffic. once does it once for a user and returns an error when an answer was not that user's.
type soakKind struct {
	name    string
	workers int
	pause   time.Duration
	once    func(ctx context.Context, s *soak, user int) error
	done    atomic.Int64
	wrong   atomic.Int64
}

// TestSoak runs for the time in SOAK: `make long WHAT=soak`. Users must never see each other's answers, and nothing may be
// left over at the end.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		t.Skip("SOAK says for how long, as in SOAK=10m: see make long WHAT=soak")
	}
	s := &soak{world: newWorld(t), kinds: []*soakKind{
		{name: "requests", workers: 12, pause: time.Millisecond, once: soakRequest},
		{name: "uploads", workers: 2, pause: 50 * time.Millisecond, once: soakUpload},
		{name: "events", workers: 8, pause: 10 * time.Millisecond, once: soakEvents},
		{name: "aborts", workers: 4, pause: 20 * time.Millisecond, once: soakAbort},
		{name: "websockets", workers: 8, pause: 20 * time.Millisecond, once: soakWebSocket},
		{name: "idle", workers: 200, pause: time.Second, once: soakIdle},
		{name: "sessions", workers: 1, pause: 100 * time.Millisecond, once: soakSession},
	}}
	s.service.Config.Handler = http.HandlerFunc(soakService)
	s.writeConfig("log: { access: false }\n")
	s.serve()
	for i := range soakUsers {
		s.tokens = append(s.tokens, s.login(fmt.Sprintf("user%d", i)))
	}
	s.client.CloseIdleConnections()
	timer := time.NewTimer(4 * time.Second) // idle connections to the service end
	<-timer.C
	before := s.sample()
	samples := s.run(t, length)
	eventually(t, 60*time.Second, func() bool {
		now := s.gauges()
		return now["go_goroutines"] <= before["go_goroutines"]+5 && now["process_open_fds"] <= before["process_open_fds"]+5
	})
	s.report(t, before, samples)
	s.judgeMemory(t, length, samples)
}

// sample is what the gateway says of itself, and what the kernel says of its memory, in bytes.
func (s *soak) sample() map[string]float64 {
	values := s.gauges()
	if values == nil {
		return nil
	}
	for _, line := range soakMemory() {
		values[line] = float64(residentMemory(s.cmd.Process.Pid, line)) * 1024
	}
	return values
}

// soakMemory are the parts of resident memory: RssAnon is the gateway's own, RssFile is mapped from files (the binary and
// the tables of the store) and is the kernel's to drop.
func soakMemory() []string { return []string{"RssAnon", "RssFile"} }

// judgeMemory fails if the gateway's own memory grows without end. The race detector keeps a shadow of all memory that
// was ever used, so nothing follows from its growth.
func (s *soak) judgeMemory(t *testing.T, length time.Duration, samples []map[string]float64) {
	t.Helper()
	slope := memorySlope(samples[len(samples)/2:], "RssAnon")
	said := fmt.Sprintf("RssAnon in the last half: %+.1f MB in 10 min", slope)
	switch {
	case raceEnabled:
		t.Log(said + "; meaningless with the race detector")
	case length < shortestJudged:
		t.Logf("%s; not judged, the run was shorter than %v", said, shortestJudged)
	case slope > mostGrowth:
		t.Errorf("%s, want at most %+d", said, mostGrowth)
	default:
		t.Log(said)
	}
}

// run keeps all kinds of traffic up for a while and samples the gateway.
func (s *soak) run(t *testing.T, length time.Duration) (samples []map[string]float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var all sync.WaitGroup
	for _, k := range s.kinds {
		for range k.workers {
			all.Go(func() { s.keepUp(ctx, t, k) })
		}
	}
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ticker.C:
			samples = append(samples, s.sample())
		case <-ctx.Done():
		}
	}
	all.Wait()
	s.client.CloseIdleConnections()
	return samples
}

func (s *soak) keepUp(ctx context.Context, t *testing.T, k *soakKind) {
	for ctx.Err() == nil {
		if err := k.once(ctx, s, rand.IntN(len(s.tokens))); err != nil && ctx.Err() == nil {
			if k.wrong.Add(1) <= 5 {
				t.Errorf("%s: %v", k.name, err)
			}
		}
		k.done.Add(1)
		select {
		case <-time.After(k.pause):
		case <-ctx.Done():
		}
	}
}

// gauges reads what the gateway says of itself.
func (w *world) gauges() map[string]float64 {
	w.t.Helper()
	resp, err := w.client.Get(w.admin + "/metrics")
	if err != nil {
		w.t.Error(err)
		return nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	values := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^(go_goroutines|process_open_fds|process_resident_memory_bytes|go_memstats_heap_inuse_bytes|go_memstats_stack_inuse_bytes) (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		values[m[1]], _ = strconv.ParseFloat(m[2], 64)
	}
	return values
}

func (s *soak) report(t *testing.T, before map[string]float64, samples []map[string]float64) {
	t.Helper()
	after := s.sample()
	table := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', 0)
	defer table.Flush()
	fmt.Fprintln(table, "kind\tdone\twrong")
	for _, k := range s.kinds {
		fmt.Fprintf(table, "%s\t%d\t%d\n", k.name, k.done.Load(), k.wrong.Load())
	}
	fmt.Fprintln(table, "\nof the gateway\tbefore\tmost\tafter")
	for _, name := range append([]string{
		"go_goroutines", "process_open_fds", "process_resident_memory_bytes", "go_memstats_heap_inuse_bytes", "go_memstats_stack_inuse_bytes",
	}, soakMemory()...) {
		most := 0.0
		for _, sample := range samples {
			most = max(most, sample[name])
		}
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.0f\n", name, before[name], most, after[name])
	}
	if text := s.output.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, `"msg":"panic`) {
		t.Errorf("the gateway says:\n%s", text)
	}
}

// memorySlope is the slope of the least squares line through a value of the samples, which are 2 s apart, in MB in 10
// minutes.
func memorySlope(samples []map[string]float64, name string) float64 {
	n, sumX, sumY, sumXY, sumXX := float64(len(samples)), 0.0, 0.0, 0.0, 0.0
	for i, sample := range samples {
		x, y := float64(i), sample[name]/1e6
		sumX, sumY, sumXY, sumXX = sumX+x, sumY+y, sumXY+x*y, sumXX+x*x
	}
	if d := n*sumXX - sumX*sumX; d != 0 {
		return (n*sumXY - sumX*sumY) / d * 300
	}
	return 0
}

// soakService answers with the user that the gateway names.
func soakService(w http.ResponseWriter, r *http.Request) {
	id := strings.Join(r.Header.Values("X-User-Id"), "|")
	switch {
	case r.Header.Get("Upgrade") != "":
		soakSwitch(w, r, id)
	case strings.HasSuffix(r.URL.Path, "/events"):
		for range 20 {
			fmt.Fprintf(w, "data: %s\n\n", id)
			w.(http.Flusher).Flush()
			select {
			case <-time.After(20 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	case strings.HasSuffix(r.URL.Path, "/slow"):
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
		}
	default:
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, `{"id":"%s","received":%d}`, id, n)
	}
}

// soakSwitch opens a WebSocket that says the user and then echoes bytes.
func soakSwitch(w http.ResponseWriter, r *http.Request, id string) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n%s\n", acceptOf(r.Header.Get("Sec-WebSocket-Key")), id)
	_, _ = io.Copy(conn, rw)
}

func soakRequest(ctx context.Context, s *soak, user int) error {
	return s.expectUser(ctx, user, http.MethodGet, "/api/whoami", nil, 0)
}

// soakUpload sends a body in chunks; now and then it breaks off.
func soakUpload(ctx context.Context, s *soak, user int) error {
	size := 1 + rand.Int64N(3<<20)
	body := io.Reader(&io.LimitedReader{R: zeros{}, N: size})
	if rand.IntN(4) == 0 {
		broken := io.MultiReader(io.LimitReader(body, size/2), failingReader{})
		if err := s.expectUser(ctx, user, http.MethodPost, "/api/upload", broken, size); err == nil {
			return errors.New("half an upload was answered with success")
		}
		return nil
	}
	return s.expectUser(ctx, user, http.MethodPost, "/api/upload", body, size)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("the phone went into a tunnel") }

func (s *soak) expectUser(ctx context.Context, user int, method, path string, body io.Reader, size int64) error {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.tokens[user])
	req.Header.Set("X-User-Id", "999999")
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	return isUsers(resp, user, size)
}

// isUsers says what is wrong with an answer that should be the user's.
func isUsers(resp *http.Response, user int, size int64) error {
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf(`{"id":"%d","received":%d}`, user+1, size); err != nil || string(text) != want {
		return fmt.Errorf("user %d got %d %q, %w, want %s", user+1, resp.StatusCode, text, err, want)
	}
	return nil
}

// soakEvents reads some events and leaves.
func soakEvents(_ context.Context, s *soak, user int) error {
	conn, err := s.ask(user, "GET /api/events HTTP/1.1\r\nHost: a\r\n")
	if err != nil {
		return err
	}
	defer conn.Close()
	br, seen := bufio.NewReader(conn), 0
	for until := 1 + rand.IntN(15); seen < until; {
		line, err := br.ReadString('\n')
		if err != nil {
			return err
		}
		if data, found := strings.CutPrefix(line, "data: "); found {
			seen++
			if strings.TrimSpace(data) != strconv.Itoa(user+1) {
				return fmt.Errorf("user %d got the event %q", user+1, data)
			}
		}
	}
	return nil
}

// soakIdle keeps a connection for a while, between two requests.
func soakIdle(ctx context.Context, s *soak, user int) error {
	conn, err := s.open()
	if err != nil {
		return err
	}
	defer conn.Close()
	br := bufio.NewReader(conn)
	for range 2 {
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := fmt.Fprintf(conn, "GET /api/whoami HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", s.tokens[user]); err != nil {
			return err
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			return err
		}
		if err := isUsers(resp, user, 0); err != nil {
			return err
		}
		select {
		case <-time.After(time.Duration(rand.IntN(60)) * time.Second):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// soakAbort asks for something slow and leaves.
func soakAbort(_ context.Context, s *soak, user int) error {
	conn, err := s.ask(user, "GET /api/slow HTTP/1.1\r\nHost: a\r\n")
	if err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(300)) * time.Millisecond))
	_, _ = conn.Read(make([]byte, 1))
	return conn.Close()
}

func soakWebSocket(_ context.Context, s *soak, user int) error {
	conn, err := s.ask(user, "GET /api/chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	if err != nil {
		return err
	}
	defer conn.Close()
	br := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		if line, err = br.ReadString('\n'); err != nil {
			return err
		}
	}
	if id, err := br.ReadString('\n'); err != nil || strings.TrimSpace(id) != strconv.Itoa(user+1) {
		return fmt.Errorf("user %d opened a WebSocket as %q: %w", user+1, id, err)
	}
	for range 5 {
		text := fmt.Sprintf("%d says %d\n", user+1, rand.Int())
		if _, err := io.WriteString(conn, text); err != nil {
			return err
		}
		if got, err := br.ReadString('\n'); err != nil || got != text {
			return fmt.Errorf("user %d got %q, %w, want %q", user+1, got, err, text)
		}
	}
	return nil
}

// soakSession logs a user in on another device, and out again.
func soakSession(ctx context.Context, s *soak, user int) error {
	body := fmt.Sprintf(`{"code":%q}`, s.weChat.IssueCode(fmt.Sprintf("user%d", user)))
	got, err := s.try("POST", "/api/v1/auth/wx-login", "", body)
	if err != nil {
		return err
	}
	token, _ := got.data()["access_token"].(string)
	got, err = s.try("POST", "/api/v1/auth/logout", token, "")
	if err != nil || got.status != http.StatusOK {
		return fmt.Errorf("logout: %d %s: %w", got.status, got.body, err)
	}
	if got, err = s.try("GET", "/api/whoami", token, ""); err != nil || got.status != http.StatusUnauthorized {
		return fmt.Errorf("after logout: %d %s: %w", got.status, got.body, err)
	}
	return soakRequest(ctx, s, user) // the other session goes on
}

func (s *soak) open() (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), 5*time.Second)
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	}
	return conn, err
}

func (s *soak) ask(user int, head string) (net.Conn, error) {
	conn, err := s.open()
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(conn, head+"X-User-Id: 999999\r\nAuthorization: Bearer "+s.tokens[user]+"\r\n\r\n")
	return conn, err
}
