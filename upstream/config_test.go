package upstream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/upstreamtest"
)

func TestGoodTargets(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"http://127.0.0.1:3000", "http://recipes", "http://recipes/", "https://recipes.example", "http://[::1]:3000",
		"http://[fe80::1%25eth0]:80", "https://recipes:8443", "unix:/run/recipes.sock",
	} {
		cfg := upstream.DefaultConfig()
		_ = cfg.UnmarshalText([]byte(url))
		if faults := cfg.Validate(); len(faults) > 0 {
			t.Errorf("%s: %v, want no fault", url, faults)
		}
	}
}

func TestBadTargetsAreNamedWithTheirPlace(t *testing.T) {
	t.Parallel()
	const place = "upstreams.recipes.targets[0]: "
	for url, want := range map[string]string{
		"ftp://x":              `"ftp://x" is not an http:// or https:// URL`,
		"127.0.0.1:3000":       `"127.0.0.1:3000" has no scheme: write http://127.0.0.1:3000`,
		"localhost:3000":       `"localhost:3000" has no scheme: write http://localhost:3000`,
		"[::1]:3000":           `"[::1]:3000" has no scheme: write http://[::1]:3000`,
		"u:secret@x:80":        "a user or password in the URL is not supported",
		"recipes":              `"recipes" has no scheme: write http://recipes`,
		"":                     `needs a URL`,
		"http://":              `"http://" has no host`,
		"http://:80":           `"http://:80" has no host`,
		"http://x/api":         `"http://x/api" has a path: a route's strip_prefix and rewrite change paths`,
		"http://x?a=b":         `"http://x?a=b" has a query or a fragment`,
		"http://x?":            `"http://x?" has a query or a fragment`,
		"http://x#":            `"http://x#" has a query or a fragment`,
		"http://x:0":           `"http://x:0" has a port that is not one of 1 to 65535`,
		"http://x:65536":       `"http://x:65536" has a port that is not one of 1 to 65535`,
		"http://u:secret@x":    "a user or password in the URL is not supported",
		"http://u:secret@x:8":  "a user or password in the URL is not supported",
		"http://u:s%zz@x":      "cannot be parsed, and a user or password in the URL is not supported",
		"http://[::1":          `"http://[::1" is not a URL`,
		"http://a b":           `"http://a b" is not a URL`,
		"unix:":                `"unix:": a Unix socket is named by its whole path, as in unix:/run/recipes.sock`,
		"unix:recipes.sock":    `"unix:recipes.sock": a Unix socket is named by its whole path, as in unix:/run/recipes.sock`,
		"unix:///run/a.sock":   `"unix:///run/a.sock": a Unix socket is named by its whole path, as in unix:/run/recipes.sock`,
		"unix:/run/../a.sock":  `"unix:/run/../a.sock": this is not the path of a Unix socket`,
		"unix:/run/a\x00.sock": `"unix:/run/a\x00.sock": this is not the path of a Unix socket`,
		"http://x\r\nHost: y":  `"http://x\r\nHost: y" is not a URL`,
	} {
		cfg := upstream.DefaultConfig()
		_ = cfg.UnmarshalText([]byte(url))
		if got := fmt.Sprint(cfg.Validate().At("upstreams.recipes")); got != "["+place+want+"]" {
			t.Errorf("%q: faults are\n%s, want\n[%s]", url, got, place+want)
		}
		if _, err := upstream.New("recipes", cfg, upstream.NewMetrics(prometheus.NewRegistry()), nil); err == nil {
			t.Errorf("%q: New took it", url)
		}
	}
}

func TestEveryFaultIsReported(t *testing.T) {
	t.Parallel()
	cfg := upstream.DefaultConfig()
	cfg.Targets = []upstream.Target{{URL: "http://a", Weight: 1001}, {URL: "ftp://b"}, {URL: "http://A:80"}}
	cfg.Balance, cfg.Health.Path, cfg.Health.Interval = "p2", "healthz", -1
	cfg.Retries.Attempts, cfg.Retries.Budget, cfg.Breaker.Failures = -1, 1.5, -0.1
	cfg.Timeouts.Connect, cfg.Timeouts.Response, cfg.Timeouts.Stream = -1, -1, -1
	cfg.Keepalive.MaxConns, cfg.Keepalive.Idle = -1, -1
	var got []string
	for _, fault := range cfg.Validate().At("u.x") {
		got = append(got, fault.Error())
	}
	want := `u.x.targets[0].weight: 1001 is not between 1 and 1000|` +
		`u.x.targets[1]: "ftp://b" is not an http:// or https:// URL|` +
		`u.x.targets[2]: is the same as targets[0]: raise its weight instead|` +
		`u.x.targets[2].weight: 0 is not between 1 and 1000: leave out a target that is to get no requests|` +
		`u.x.balance: "p2" is not one of round_robin, p2c, hash(user); did you mean "p2c"?|` +
		`u.x.health.path: "healthz" is not a path such as /healthz|` +
		"u.x.retries.budget: 150% is not between 0% and 100%, or 0 and 1|u.x.breaker.failures: -10% is not between 0% and 100%, or 0 and 1|" +
		"u.x.health.interval: is negative|u.x.retries.attempts: is negative|u.x.timeouts.connect: is negative|" +
		"u.x.timeouts.response: is negative|u.x.timeouts.stream: is negative|" +
		"u.x.keepalive.max_conns: is negative|u.x.keepalive.idle: is negative"
	if strings.Join(got, "|") != want {
		t.Errorf("faults are\n%s, want\n%s", strings.Join(got, "|"), want)
	}
}

func TestAnUpstreamNeedsATarget(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(upstream.DefaultConfig().Validate()); got != "[targets: needs a URL]" {
		t.Errorf("faults are %s, want that targets is missing", got)
	}
}

// Node and Nest close idle connections after five seconds.
func TestTheDefaultIdleTimeIsBelowThatOfNode(t *testing.T) {
	t.Parallel()
	if got := upstream.DefaultConfig().Keepalive.Idle; got > 4*time.Second {
		t.Errorf("keepalive.idle is %v, want at most 4s", got)
	}
}

func TestEveryExchangeIsMeasuredUnderItsUpstream(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := upstream.NewMetrics(reg)
	for name, url := range map[string]string{"good": upstreamtest.Echo(t).URL, "down": upstreamtest.Refused(t)} {
		cfg := upstream.DefaultConfig()
		_ = cfg.UnmarshalText([]byte(url))
		u, err := upstream.New(name, cfg, m, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(u.Close)
		_, _ = u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	durations := families[0]
	for _, f := range families {
		if f.GetName() == "wxgate_upstream_request_duration_seconds" {
			durations = f
		}
	}
	for _, series := range durations.GetMetric() {
		if got := series.GetHistogram().GetSampleCount(); got != 1 {
			t.Errorf("%v counts %d exchanges, want 1", series.GetLabel(), got)
		}
	}
	if got := len(durations.GetMetric()); got != 2 {
		t.Errorf("%d series, want one for each of 2 upstreams", got)
	}
}
