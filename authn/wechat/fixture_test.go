package wechat_test

import (
	"fmt"
	"io"
	"log"
	"strings"
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
	client, err := wechat.New(config, prometheus.NewRegistry())
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
