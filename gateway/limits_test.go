package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

// limited has one route of each kind of limit; behind a trusted proxy, so that X-Forwarded-For says who asks.
func limited(t *testing.T, change func(*Config)) (*edge, *upstreamtest.Service) {
	t.Helper()
	service := upstreamtest.Echo(t)
	return newEdge(t, service.URL, func(cfg *Config) {
		cfg.Server.TrustedProxies = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
		route := func(path string, auth AuthMode, per RateLimitConfig) {
			cfg.Routes = append(cfg.Routes, RouteConfig{Path: path, Upstream: "service", Auth: auth, RateLimit: per})
		}
		route("/by-user/**", AuthRequired, RateLimitConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 6, Per: time.Hour}, Burst: 2})
		route("/by-anybody/**", AuthOptional, RateLimitConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 6, Per: time.Hour}, Burst: 2})
		route("/by-ip/**", AuthNone, RateLimitConfig{Per: limit.PerIP, Rate: limit.Rate{Count: 6, Per: time.Hour}, Burst: 2})
		route("/by-route/**", AuthNone, RateLimitConfig{Per: limit.PerRoute, Rate: limit.Rate{Count: 6, Per: time.Hour}, Burst: 2})
		if change != nil {
			change(cfg)
		}
	}), service
}

// statuses sends a request so often and writes the statuses down.
func (e *edge) statuses(t *testing.T, n int, request string) string {
	t.Helper()
	var all []string
	for range n {
		resp, _ := e.send(t, request)
		all = append(all, strconv.Itoa(resp.StatusCode))
	}
	return strings.Join(all, " ")
}

func TestALimitCountsWhomItSays(t *testing.T) {
	t.Parallel()
	e, service := limited(t, nil)
	alice, bob := e.token(t, "alice"), e.token(t, "bob")
	from := func(address string) string { return "X-Forwarded-For: " + address }
	for _, row := range []struct{ what, request, want string }{
		{"alice", head("GET /by-user/x", alice, from("192.0.2.1")), "200 200 429"},
		{"alice from elsewhere", head("GET /by-user/x", alice, from("192.0.2.2")), "429"},
		{"bob from there", head("GET /by-user/x", bob, from("192.0.2.1")), "200 200 429"},
		{"nobody is no user", head("GET /by-user/x", "", from("192.0.2.1")), "401 401 401"},
		{"where nobody may pass", head("GET /by-anybody/x", "", from("192.0.2.1")), "200 200 429"},
		{"another nobody", head("GET /by-anybody/x", "", from("192.0.2.2")), "200"},
		{"alice among them", head("GET /by-anybody/x", alice, from("192.0.2.1")), "200 200 429"},
		{"an address", head("GET /by-ip/x", alice, from("192.0.2.1")), "200 200 429"},
		{"another address", head("GET /by-ip/x", alice, from("192.0.2.2")), "200"},
		{"a subscriber of IPv6", head("GET /by-ip/x", "", from("2001:db8::1")), "200 200 429"},
		{"another address of hers", head("GET /by-ip/x", "", from("2001:db8::ffff")), "429"},
		{"everybody", head("GET /by-route/x", alice, from("192.0.2.1")), "200 200 429"},
		{"everybody else", head("GET /by-route/x", bob, from("192.0.2.2")), "429"},
	} {
		before := len(service.Requests())
		got := e.statuses(t, strings.Count(row.want, " ")+1, row.request)
		if got != row.want {
			t.Errorf("%s: got %s, want %s", row.what, got, row.want)
		}
		if reached := len(service.Requests()) - before; reached != strings.Count(row.want, "200") {
			t.Errorf("%s: %d requests reached the service", row.what, reached)
		}
	}
}

func TestALimitSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	e, _ := limited(t, nil)
	for i, want := range []string{
		`200 "ip";q=2;w=1200 "ip";r=1;t=600 `,
		`200 "ip";q=2;w=1200 "ip";r=0;t=1200 `,
		`429 "ip";q=2;w=1200 "ip";r=0;t=1200 600`,
	} {
		resp, _ := e.send(t, head("GET /by-ip/x", ""))
		h := resp.Header
		got := fmt.Sprintf("%d %s %s %s", resp.StatusCode, h.Get("RateLimit-Policy"), h.Get("RateLimit"), h.Get("Retry-After"))
		if got != want {
			t.Errorf("request %d: got %s, want %s", i+1, got, want)
		}
	}
	if resp, _ := e.send(t, head("GET /public/x", "")); resp.Header.Get("RateLimit") != "" {
		t.Errorf("a route without a limit says %q", resp.Header.Get("RateLimit"))
	}
	refused, keys := e.count(t, "wxgate_rate_limited_total", `per="ip"`, `route="/by-ip/**"`), e.count(t, "wxgate_rate_limit_keys")
	if refused != 1 || keys != 1 {
		t.Errorf("the metrics tell of %v refusals and %v clients, want 1 and 1", refused, keys)
	}
}

