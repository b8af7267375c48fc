package upstream

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"wxgate/upstream/http1"
)

// maxWeight is the largest weight of a target.
const maxWeight = 1000

// Validate reports every fault of the configuration, each text beginning with its place below path, as in
// `upstreams.recipes.targets[0]: "ftp://x" is not an http:// or https:// URL`. It opens nothing.
func (c Config) Validate(path string) []error {
	faults := c.validateTargets(path + ".targets")
	policies := []string{RoundRobin, P2C, HashUser}
	if c.Balance != "" && !slices.Contains(policies, c.Balance) {
		faults = append(faults, fmt.Errorf("%s.balance: %q is not one of %s", path, c.Balance, strings.Join(policies, ", ")))
	}
	if !validHost(c.Host) {
		faults = append(faults, fmt.Errorf("%s.host: %q is not %s, %s or a name such as recipes.example.com", path, c.Host, HostClient, HostTarget))
	}
	if p := c.Health.Path; p != "" && (p[0] != '/' || strings.ContainsFunc(p, notInPath)) {
		faults = append(faults, fmt.Errorf("%s.health.path: %q is not a path such as /healthz", path, p))
	}
	for _, share := range []struct {
		key   string
		value Share
	}{{"retries.budget", c.Retries.Budget}, {"breaker.failures", c.Breaker.Failures}} {
		if !(share.value >= 0 && share.value <= 1) { // NaN is neither
			faults = append(faults, fmt.Errorf("%s.%s: %v is not between 0%% and 100%%, or 0 and 1", path, share.key, share.value))
		}
	}
	return slices.Concat(faults, c.validateTLS(path+".tls"), c.validateLimits(path))
}

func (c Config) validateTLS(path string) []error {
	var faults []error
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		faults = append(faults, fmt.Errorf("%s: cert and key belong together", path))
	}
	if name := c.TLS.ServerName; strings.ContainsFunc(name, notInName) && net.ParseIP(name) == nil {
		faults = append(faults, fmt.Errorf("%s.server_name: %q is not a name such as recipes.example.com", path, name))
	}
	secured := func(t Target) bool { return strings.HasPrefix(strings.ToLower(t.URL), "https:") }
	if c.TLS != (http1.TLS{}) && !slices.ContainsFunc(c.Targets, secured) {
		faults = append(faults, fmt.Errorf("%s: no target is https://, so it would secure nothing", path))
	}
	return faults
}

// validHost takes what may stand in a Host field: a name or an address, with or without a port.
func validHost(host string) bool {
	if host == "" {
		return true
	}
	u, err := url.Parse("http://" + host)
	return err == nil && u.Host == host && u.Hostname() != "" && !strings.ContainsFunc(u.Hostname(), notInHost)
}

func notInHost(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/@[]*?#%,", r) }

func notInName(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/:@[]*?#", r) }

func notInPath(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }

// validateLimits reports the durations and numbers that are too small. A zero is one of those whose meaning the field does not
// give: it could pass for the default.
func (c Config) validateLimits(path string) []error {
	var faults []error
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
			faults = append(faults, fmt.Errorf("%s.%s: is negative", path, limit.key))
		case limit.value < limit.least:
			faults = append(faults, fmt.Errorf("%s.%s: 0 is not positive; leave the key out for its default", path, limit.key))
		}
	}
	return faults
}

// validateWeight refuses 0: elsewhere it means a target without requests, and here it could pass for the default.
func validateWeight(weight int) error {
	switch {
	case weight == 0:
		return fmt.Errorf("0 is not between 1 and %d: leave a target out that should get nothing", maxWeight)
	case weight < 0 || weight > maxWeight:
		return fmt.Errorf("%d is not between 1 and %d", weight, maxWeight)
	}
	return nil
}

func (c Config) validateTargets(path string) []error {
	if len(c.Targets) == 0 {
		return []error{fmt.Errorf("%s: needs a URL", path)}
	}
	var faults []error
	seen := make(map[string]int, len(c.Targets))
	for i, t := range c.Targets {
		to, err := http1.ParseOrigin(t.URL)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s[%d]: %w", path, i, err))
			continue
		}
		if first, twice := seen[to.Address]; twice {
			faults = append(faults, fmt.Errorf("%s[%d]: is the same as %s[%d]: raise its weight instead", path, i, path, first))
		}
		seen[to.Address] = i
		if fault := validateWeight(t.Weight); fault != nil {
			faults = append(faults, fmt.Errorf("%s[%d].weight: %w", path, i, fault))
		}
	}
	return faults
}
