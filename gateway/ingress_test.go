package gateway

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

// ofWeChatGateway are lines as 微信网关 sends them, of a capture: names in small letters, and the user's own address.
func ofWeChatGateway() []string {
	return []string{
		"x-wx-client-ip: 203.0.113.7", "x-wx-risk-rank: 0", "x-wx-device-risk-rank: 2", "x-wx-device-security-status: Unknown", "x-wx-device: a1b2",
		"x-wx-device-uv-1d: 1", "x-wx-device-uv-7d: 2", "x-wx-device-uv-30d: 3", "x-wx-sub-session: s", "x-wx-platform: ios", "x-wx-call-id: c-1",
		"x-wx-route-tag: t", "x-wx-access-version: 3", "x-wx-port: 443", "x-stgw-time: 1", "x-client-proto: https", "x-client-proto-ver: HTTP/2",
	}
}

// behind is a change that names the peers of this machine as exit nodes of 微信网关, or as other proxies.
func behind(t *testing.T, weChat, others bool) func(*Config) {
	t.Helper()
	here := []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
	return func(cfg *Config) {
		if weChat {
			cfg.Server.WeChatGateway = here
		}
		if others {
			cfg.Server.TrustedProxies = here
		}
	}
}

func TestWhatWeChatsGatewaySaysPassesFromItAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		what           string
		weChat, others bool
		want           []string
	}{
		{"a stranger", false, false, nil},
		{"another proxy", false, true, ofWeChatGateway()[14:]}, // scheme and time of the way
		{"微信网关", true, false, ofWeChatGateway()},
		{"微信网关 among proxies", true, true, ofWeChatGateway()},
	} {
		service := upstreamtest.Echo(t)
		e := newEdge(t, service.URL, behind(t, row.weChat, row.others))
		never := []string{
			"x-wx-openid: forged", "x-wx-unionid: forged", "x-wx-from-openid: forged", "x-wx-from-unionid: forged", "x-wx-appid: forged", "x-wx-from-appid: forged",
			"x-wx-source: forged", "x-wx-env: forged", "x-wx-cloudbase-access-token: forged", "x-wx-anything: forged", "x_wx_risk_rank: forged", "x-wx-risk_rank: forged",
			"x.wx.device: forged", "x-wx-risk-rank2: forged", "x-user-id: forged", "x-real-ip: forged",
		}
		e.send(t, head("GET /public/x", "", slices.Concat(ofWeChatGateway(), never)...))
		said := service.Requests()[0].Head()
		for _, line := range ofWeChatGateway() {
			if got := strings.Contains(said, "\r\n"+line+"\r\n"); got != slices.Contains(row.want, line) {
				t.Errorf("%s: %q reached the service: %v", row.what, line, got)
			}
		}
		if strings.Contains(said, "forged") {
			t.Errorf("%s: a forgery reached the service:\n%s", row.what, said)
		}
	}
}

func TestTheClientBehindWeChatsGatewayIsWhomItNames(t *testing.T) {
	t.Parallel()
	const nodes = "X-Forwarded-For: 192.0.2.99, 198.51.100.1"
	for _, row := range []struct {
		what    string
		weChat  bool
		named   string
		want    string // the status, with 203.0.113.0/24 denied
		service string
	}{
		{"the named one", true, "X-WX-Client-IP: 203.0.113.7", "403", ""},
		{"another one", true, "x-wx-client-ip: 192.0.2.1", "200", "192.0.2.1, 127.0.0.1"},
		{"one with a port", true, "x-wx-client-ip: [2001:db8::1]:443", "200", "2001:db8::1, 127.0.0.1"},
		{"nobody who can be read", true, "x-wx-client-ip: unknown", "403", ""},
		{"nobody", true, "X-A: b", "200", "192.0.2.99, 198.51.100.1, 127.0.0.1"},
		{"the word of another proxy", false, "X-WX-Client-IP: 203.0.113.7", "200", "192.0.2.99, 198.51.100.1, 127.0.0.1"},
	} {
		service := upstreamtest.Echo(t)
		e := newEdge(t, service.URL, func(cfg *Config) {
			behind(t, row.weChat, !row.weChat)(cfg)
			cfg.Limits.IP.Deny = []limit.Network{{Prefix: netPrefix(t, "203.0.113.0/24")}}
		})
		if got := e.statuses(t, 1, head("GET /public/x", "", row.named, nodes)); got != row.want {
			t.Errorf("%s: got %s, want %s", row.what, got, row.want)
		}
		if row.service != "" && len(service.Requests()) == 1 && service.Requests()[0].Field("X-Forwarded-For") != row.service {
			t.Errorf("%s: the service is told %q, want %q", row.what, service.Requests()[0].Field("X-Forwarded-For"), row.service)
		}
	}
}

// TestWeChatsGatewayIsNotCloudRun: what is believed of the one is not of the other, on a gateway that knows both.
func TestWeChatsGatewayIsNotCloudRun(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		weChat bool
		want   string
	}{{true, "401 198.51.100.7"}, {false, "200 192.0.2.66"}} {
		service := upstreamtest.Echo(t)
		e := newEdge(t, service.URL, func(cfg *Config) {
			behind(t, row.weChat, !row.weChat)(cfg)
			cfg.CloudRun = true
		})
		lines := []string{
			"X-WX-OPENID: oVictim", "X-WX-APPID: " + testAppID, "X-WX-SOURCE: wx_client", "X-Original-Forwarded-For: 192.0.2.66", "X-WX-Client-IP: 198.51.100.7",
		}
		login, _ := e.send(t, head("POST /api/v1/auth/cloud-login", "", append(lines, "Content-Length: 0")...))
		e.send(t, head("GET /public/x", "", lines...))
		client, _, _ := strings.Cut(service.Requests()[0].Field("X-Forwarded-For"), ",")
		if got := fmt.Sprint(login.StatusCode, " ", client); got != row.want {
			t.Errorf("by 微信网关 %v: got %s, want %s", row.weChat, got, row.want)
		}
	}
}

