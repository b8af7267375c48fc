package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/authn/issuer"
	"wxgate/gateway/limit"
	"wxgate/input"
	"wxgate/upstream/upstreamtest"
)

func TestEqualRoutesAreNamedBoth(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Upstreams = []string{"service"}
	route := func(host, path string, methods ...string) RouteConfig {
		return RouteConfig{Host: host, Path: path, Methods: methods, Upstream: "service", Auth: AuthNone}
	}
	cfg.Routes = []RouteConfig{
		route("", "/a/:id"), route("api.example.com", "/a/:id"), route("API.example.com", "/a/:name", "GET"),
		route("", "/a/:id", "GET"), route("", "/A/:other"), route("Api.example.com", "/a/:x"),
	}
	var got []string
	for _, fault := range cfg.Validate() {
		got = append(got, fault.Error())
	}
	want := []string{
		"routes[4].path: every method of /A/:other is what routes[0] (/a/:id) says too; which one is meant?",
		"routes[5].path: every method of api.example.com/a/:x is what routes[1] (api.example.com/a/:id) says too; which one is meant?",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAHostOfItsOwnDoesNotTakeAnEndpoint(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes,
			RouteConfig{Host: "api.example.com", Path: "/**", Upstream: "service", Auth: AuthNone},
			RouteConfig{Host: "*.example.com", Path: "/api/v1/auth/logout", Upstream: "service", Auth: AuthNone},
			RouteConfig{Path: "/", Upstream: "service", Auth: AuthNone})
	})
	for _, row := range []struct {
		line      string
		forwarded bool
	}{
		{"GET /healthz", false},
		{"POST /api/v1/auth/wx-login", false},
		{"POST /api/v1/auth/logout", true}, // spelled out for this host
		{"GET /api/v1/user/other", true},
		{"GET /", true}, // spelled out for any host, so no endpoint is in the way
	} {
		before := len(service.Requests())
		e.send(t, head(row.line, "", "Content-Length: 0"))
		if got := len(service.Requests()) > before; got != row.forwarded {
			t.Errorf("%s: forwarded %v, want %v", row.line, got, row.forwarded)
		}
	}
}

func TestARouteChangesWhatItsServiceGets(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = []RouteConfig{{
			Path: "/shop/:id/**", Upstream: "service", Auth: AuthNone, Rewrite: "/v2/:id/**",
			Headers: RouteHeaders{Set: map[string]string{"X-Api-Key": "s3cret", "Authorization": "Basic abc"}, Remove: []string{"Cookie", "accept-language"}},
		}}
	})
	e.send(t, head("GET /shop/%37/x?y=%2f", "token", "X_API_KEY: forged", "x-api-key: forged", "Cookie: a=b", "Accept-Language: zh", "Accept: */*"))
	req := service.Requests()[0]
	if req.Target != "/v2/%37/x?y=%2f" {
		t.Errorf("target: got %s", req.Target)
	}
	for name, want := range map[string]string{
		"X-Api-Key": "s3cret", "Authorization": "Basic abc", "Cookie": "", "Accept-Language": "", "Accept": "*/*", "X_API_KEY": "",
	} {
		if got := req.Field(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestARouteCannotChangeWhatIsOurs(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Identity.Signed.Header = "X-Identity"
	for _, name := range []string{
		"X-User-Id", "x_user_openid", "X-Identity", "X-WX-OPENID", "Host", "Content-Length", "Transfer-Encoding", "Connection",
		"Keep-Alive", "Te", "Trailer", "Upgrade", "Proxy-Authorization", "X-Forwarded-For", "Forwarded", "Via", "X-Request-Id",
		"Sec-WebSocket-Key", "X-Real-Ip", "Expect", "a b", "",
	} {
		removed := RouteHeaders{Remove: []string{name}}.validate(newReservedHeaders(cfg).refusesInRequest)
		set := RouteHeaders{Set: map[string]string{name: "x"}}.validate(newReservedHeaders(cfg).refusesInRequest)
		if len(removed) != 1 || len(set) != 1 {
			t.Errorf("%q: got %v and %v, want one fault each", name, removed, set)
		}
	}
	var values input.Faults
	for _, value := range []string{" x", "x ", "a\r\nb", "a\x00b", "菜谱"} {
		values = append(values, RouteHeaders{Set: map[string]string{"X-Key": value}}.validate(newReservedHeaders(cfg).refusesInRequest)...)
	}
	values = append(values, RouteHeaders{Set: map[string]string{"X-Key": "x"}, Remove: []string{"x_key"}}.validate(newReservedHeaders(cfg).refusesInRequest)...)
	if len(values) != 6 {
		t.Errorf("got %v, want six faults", values)
	}
}

func TestARouteAnswersByItself(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes,
			RouteConfig{Path: "/robots.txt", Auth: AuthNone, Respond: fixedAnswer{200, "User-agent: *\nDisallow: /\n"}},
			RouteConfig{Path: "/old/**", Auth: AuthNone, Respond: fixedAnswer{410, `{"gone":true}`}},
			RouteConfig{Path: "/nothing", Auth: AuthNone, Respond: fixedAnswer{Status: 204}},
			RouteConfig{Path: "/closed", Auth: AuthRequired, Respond: fixedAnswer{Status: 200}})
	})
	for line, want := range map[string]string{
		"GET /robots.txt":  "200 text/plain; charset=utf-8 User-agent: *\nDisallow: /\n",
		"HEAD /robots.txt": "200 text/plain; charset=utf-8 ",
		"POST /old/x":      `410 application/json; charset=utf-8 {"gone":true}`,
		"GET /nothing":     "204  ",
	} {
		resp, body := e.sendNoBody(t, line)
		if got := fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Header.Get("Content-Type"), body); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
	if resp, _ := e.send(t, head("GET /closed", "")); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("GET /closed: %d, want 401", resp.StatusCode)
	}
	if n := len(service.Requests()); n > 0 {
		t.Errorf("%d requests reached the service", n)
	}
}