func TestTheFieldsOfAServiceStayBesideOurs(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Fixed(t, "HTTP/1.1 200 OK\r\nRateLimit: \"own\";r=5\r\nContent-Length: 0\r\n\r\n")
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes[1].RateLimit = RateLimitConfig{Per: limit.PerRoute, Rate: limit.Rate{Count: 60, Per: time.Minute}, Burst: 10}
	})
	resp, _ := e.send(t, head("GET /public/x", ""))
	if got := strings.Join(resp.Header.Values("RateLimit"), ", "); got != `"own";r=5, "route";r=9;t=1` {
		t.Errorf("got %s", got)
	}
}

func TestLoginsAreLimitedByAddressAndByOpenID(t *testing.T) {
	t.Parallel()
	e, _ := limited(t, func(cfg *Config) {
		cfg.Limits.Login = limit.BucketConfig{Per: limit.PerIP, Rate: limit.Rate{Count: 6, Per: time.Hour}, Burst: 2}
	})
	login := func(person, address string) string {
		body := fmt.Sprintf(`{"code":%q}`, e.weChat.IssueCode(person))
		resp, answer := e.send(t, head("POST /api/v1/auth/wx-login", "", "X-Forwarded-For: "+address,
			"Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body)))+body)
		got := strconv.Itoa(resp.StatusCode)
		if resp.StatusCode == http.StatusTooManyRequests {
			seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
			got += " " + strconv.FormatBool(seconds > 500 && seconds <= 600) + " " + strconv.FormatBool(strings.Contains(answer, "rate_limited"))
		}
		return got
	}
	for _, row := range [][3]string{
		{"alice", "192.0.2.1", "200"},
		{"bob", "192.0.2.1", "200"},
		{"carol", "192.0.2.1", "429 true true"}, // the address
		{"alice", "192.0.2.2", "200"},
		{"alice", "192.0.2.3", "429 true true"}, // the openid
		{"carol", "192.0.2.3", "200"},
	} {
		if got := login(row[0], row[1]); got != row[2] {
			t.Errorf("%s from %s: got %s, want %s", row[0], row[1], got, row[2])
		}
	}
	if calls := e.weChat.Stats().APIs["jscode2session"].Calls; calls != 5 {
		t.Errorf("WeChat was asked %d times, want 5: an address is refused before", calls)
	}
	for _, per := range []string{`per="ip"`, `per="openid"`} {
		if got := e.count(t, "wxgate_rate_limited_total", per); got != 1 {
			t.Errorf("%s: %v refusals are counted, want 1", per, got)
		}
	}
}

// TestAnOpenIDThatLogsInAllTheTimeLeavesFewSessionsToRemember logs in from ever new addresses.
func TestAnOpenIDThatLogsInAllTheTimeLeavesFewSessionsToRemember(t *testing.T) {
	t.Parallel()
	want := limit.BucketConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 1, Per: time.Hour}, Burst: 40}
	e, _ := limited(t, func(cfg *Config) { cfg.Limits.Sessions = want })
	begun, last := 0, ""
	for i := range want.Burst + 5 {
		body := fmt.Sprintf(`{"code":%q}`, e.weChat.IssueCode("mallory"))
		resp, answer := e.send(t, head("POST /api/v1/auth/wx-login", "", fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i),
			"Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body)))+body)
		if last = answer; resp.StatusCode == http.StatusOK {
			begun++
		}
	}
	if begun != want.Burst || !strings.Contains(last, "rate_limited") {
		t.Errorf("%d sessions began, the last answer is %s; want %d and rate_limited", begun, last, want.Burst)
	}
	if got := e.count(t, "wxgate_rate_limited_total", `per="session"`); got != 5 {
		t.Errorf("%v refusals are counted, want 5", got)
	}
}

func TestAReloadKeepsTheLimitsThatItDidNotChange(t *testing.T) {
	t.Parallel()
	e, _ := limited(t, nil)
	request := head("GET /by-ip/x", "")
	if got := e.statuses(t, 3, request); got != "200 200 429" {
		t.Fatalf("got %s", got)
	}
	r := e.snapshot.Load()
	cfg := r.cfg
	cfg.Routes = append([]RouteConfig{{Path: "/new", Upstream: "service", Auth: AuthNone}}, cfg.Routes...)
	e.reload(t, cfg, r.upstreams)
	if got := e.statuses(t, 1, request); got != "429" {
		t.Errorf("after a reload: got %s, want 429", got)
	}
	for i := range cfg.Routes {
		cfg.Routes[i].RateLimit.Burst *= 2
	}
	e.reload(t, cfg, r.upstreams)
	if got := e.statuses(t, 1, request); got != "200" {
		t.Errorf("after a reload with another burst: got %s, want 200", got)
	}
}

func TestAddressesAreLetInByTheirLists(t *testing.T) {
	t.Parallel()
	networks := func(texts ...string) (all []limit.Network) {
		for _, text := range texts {
			var n limit.Network
			if err := n.UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
			all = append(all, n)
		}
		return all
	}
	e, _ := limited(t, func(cfg *Config) {
		cfg.Limits.IP = limit.AddressConfig{
			Allow: networks("192.0.2.0/24", "2001:db8::/32", "203.0.113.5"),
			Deny:  networks("192.0.2.128/25", "2001:db8:bad::/48", "::ffff:192.0.2.7"),
		}
	})
	for address, want := range map[string]string{
		"192.0.2.1": "200", "192.0.2.7": "403", "192.0.2.200": "403", "203.0.113.5": "200", "203.0.113.6": "403",
		"2001:db8::1": "200", "2001:db8:bad::1": "403", "2001:db9::1": "403", "::ffff:192.0.2.1": "200",
	} {
		if got := e.statuses(t, 1, head("GET /public/x", "", "X-Forwarded-For: "+address)); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
	resp, body := e.send(t, head("GET /public/x", "", "X-Forwarded-For: 203.0.113.6"))
	if resp.StatusCode != 403 || !strings.Contains(body, `"reason":"ip_denied"`) {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	if got := e.statuses(t, 1, head("GET /healthz", "", "X-Forwarded-For: 203.0.113.6")); got != "200" {
		t.Errorf("/healthz: got %s, want 200 for all", got)
	}
	for _, text := range []string{"", "10.0.0.0/33", "example.com", "10.0.0", "10.0.0.0/-1", "a/8"} {
		if err := new(limit.Network).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a network", text)
		}
	}
}

func TestAProxyProtocolHeaderIsTheClientForLimitsAndServices(t *testing.T) {
	t.Parallel()
	e, service := limited(t, func(cfg *Config) { cfg.Server.ProxyProtocol = true })
	proxied := func(address, request string) string {
		return fmt.Sprintf("PROXY TCP4 %s 10.0.0.1 8000 80\r\n%s", address, request)
	}
	forged := head("GET /by-ip/x", "", "X-Forwarded-For: 6.6.6.6")
	if got := e.statuses(t, 3, proxied("192.0.2.1", forged)); got != "200 200 429" {
		t.Errorf("one client: got %s", got)
	}
	if got := e.statuses(t, 1, proxied("192.0.2.2", forged)); got != "200" {
		t.Errorf("another one: got %s", got)
	}
	if got := service.Requests()[0].Field("X-Forwarded-For"); got != "192.0.2.1" {
		t.Errorf("the service is told %q, want 192.0.2.1: the client is no proxy", got)
	}
	if got := e.statuses(t, 1, forged); got != "400" {
		t.Errorf("without a header: got %s, want 400", got)
	}
}

func TestCloudRunSaysWhoTheClientIs(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		e, service := limited(t, func(cfg *Config) { cfg.CloudRun, cfg.Server.TrustedProxies = on, nil })
		request := head("GET /by-ip/x", "", "X-Original-Forwarded-For: 6.6.6.6, 192.0.2.1", "X-Forwarded-For: 10.1.2.3")
		other := strings.ReplaceAll(request, "192.0.2.1", "192.0.2.2")
		got := e.statuses(t, 3, request) + " " + e.statuses(t, 1, other)
		want, chain := "200 200 429 429", "127.0.0.1"
		if on {
			want, chain = "200 200 429 200", "6.6.6.6, 192.0.2.1, 127.0.0.1"
		}
		if got != want {
			t.Errorf("cloud_run %v: got %s, want %s", on, got, want)
		}
		req := service.Requests()[0]
		if req.Field("X-Forwarded-For") != chain || req.Field("X-Original-Forwarded-For") != "" {
			t.Errorf("cloud_run %v: the service is told %q and %q", on, req.Field("X-Forwarded-For"), req.Field("X-Original-Forwarded-For"))
		}
	}
}

func netPrefix(t *testing.T, cidr string) netip.Prefix {
	t.Helper()
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
