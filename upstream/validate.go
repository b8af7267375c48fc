package upstream

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"wxgate/input"
	"wxgate/upstream/http1"
)

// maxWeight is the largest weight of a target.
const maxWeight = 1000

// Validate returns every fault of the configuration. It opens no file and no connection.
func (c Config) Validate() input.Faults {
	f := c.validateTargets()
	f.OneOf("balance", c.Balance, policyRoundRobin, policyP2C, policyHashUser)
	if !validHost(c.Host) {
		f.Add("host", "%q is not %s, %s or a name such as recipes.example.com", c.Host, hostClient, hostTarget)
	}
	if p := c.Health.Path; p != "" && (p[0] != '/' || strings.ContainsFunc(p, notInPath)) {
		f.Add("health.path", "%q is not a path such as /healthz", p)
	}
	c.Retries.Budget.validate(&f, "retries.budget")
	c.Breaker.Failures.validate(&f, "breaker.failures")
	c.validateTLS(&f)
	c.validateLimits(&f)
	return f
}

func (s share) validate(f *input.Faults, path string) {
	if !(s >= 0 && s <= 1) { // NaN is neither
		f.Add(path, "%v is not between 0%% and 100%%, or 0 and 1", s)
	}
}

func (c Config) validateTLS(f *input.Faults) {
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		f.Add("tls", "cert and key belong together")
	}
	if name := c.TLS.ServerName; strings.ContainsFunc(name, notInName) && net.ParseIP(name) == nil {
		f.Add("tls.server_name", "%q is not a name such as recipes.example.com", name)
	}
	for i, pin := range c.TLS.SPKI {
		if !http1.ValidPin(pin) {
			f.Add(fmt.Sprintf("tls.spki[%d]", i), "%q is not the base64 of a SHA-256, 44 characters without a prefix: docs/resilience.md says how to get one", pin)
		}
	}
	secured := func(t Target) bool { return strings.HasPrefix(strings.ToLower(t.URL), "https:") }
	if !c.TLS.Equal(http1.TLS{}) && !slices.ContainsFunc(c.Targets, secured) {
		f.Add("tls", "has no effect: no target is https://")
	}
}

// validHost takes what may stand in a Host field: a name or an address, with or without a port.
func validHost(host string) bool {
	if host == "" {
		return true
	}
	u, err := url.Parse("http://" + host)
	return err == nil && u.Host == host && input.IsHost(u.Hostname())
}

func notInName(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/:@[]*?#", r) }

func notInPath(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }

// validateLimits reports the durations and numbers that are too small. A zero is one of those whose meaning the field
// does not give: it could pass for the default.
func (c Config) validateLimits(f *input.Faults) {
	for _, limit := range []struct {
		key   string
		value int64
		least int64
	}{
		{"slow_start", int64(c.SlowStart), 0},
		{"health.interval", int64(c.Health.Interval), 1},
		{"health.timeout", int64(c.Health.Timeout), 1},
		{"health.unhealthy_after", int64(c.Health.UnhealthyAfter), 1},
		{"health.healthy_after", int64(c.Health.HealthyAfter), 1},
		{"outlier.consecutive_failures", int64(c.Outlier.ConsecutiveFailures), 0},
		{"outlier.eject", int64(c.Outlier.Eject), 1},
		{"retries.attempts", int64(c.Retries.Attempts), 0},
		{"retries.try_timeout", int64(c.Retries.TryTimeout), 0},
		{"breaker.min_requests", int64(c.Breaker.MinRequests), 1},
		{"breaker.window", int64(c.Breaker.Window), 1},
		{"breaker.open", int64(c.Breaker.Open), 1},
		{"queue.in_flight", int64(c.Queue.InFlight), 0},
		{"queue.length", int64(c.Queue.Length), 0},
		{"queue.wait", int64(c.Queue.Wait), 0},
		{"timeouts.connect", int64(c.Timeouts.Connect), 1},
		{"timeouts.response", int64(c.Timeouts.Response), 1},
		{"timeouts.stream", int64(c.Timeouts.Stream), 1},
		{"timeouts.websocket", int64(c.Timeouts.WebSocket), 1},
		{"keepalive.max_conns", int64(c.Keepalive.MaxConns), 1},
		{"keepalive.max_websockets", int64(c.Keepalive.MaxWebSockets), 0},
		{"keepalive.idle", int64(c.Keepalive.Idle), 0},
		{"keepalive.max_requests", int64(c.Keepalive.MaxRequests), 0},
	} {
		switch {
		case limit.value < 0:
			f.Add(limit.key, "is negative")
		case limit.value < limit.least:
			f.Add(limit.key, "0 is not positive; leave the key out for its default")
		}
	}
}

func (c Config) validateTargets() (f input.Faults) {
	if len(c.Targets) == 0 {
		f.Add("targets", "needs a URL")
	}
	seen := make(map[string]int, len(c.Targets))
	for i, t := range c.Targets {
		path := fmt.Sprintf("targets[%d]", i)
		to, err := http1.ParseOrigin(t.URL)
		if err != nil {
			f.Add(path, "%v", err)
			continue
		}
		if first, twice := seen[to.Address]; twice {
			f.Add(path, "is the same as targets[%d]: raise its weight instead", first)
		}
		seen[to.Address] = i
		switch {
		case t.Weight == 0: // elsewhere it means a target without requests, and here it could pass for the default
			f.Add(path+".weight", "0 is not between 1 and %d: leave out a target that is to get no requests", maxWeight)
		case t.Weight < 0 || t.Weight > maxWeight:
			f.Add(path+".weight", "%d is not between 1 and %d", t.Weight, maxWeight)
		}
	}
	return f
}
