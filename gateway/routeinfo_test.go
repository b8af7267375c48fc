package gateway

import (
	"strings"
	"testing"
	"time"

	"wxgate/gateway/limit"
)

// rateLimits are the rate limits that Routes lists, by method and path.
func rateLimits(t *testing.T, cfg Config) map[string]string {
	t.Helper()
	all, err := Routes(cfg)
	if err != nil {
		t.Fatal(err)
	}
	limits := map[string]string{}
	for _, r := range all {
		limits[strings.Join(r.Methods, ",")+" "+r.Path] = r.RateLimit
	}
	return limits
}

func TestTheListOfRoutesShowsEveryLimitOfEveryEndpoint(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Upstreams = []string{"service"}
	cfg.CloudRun, cfg.PhoneByDecryption, cfg.PublicKeys, cfg.PushUpstreams = true, true, true, []string{"service"}
	cfg.Limits.Login = limit.BucketConfig{Per: limit.PerIP, Rate: limit.Rate{Count: 50, Per: time.Minute}, Burst: 31}
	cfg.Limits.Writes = limit.BucketConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 70, Per: time.Minute}, Burst: 32}
	cfg.Limits.DecryptFailures = limit.BucketConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 4, Per: time.Hour}, Burst: 11}
	cfg.Limits.Prefetch = limit.Rate{Count: 500, Per: time.Minute}
	cfg.Routes = []RouteConfig{
		{Path: "/prefetch", Upstream: "service", Auth: AuthPrefetch, RateLimit: RateLimitConfig{Per: limit.PerIP, Rate: limit.Rate{Count: 9, Per: time.Second}, Burst: 8}},
		{Path: "/prefetch/plain", Upstream: "service", Auth: AuthPrefetch},
		{Path: "/**", Upstream: "service", Auth: AuthRequired},
	}
	const logins, writes = "50/m burst 31 per ip, and per openid", "70/m burst 32 per user"
	const unopened = "4/h burst 11 per user for data that cannot be decrypted"
	const prefetches = "500/m burst 500 for all pre-fetches by code, 50/m burst 31 per openid"
	want := map[string]string{
		"POST /api/v1/auth/wx-login": logins, "POST /api/v1/auth/wechat-login": logins, "POST /api/v1/user/login": logins,
		"POST /api/v1/auth/cloud-login": logins, "POST /api/v1/auth/refresh": writes, "POST /api/v1/auth/logout": writes,
		"POST /api/v1/auth/decrypt": unopened, "POST /api/v1/auth/phone": writes + ", 6/h burst 3 per user, " + unopened,
		"GET /api/v1/auth/sessions": "", "DELETE /api/v1/auth/sessions/:id": writes, "GET /api/v1/user/profile": "",
		"DELETE /api/v1/user": writes, "GET /api/v1/user/export": writes,
		"PUT /api/v1/user/profile": writes, "GET /.well-known/jwks.json": "", "GET /healthz": "", "HEAD /healthz": "", "GET /": "",
		"HEAD /": "", "OPTIONS /": "", "GET /wechat/push": "", "POST /wechat/push": "",
		" /prefetch": "9/s burst 8 per ip, " + prefetches, " /prefetch/plain": prefetches, " /**": "",
	}
	got := rateLimits(t, cfg)
	for route, limit := range want {
		if got[route] != limit {
			t.Errorf("%s shows the limit %q, want %q", route, got[route], limit)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d routes %v, want %d", len(got), got, len(want))
	}
	cfg.PhoneByDecryption = false
	if got := rateLimits(t, cfg)["POST /api/v1/auth/phone"]; got != writes+", 6/h burst 3 per user" {
		t.Errorf("phone numbers by code alone show the limit %q", got)
	}
}
