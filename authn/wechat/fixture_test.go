package wechat_test

import (
	"fmt"
	"io"
	"log"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
)

const appID = "wx4f4bc4dec97d474b"

// newSandbox runs a stand-in for the length of the test.
func newSandbox(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.New(sandbox.Config{AppID: appID, Secret: plain})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// newClient calls baseURL; 10 s is a timeout that only a test of the timeout changes.
func newClient(t *testing.T, baseURL string, change ...func(*wechat.Config)) *wechat.Client {
	t.Helper()
	config := wechat.Config{AppID: appID, Secret: plain, BaseURL: baseURL, Timeout: 10 * time.Second}
	for _, c := range change {
		c(&config)
	}
	client, err := wechat.New(config, wechat.Deps{Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func timeout(d time.Duration) func(*wechat.Config) {
	return func(c *wechat.Config) { c.Timeout = d }
}

// tellsNothing fails when an error shows what no log may hold.
func tellsNothing(t *testing.T, err error, code string) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
		text := fmt.Sprintf(verb, err)
		for _, hidden := range []string{plain, code, "secret=", "js_code", "http://", "https://"} {
			if strings.Contains(text, hidden) {
				t.Errorf("error for %s with %s: got %s, want no %s in it", code, verb, text, hidden)
			}
		}
	}
}

// discard is a logger for a server whose complaints are the point of the test.
func discard() *log.Logger { return log.New(io.Discard, "", 0) }

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// timedSandbox lives by the clock.
func timedSandbox(t *testing.T, now *clock) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.New(sandbox.Config{AppID: appID, Secret: plain, Now: now.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// clientWith calls baseURL with deps.
func clientWith(t *testing.T, baseURL string, deps wechat.Deps) *wechat.Client {
	t.Helper()
	deps.Metrics = prometheus.NewRegistry()
	config := wechat.Config{AppID: appID, Secret: plain, BaseURL: baseURL, Timeout: 10 * time.Second}
	client, err := wechat.New(config, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// mustToken returns the token of the client.
func mustToken(t *testing.T, client *wechat.Client) wechat.ServerToken {
	t.Helper()
	token, err := client.ServerToken(t.Context())
	if err != nil {
		t.Fatalf("ServerToken: got %v, want a token", err)
	}
	return token
}

// fail scripts the sandbox.
func fail(t *testing.T, s *sandbox.Sandbox, f sandbox.Failure) {
	t.Helper()
	if err := s.Fail(f); err != nil {
		t.Fatal(err)
	}
}

// calls returns how many requests api got.
func calls(s *sandbox.Sandbox, api string) int { return s.Stats().APIs[api].Calls }

// eventually polls until ok or ten seconds have passed.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("after 10s: got no %s, want it", what)
		}
		<-time.After(time.Millisecond)
	}
}
