package doctor

import (
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/config"
	"wxgate/gateway"
	"wxgate/upstream"
)

// TestTimeoutsThatOutliveWhoeverWaitsAreNamed lets clients, logins and WeChat wait.
func TestTimeoutsThatOutliveWhoeverWaitsAreNamed(t *testing.T) {
	t.Parallel()
	slow := gateway.RouteConfig{Path: "/api/slow", Timeout: 2 * time.Minute}
	for _, c := range []struct {
		what   string
		change func(*config.Config)
		wants  []string // of requests, logins and pushes
	}{
		{"the defaults", func(*config.Config) {}, []string{
			"ok server.timeouts.request is 1m0s, and wx.request waits 1m0s",
			"ok a login waits 4.5s for WeChat at most (wechat.timeout 3s and its queue), and wx.request ends it after 1m0s",
			"ok WeChat waits 5 s",
		}},
		{"a longer one", func(c *config.Config) { c.Server.Timeouts.Request = 61 * time.Second }, []string{
			"FAIL server.timeouts.request is 1m1s, and wx.request waits 1m0s; set it to 59s", "ok", "ok",
		}},
		{"a longer one of a route", func(c *config.Config) { c.Routes = []gateway.RouteConfig{slow} }, []string{
			"ok server.timeouts.request is 1m0s, and wx.request waits 1m0s; where a route has longer, clients need a timeout of their own in wx.request: routes[0] (/api/slow) 2m0s", "ok", "ok",
		}},
		{"Cloud Run", func(c *config.Config) { c.WeChat.CloudRun = true }, []string{
			"FAIL server.timeouts.request is 1m0s, and callContainer waits 15s; set it to 14s", "and callContainer ends it after 15s", "ok",
		}},
		{"Cloud Run and its limit", func(c *config.Config) { c.WeChat.CloudRun, c.Server.Timeouts.Request = true, 15*time.Second }, []string{
			"FAIL server.timeouts.request is 15s", "ok", "ok",
		}},
		{"Cloud Run and a route", func(c *config.Config) {
			c.WeChat.CloudRun, c.Server.Timeouts.Request, c.Routes = true, 14*time.Second, []gateway.RouteConfig{slow}
		}, []string{"FAIL callContainer waits 15s: routes[0] (/api/slow) 2m0s; set timeout there to 14s or less", "and server.timeouts.request ends it after 14s", "ok"}},
		{"patience with WeChat on Cloud Run", func(c *config.Config) {
			c.WeChat.CloudRun, c.Server.Timeouts.Request, c.WeChat.Timeout = true, 14*time.Second, 10*time.Second
		}, []string{"ok", "FAIL a login waits 15s for WeChat at most (wechat.timeout 10s and its queue), and server.timeouts.request ends it after 14s; set wechat.timeout to 8.4s or less", "ok"}},
		{"a service that is not connected to", func(c *config.Config) { c.Upstreams["messages"] = connecting(5 * time.Second) }, []string{
			"ok", "ok", "FAIL WeChat waits 5 s for an answer, and upstreams.messages.timeouts.connect is 5s; set it to 1s",
		}},
		{"orders that WeChat is asked about first", func(c *config.Config) {
			c.WeChat.Timeout, c.WeChat.VirtualPayment.OfferID = 5*time.Second, "1"
		}, []string{"ok", "ok", "FAIL WeChat waits 5 s for an answer, and in plain mode it is asked first whether an order is paid, for up to 5s"}},
	} {
		cfg := config.DefaultConfig()
		cfg.WeChat.Push = wechat.PushConfig{Token: "token", Upstream: "messages"}
		cfg.Upstreams = map[string]upstream.Config{"messages": connecting(time.Second)}
		c.change(&cfg)
		got := timeoutFindings(cfg)
		if len(got) != len(c.wants) {
			t.Fatalf("%s: got %v, want %d findings", c.what, got, len(c.wants))
		}
		for i, want := range c.wants {
			wantFinding(t, c.what+", "+got[i].About, got[i], want)
		}
	}
}

func connecting(timeout time.Duration) upstream.Config {
	cfg := upstream.DefaultConfig()
	cfg.Timeouts.Connect = timeout
	return cfg
}