// sendNoBody sends a request as a client that knows that HEAD has no body.
func (e *edge) sendNoBody(t *testing.T, line string) (*http.Response, string) {
	t.Helper()
	if !strings.HasPrefix(line, "HEAD") {
		return e.send(t, head(line, "", "Content-Length: 0"))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+e.addr+strings.Fields(line)[1], nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp, ""
}

func TestFaultsOfRoutesAndLimitsSayWhere(t *testing.T) {
	t.Parallel()
	per := func(whom string) RateLimitConfig {
		return RateLimitConfig{Per: whom, Rate: limit.Rate{Count: 60, Per: time.Minute}, Burst: 1}
	}
	for want, change := range map[string]func(*Config){
		`routes[0].host: "a:80" is not a host`:                            func(c *Config) { c.Routes[0].Host = "a:80" },
		`routes[0].rewrite: "/b/:x": :x is no segment of the path`:        func(c *Config) { c.Routes[0].Rewrite = "/b/:x" },
		`routes[0].rewrite: conflicts with strip_prefix`:                  func(c *Config) { c.Routes[0].Rewrite, c.Routes[0].StripPrefix = "/b", "/a" },
		`routes[0].respond: conflicts with upstream; keep one of the two`: func(c *Config) { c.Routes[0].Respond.Status = 200 },
		`routes[0].respond.status: 199 is not between 200 and 599`:        func(c *Config) { c.Routes[0].Upstream, c.Routes[0].Respond.Status = "", 199 },
		`routes[0].respond.body: is there without a status`:               func(c *Config) { c.Routes[0].Upstream, c.Routes[0].Respond.Body = "", "x" },
		`routes[0].respond.body: an answer with status 204 has none`:      func(c *Config) { c.Routes[0].Upstream, c.Routes[0].Respond = "", fixedAnswer{204, "x"} },
		`routes[0].rate_limit.per: "team" is not one of user, ip, route`:  func(c *Config) { c.Routes[0].RateLimit = per("team") },
		`routes[0].rate_limit.per: user needs to know the user`:           func(c *Config) { c.Routes[0].RateLimit, c.Routes[0].Auth = per(limit.PerUser), AuthNone },
		`routes[0].rate_limit.burst: want how many may come at once, such as 60`: func(c *Config) {
			c.Routes[0].RateLimit = RateLimitConfig{Per: limit.PerIP, Rate: limit.Rate{Count: 1, Per: time.Second}, Burst: 0}
		},
		`routes[0].rate_limit.rate: is not a positive rate`: func(c *Config) {
			c.Routes[0].RateLimit = RateLimitConfig{Per: limit.PerIP, Rate: limit.Rate{}, Burst: 1}
		},
		`routes[0].rate_limit.quota: is of one user: write per: user`: func(c *Config) { c.Routes[0].RateLimit = RateLimitConfig{Per: limit.PerIP, Quota: 20} },
		`routes[0].rate_limit.quota: needs to know the user of every request`: func(c *Config) {
			c.Routes[0].RateLimit, c.Routes[0].Auth = RateLimitConfig{Per: limit.PerUser, Quota: 20}, AuthOptional
		},
		`routes[0].rate_limit.quota: conflicts with issuer`: func(c *Config) {
			c.Routes[0].RateLimit, c.Routes[0].Issuer = RateLimitConfig{Per: limit.PerUser, Quota: 20}, "admin"
			c.Issuers = []issuer.Config{{Name: "admin"}}
		},
		`routes[0].rate_limit.quota_name: is there without a quota`: func(c *Config) {
			c.Routes[0].RateLimit = per(limit.PerUser)
			c.Routes[0].RateLimit.QuotaName = "ai"
		},
		`routes[0].rate_limit.quota_open: is there without a quota`: func(c *Config) {
			c.Routes[0].RateLimit = per(limit.PerUser)
			c.Routes[0].RateLimit.QuotaOpen = true
		},
		`routes[0].rate_limit.quota_name: "a b" is not 1 to 64 visible ASCII`: func(c *Config) {
			c.Routes[0].RateLimit = RateLimitConfig{Per: limit.PerUser, Quota: 20, QuotaName: "a b"}
		},
		`routes[1].rate_limit.quota: differs from that of routes[0], which has the same name "ai"`: func(c *Config) {
			c.Routes[0].RateLimit = RateLimitConfig{Per: limit.PerUser, Quota: 20, QuotaName: "ai"}
			c.Routes = append(c.Routes, RouteConfig{Path: "/b", Upstream: "service", Auth: AuthRequired, RateLimit: RateLimitConfig{Per: limit.PerUser, Quota: 30, QuotaName: "ai"}})
		},
		`routes[0].rate_limit.risk: needs server.wechat_gateway`: func(c *Config) {
			c.Routes[0].RateLimit = RateLimitConfig{Per: limit.PerIP, Risk: RiskConfig{3, limit.Rate{Count: 1, Per: time.Minute}, 1}}
		},
		`routes[0].rate_limit.risk.rank: 5 is not between 1 and 4`: func(c *Config) {
			c.Server.WeChatGateway = []limit.Network{{}}
			c.Routes[0].RateLimit = RateLimitConfig{Per: limit.PerIP, Risk: RiskConfig{5, limit.Rate{Count: 1, Per: time.Minute}, 1}}
		},
		`routes[0].rate_limit.risk.burst: want how many may come at once, such as 60`: func(c *Config) {
			c.Server.WeChatGateway = []limit.Network{{}}
			c.Routes[0].RateLimit = RateLimitConfig{Per: limit.PerIP, Risk: RiskConfig{3, limit.Rate{Count: 1, Per: time.Minute}, 0}}
		},
		`routes[0].headers.set.Host: Host is set by the gateway itself`: func(c *Config) { c.Routes[0].Headers.Set = map[string]string{"Host": "x"} },
		`routes[0].headers.remove[0]: X-User-Id says who is calling`:    func(c *Config) { c.Routes[0].Headers.Remove = []string{"X-User-Id"} },
		`limits.in_flight: -1 is not between 0 and 1000000`:             func(c *Config) { c.Limits.InFlight = -1 },
		`limits.login.per: "user" is not one of ip`:                     func(c *Config) { c.Limits.Login.Per = limit.PerUser },
		`server.proxy_protocol: needs server.trusted_proxies`:           func(c *Config) { c.Server.ProxyProtocol = true },
	} {
		cfg := DefaultConfig()
		cfg.Upstreams = []string{"service"}
		cfg.Routes = []RouteConfig{{Path: "/a", Upstream: "service", Auth: AuthRequired}}
		change(&cfg)
		faults := cfg.Validate()
		if len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), want) {
			t.Errorf("got %v, want only %q", faults, want)
		}
	}
}

