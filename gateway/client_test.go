package gateway

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

// TestAClientBehindAProxyThatWritesPortsIsNotTheProxy: the client silently became the proxy, so deny lists and login
// limits did not find it.
func TestAClientBehindAProxyThatWritesPortsIsNotTheProxy(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	service := upstreamtest.Echo(t)
	e := newEdgeWith(t, service.URL, func(cfg *Config) {
		cfg.Server.TrustedProxies = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}, {Prefix: netPrefix(t, "10.0.0.0/8")}}
		cfg.Limits.IP.Deny = []limit.Network{{Prefix: netPrefix(t, "203.0.113.0/24")}, {Prefix: netPrefix(t, "2001:db8::/32")}}
	}, func(d *Deps) { d.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	for value, want := range map[string]int{
		"203.0.113.7":                  403,
		"203.0.113.7:5123":             403,
		"[2001:db8::1]:443":            403,
		"[2001:db8::1]":                403,
		"::ffff:203.0.113.7":           403,
		"198.51.100.1, 203.0.113.7:80": 403,
		"203.0.113.7:80, 10.0.0.3:999": 403,
		"203.0.113.7, , ":              403,
		"203.0.113.7,198.51.100.1":     200,
		"198.51.100.1:80":              200,
		"[2001:db9::1]:443":            200,
		"":                             200, // the proxy's own request
		"unknown":                      403, // it could be one of those
		"203.0.113.7, unknown":         403,
		"unknown, 10.0.0.3":            403,
		"junk, 198.51.100.1":           200,
	} {
		if resp, body := e.send(t, head("GET /public/x", "", "X-Forwarded-For: "+value)); resp.StatusCode != want {
			t.Errorf("%q: %d %s, want %d", value, resp.StatusCode, body, want)
		}
	}
	if resp, _ := e.send(t, head("GET /healthz", "", "X-Forwarded-For: unknown")); resp.StatusCode != http.StatusOK {
		t.Errorf("health for an unknown client: %d", resp.StatusCode)
	}
	if said := log.String(); strings.Count(said, "a proxy names no address of its client") != 1 || !strings.Contains(said, `"value":"unknown"`) {
		t.Errorf("the log says\n%s", said)
	}
}

// TestUnknownClientsShareOneLimit: a name that cannot be read is no bucket of its own, and none of the proxy's.
func TestUnknownClientsShareOneLimit(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, func(cfg *Config) {
		cfg.Server.TrustedProxies = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
		cfg.Routes = []RouteConfig{{Path: "/**", Upstream: "service", Auth: AuthNone, RateLimit: RateLimitConfig{Per: limit.PerIP, Rate: limit.Rate{Count: 1, Per: time.Hour}, Burst: 3}}}
	})
	for i, row := range []struct {
		from string
		want int
	}{
		{"unknown", 200},
		{"_a", 200},
		{"junk:junk", 200},
		{"_b", 429},
		{"unknown", 429},
		{"203.0.113.7:1", 200},
		{"203.0.113.7:2", 200},
		{"::ffff:203.0.113.7", 200},
		{"203.0.113.7", 429},
		{"[2001:db8::1]:1", 200},
		{"2001:db8::2", 200},
		{"[2001:db8::3%eth0]:1", 200},
		{"2001:db8::4", 429},
		{"", 200},
	} {
		if resp, _ := e.send(t, head("GET /x", "", "X-Forwarded-For: "+row.from)); resp.StatusCode != row.want {
			t.Errorf("%d, %q: %d, want %d", i, row.from, resp.StatusCode, row.want)
		}
	}
}

// TestAProxyProtocolHeaderOfNobodyIsNoTrustedProxy: what a client says on such a connection is no proxy's word.
func TestAProxyProtocolHeaderOfNobodyIsNoTrustedProxy(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Server.TrustedProxies = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
		cfg.Server.ProxyProtocol = true
	})
	const forged = "X-Forwarded-For: 198.51.100.1"
	for name, row := range map[string]struct{ header, want string }{
		"v1 unknown":          {"PROXY UNKNOWN\r\n", "unknown"},
		"v2 unspecified":      {"\r\n\r\n\x00\r\nQUIT\n\x21\x00\x00\x00", "unknown"},
		"v2 of a Unix socket": {"\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\xd8" + strings.Repeat("\x00", 216), "unknown"},
		"v2 local":            {"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "198.51.100.1, 127.0.0.1"},
		"v1 of a client":      {"PROXY TCP4 203.0.113.7 192.0.2.1 4000 80\r\n", "203.0.113.7"},
	} {
		before := len(service.Requests())
		resp, body := e.send(t, row.header+head("GET /public/x", "", forged))
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", name, resp.StatusCode, body)
		}
		if got := service.Requests()[before].Field("X-Forwarded-For"); got != row.want {
			t.Errorf("%s: the service hears of %q, want %q", name, got, row.want)
		}
	}
}