// TestWhomWeChatRanksHigherHasALimitOfTheirOwn counts by address; a rank is believed of 微信网关 alone.
func TestWhomWeChatRanksHigherHasALimitOfTheirOwn(t *testing.T) {
	t.Parallel()
	hourly := limit.Rate{Count: 1, Per: time.Hour}
	limits := func(cfg *Config) {
		cfg.Routes = append(
			cfg.Routes,
			RouteConfig{Path: "/both", Upstream: "service", Auth: AuthNone, RateLimit: RateLimitConfig{Per: limit.PerIP, Rate: hourly, Burst: 3, Risk: RiskConfig{3, hourly, 1}}},
			RouteConfig{Path: "/risk", Upstream: "service", Auth: AuthNone, RateLimit: RateLimitConfig{Per: limit.PerIP, Risk: RiskConfig{1, hourly, 1}}},
			RouteConfig{Path: "/user", Upstream: "service", Auth: AuthRequired, RateLimit: RateLimitConfig{Per: limit.PerUser, Risk: RiskConfig{3, hourly, 1}}},
		)
	}
	e := newEdge(t, upstreamtest.Echo(t).URL, func(cfg *Config) {
		behind(t, true, false)(cfg)
		limits(cfg)
	})
	alice := e.token(t, "alice")
	for _, row := range []struct{ path, token, rank, want string }{
		{"/both", "", "x-wx-risk-rank: 3", "200 429"},
		{"/both", "", "x-wx-device-risk-rank: 4", "429"},
		{"/both", "", "x-wx-risk-rank: 2", "200 200 200 429"}, // the other bucket
		{"/risk", "", "x-wx-risk-rank: 0", "200 200 200"},
		{"/risk", "", "x-wx-risk-rank: 5", "200"},
		{"/risk", "", "x-wx-risk-rank: high", "200"},
		{"/risk", "", "X-A: b", "200"},
		{"/risk", "", "x-wx-risk-rank: 0\r\nx-wx-device-risk-rank: 1", "200 429"},
		{"/user", alice, "x-wx-risk-rank: 3", "200 429"},
		{"/user", alice, "x-wx-risk-rank: 1", "200 200"},
	} {
		if got := e.statuses(t, strings.Count(row.want, " ")+1, head("GET "+row.path, row.token, "x-wx-client-ip: 192.0.2.1", row.rank)); got != row.want {
			t.Errorf("%s with %s: got %s, want %s", row.path, row.rank, got, row.want)
		}
	}
	r := e.snapshot.Load()
	cfg := r.cfg
	cfg.Server.WeChatGateway = []limit.Network{{Prefix: netPrefix(t, "192.0.2.0/24")}}
	cfg.Server.TrustedProxies = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
	e.reload(t, cfg, r.upstreams)
	if got := e.statuses(t, 3, head("GET /risk", "", "X-Forwarded-For: 192.0.2.77", "x-wx-risk-rank: 4")); got != "200 200 200" {
		t.Errorf("the rank of another proxy: got %s", got)
	}
	if got := rateLimits(t, cfg)[" /both"]; got != "1/h burst 3 per ip, 1/h burst 1 per ip from risk rank 3 on" {
		t.Errorf("the routes show %q", got)
	}
}

func TestHeadersOfAnUnknownGatewayAreWarnedOfOnce(t *testing.T) {
	t.Parallel()
	for weChat, want := range map[bool]int{false: 1, true: 0} {
		var log bytes.Buffer
		e := newEdgeWith(t, upstreamtest.Echo(t).URL, behind(t, weChat, true), func(d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		e.statuses(t, 2, head("GET /public/x", "", "x-wx-risk-rank: 4"))
		if got := strings.Count(log.String(), "server.wechat_gateway"); got != want {
			t.Errorf("%v: the log is\n%s", weChat, log.String())
		}
	}
}

func TestExplainKnowsWeChatsGateway(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Upstreams, cfg.Routes = []string{"service"}, []RouteConfig{{Path: "/a", Upstream: "service", Auth: AuthNone}}
	cfg.Server.WeChatGateway = []limit.Network{{Prefix: netPrefix(t, "198.51.100.0/24")}}
	for from, want := range map[string]string{
		"198.51.100.1": "192.0.2.1 [Host: h x-wx-client-ip: 192.0.2.1 x-wx-risk-rank: 3] [x-wx-openid looks like identity, which only the gateway may set]",
		"192.0.2.50":   "192.0.2.50 [Host: h] [x-wx-client-ip is for 微信网关 to say, and this peer is not in server.wechat_gateway",
	} {
		got, err := Explain(cfg, Question{
			Method: "GET", Target: "/a", Host: "h", Client: netip.MustParseAddr(from),
			Headers: []string{"x-wx-client-ip: 192.0.2.1", "x-wx-risk-rank: 3", "x-wx-openid: o"},
		})
		if said := fmt.Sprintf("%s %v %v", got.Client, got.Sent, got.Reasons); err != nil || !strings.HasPrefix(said, want) {
			t.Errorf("from %s: got %s, %v; want %s", from, said, err, want)
		}
	}
}