// bigConfig has so many routes, half of them for hosts.
func bigConfig(routes int) Config {
	cfg := DefaultConfig()
	cfg.Upstreams = []string{"service"}
	for i := range routes {
		r := RouteConfig{Path: fmt.Sprintf("/api/v1/service%d/:id", i), Upstream: "service", Auth: AuthRequired}
		if i%2 == 1 {
			r.Host = fmt.Sprintf("h%d.example.com", i%10)
		}
		cfg.Routes = append(cfg.Routes, r)
	}
	return cfg
}

// BenchmarkLoad validates a configuration and makes it ready.
func BenchmarkLoad(b *testing.B) {
	for _, routes := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("routes=%d", routes), func(b *testing.B) {
			g := newUnopenedFor(b, bigConfig(0))
			cfg := bigConfig(routes)
			for b.Loop() {
				if faults := cfg.Validate(); len(faults) > 0 {
					b.Fatal(faults)
				}
				if _, err := g.newSnapshot(cfg, Change{Upstreams: offlineUpstreams([]string{"service"})}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func newUnopenedFor(tb testing.TB, cfg Config) *pipeline {
	tb.Helper()
	g, err := newOfflinePipeline(cfg, io.Discard)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func BenchmarkMatchWithHosts(b *testing.B) {
	for _, routes := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("routes=%d", routes), func(b *testing.B) {
			g := newUnopenedFor(b, bigConfig(routes))
			host, path := []byte("h5.example.com:443"), []byte("/api/v1/service5/42")
			t := g.snapshot.Load().routes
			b.ReportAllocs()
			for b.Loop() {
				if r, ok := t.Find(host, "GET", path); !ok || r.pattern != "h5.example.com/api/v1/service5/:id" {
					b.Fatal(r, ok)
				}
			}
		})
	}
}
