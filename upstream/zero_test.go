package upstream_test

import (
	"strings"
	"testing"

	"wxgate/upstream"
	"wxgate/upstream/upstreamtest"
)

func TestAWrittenZeroIsNeverTheDefault(t *testing.T) {
	t.Parallel()
	for key, zero := range map[string]func(*upstream.Config){
		"health.interval":        func(c *upstream.Config) { c.Health.Interval = 0 },
		"health.timeout":         func(c *upstream.Config) { c.Health.Timeout = 0 },
		"health.unhealthy_after": func(c *upstream.Config) { c.Health.UnhealthyAfter = 0 },
		"health.healthy_after":   func(c *upstream.Config) { c.Health.HealthyAfter = 0 },
		"outlier.eject":          func(c *upstream.Config) { c.Outlier.Eject = 0 },
		"breaker.min_requests":   func(c *upstream.Config) { c.Breaker.MinRequests = 0 },
		"breaker.window":         func(c *upstream.Config) { c.Breaker.Window = 0 },
		"breaker.open":           func(c *upstream.Config) { c.Breaker.Open = 0 },
		"timeouts.connect":       func(c *upstream.Config) { c.Timeouts.Connect = 0 },
		"timeouts.response":      func(c *upstream.Config) { c.Timeouts.Response = 0 },
		"timeouts.stream":        func(c *upstream.Config) { c.Timeouts.Stream = 0 },
		"timeouts.websocket":     func(c *upstream.Config) { c.Timeouts.WebSocket = 0 },
		"keepalive.max_conns":    func(c *upstream.Config) { c.Keepalive.MaxConns = 0 },
	} {
		cfg := upstream.DefaultConfig()
		_ = cfg.UnmarshalText([]byte("http://127.0.0.1:1"))
		zero(&cfg)
		faults := cfg.Validate()
		if len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), key+": 0 is not positive") {
			t.Errorf("%s: 0: faults are %v", key, faults)
		}
	}
}

func TestABreakerOfZeroNeverOpens(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, func(c *upstream.Config) { c.Breaker.Failures = 0 })
	r.services[0].Become(t, upstreamtest.Down)
	r.want("requests", r.answers("GET", 60), "map[503:60]")
	r.want("the gauge", r.metric("breaker_open"), 0)
}

func TestNobodyIsEjectedAfterZeroFailures(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *upstream.Config) { c.Outlier.ConsecutiveFailures, c.Breaker.Failures = 0, 0 })
	r.services[0].Become(t, upstreamtest.Down)
	r.services[1].Become(t, upstreamtest.Down)
	r.want("requests", r.answers("POST", 40), "map[503:40]")
	r.want("ejections", r.metric("ejections_total"), 0)
}

func TestWithoutATryTimeoutEverySuccessIsProofOfHealth(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *upstream.Config) { c.Retries.TryTimeout = 0 })
	for _, mood := range []upstreamtest.Mood{upstreamtest.Failing, upstreamtest.Well, upstreamtest.Failing} {
		r.services[0].Become(t, mood)
		_ = r.answers("POST", 8) // 4 of them at each
	}
	r.want("ejections", r.metric("ejections_total"), 0)
}

func TestNoConnectionIsKeptForZeroSeconds(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	u := newUpstream(t, service.URL, func(c *upstream.Config) { c.Keepalive.Idle = 0 })
	get(t, u, "/")
	get(t, u, "/")
	if got := service.Conns(); got != 2 {
		t.Errorf("2 requests took %d connections, want 2", got)
	}
}
