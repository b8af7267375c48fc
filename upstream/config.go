package upstream

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxgate/breaker"
	"wxgate/input"
	"wxgate/upstream/http1"
)

// Config is an entry of upstreams in gateway.yaml. Its short form is the URL of its only target. It starts as
// DefaultConfig: a written zero means what the field's comment says, and is refused by Validate where the comment says
// nothing.
type Config struct {
	Targets   []Target        `yaml:"targets"`    // where the service runs
	Balance   string          `yaml:"balance"`    // round_robin, p2c or hash(user); p2c
	SlowStart time.Duration   `yaml:"slow_start"` // how long a target that comes back takes to get its full share; 10s, 0: none
	Health    Health          `yaml:"health"`     // active health checks
	Outlier   Outlier         `yaml:"outlier"`    // ejecting targets whose requests fail
	Retries   Retries         `yaml:"retries"`    // sending a request to another target
	Breaker   Breaker         `yaml:"breaker"`    // refusing requests while most of them fail
	Queue     Queue           `yaml:"queue"`      // how many requests it gets at a time, and how many wait
	Timeouts  http1.Timeouts  `yaml:"timeouts"`   // how long the service may take
	Keepalive http1.Keepalive `yaml:"keepalive"`  // the connections to it
	Host      string          `yaml:"host"`       // the Host it gets: client, target or a name; empty: target of https://, else client
	TLS       http1.TLS       `yaml:"tls"`        // of its https:// targets

	dials int // limits.dials, see WithDials
}

// The policies of Config.Balance.
const (
	policyRoundRobin = "round_robin" // in turn, by weight
	policyP2C        = "p2c"         // the less busy, faster one of two drawn by weight
	policyHashUser   = "hash(user)"  // each user at one target; p2c for requests without a user
)

// Whose name a service gets as Host, unless Config.Host is a name.
const (
	hostClient = "client" // what the client asked for
	hostTarget = "target" // the target's, as its URL has it
)

// HostOf returns the Host that the service gets at a target, "" for the client's own. The configuration must be valid.
func (c Config) HostOf(t Target) string {
	o, err := http1.ParseOrigin(t.URL)
	if err != nil {
		return ""
	}
	return c.ownHost(o)
}

func (c Config) ownHost(o http1.Origin) string {
	switch {
	case c.Host == hostTarget, c.Host == "" && o.TLS:
		return o.Name
	case c.Host == hostClient:
		return ""
	}
	return c.Host
}

// Target is one place where a service runs. Its short form is its URL. All addresses of a name are used.
type Target struct {
	URL    string `yaml:"url"`    // http://host[:port] or https://host[:port], nothing after it; or unix:/path, a socket
	Weight int    `yaml:"weight"` // its share beside the weights of the others, 1 to 1000; 1
}

// Health configures active health checks. An unhealthy target gets requests only while no target is healthy.
type Health struct {
	Path           string        `yaml:"path"`            // requested with GET; 200 to 399 is healthy. Empty: no checks
	Interval       time.Duration `yaml:"interval"`        // between two checks; 5s
	Timeout        time.Duration `yaml:"timeout"`         // for the answer's head; 1s
	UnhealthyAfter int           `yaml:"unhealthy_after"` // failures in a row; 3
	HealthyAfter   int           `yaml:"healthy_after"`   // successes in a row; 2
}

// Outlier configures when failed requests eject a target.
type Outlier struct {
	ConsecutiveFailures int           `yaml:"consecutive_failures"` // failures in a row; 5, 0: never
	Eject               time.Duration `yaml:"eject"`                // for how long; twice, three times … as long if it soon fails again; 10s
}

// Retries configures when a request is sent to another target. One that was provably not sent is tried on every target
// and counts towards neither limit.
type Retries struct {
	Attempts   int           `yaml:"attempts"`    // how often an idempotent request is retried; 2, 0: never
	Budget     share         `yaml:"budget"`      // retries as a share of requests over 10 s; 10 retries are always granted; 20%
	TryTimeout time.Duration `yaml:"try_timeout"` // how long an attempt waits for the answer while another target is left; 1s, 0: until the deadline
}

// Breaker configures when requests are refused at once because most of them fail.
type Breaker struct {
	Failures    share         `yaml:"failures"`     // the share of failed requests from which on; 0.5, 0: never
	MinRequests int           `yaml:"min_requests"` // with fewer requests in the window it never opens; 20
	Window      time.Duration `yaml:"window"`       // how far back they count; 10s
	Open        time.Duration `yaml:"open"`         // how long all requests are refused before a few are let through; 5s
}

// breakerProbes is how many requests a half-open breaker lets through at a time, and how many of them must succeed.
const breakerProbes = 3

func (b Breaker) limits() breaker.Config {
	return breaker.Config{Failures: float64(b.Failures), MinRequests: b.MinRequests, Window: b.Window, Open: b.Open, Probes: breakerProbes}
}

// Queue limits the requests that a service gets at a time, in addition to keepalive.max_conns of each target.
type Queue struct {
	InFlight int           `yaml:"in_flight"` // requests at a time, over all targets; 0: max_conns is the only limit
	Length   int           `yaml:"length"`    // how many requests may wait; more are refused at once; 10000, 0: none
	Wait     time.Duration `yaml:"wait"`      // how long a request may wait before it is refused; 2s
}

// DefaultConfig returns the defaults that gateway.yaml shows, without a target.
func DefaultConfig() Config {
	return Config{
		Balance:   policyP2C,
		SlowStart: 10 * time.Second,
		Health:    Health{Interval: 5 * time.Second, Timeout: time.Second, UnhealthyAfter: 3, HealthyAfter: 2},
		Outlier:   Outlier{ConsecutiveFailures: 5, Eject: 10 * time.Second},
		Retries:   Retries{Attempts: 2, Budget: 0.2, TryTimeout: time.Second},
		Breaker:   Breaker{Failures: 0.5, MinRequests: 20, Window: 10 * time.Second, Open: 5 * time.Second},
		Queue:     Queue{Length: 10000, Wait: 2 * time.Second},
		Timeouts:  http1.Timeouts{Connect: time.Second, Response: 30 * time.Second, Stream: 60 * time.Second, WebSocket: 10 * time.Minute},
		Keepalive: http1.Keepalive{MaxConns: 512, MaxWebSockets: 1024, Idle: 3 * time.Second, ReuseAfterBody: true},
		TLS:       http1.TLS{SPKI: []string{}},
		dials:     DefaultDials,
	}
}

// SetDefaults gives c the defaults of an entry of upstreams.
func (c *Config) SetDefaults() { *c = DefaultConfig() }

// SetDefaults gives t the defaults of an entry of targets.
func (t *Target) SetDefaults() { *t = Target{Weight: 1} }

// Wanted says what an entry of upstreams may be, for the error about one that is not.
func (*Config) Wanted() string {
	return "a URL such as http://127.0.0.1:3000, or keys and values below it"
}

// Wanted says what an entry of targets may be, for the error about one that is not.
func (*Target) Wanted() string {
	return "a URL such as http://127.0.0.1:3000, or url and weight below it"
}

// UnmarshalText reads the short form of an upstream: the URL of its only target. Validate judges the URL.
func (c *Config) UnmarshalText(text []byte) error {
	c.Targets = []Target{{URL: string(text), Weight: 1}}
	return nil
}

// UnmarshalText reads the short form of a target: its URL. Validate judges it.
func (t *Target) UnmarshalText(text []byte) error {
	t.URL = string(text)
	return nil
}

// share is a part of a whole, 0 to 1; in gateway.yaml also as 20%.
type share float64

// UnmarshalText reads 0.2 or 20%.
func (s *share) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return errors.New("wants a share such as 20% or 0.2")
	}
	switch {
	case percent:
		f /= 100
	case f > 1 && f <= 100:
		return fmt.Errorf("%s is not between 0 and 1%s", number, input.DidYouMean(number+"%"))
	}
	*s = share(f)
	return nil
}

// String writes a share in percent.
func (s share) String() string { return strconv.FormatFloat(float64(s)*100, 'f', -1, 64) + "%" }

// DefaultDials is the default of limits.dials.
const DefaultDials = 64

// WithDials returns c with limits.dials: at most n simultaneous dials to each address of a target.
func (c Config) WithDials(n int) Config {
	c.dials = n
	return c
}

// connections is what c says of the connections to one address.
func (c Config) connections(sec *http1.Security) http1.Config {
	return http1.Config{Timeouts: c.Timeouts, Keepalive: c.Keepalive, Dials: c.dials, Security: sec}
}

// equal reports whether o is the same configuration.
func (c Config) equal(o Config) bool {
	return slices.Equal(c.Targets, o.Targets) && c.Balance == o.Balance && c.SlowStart == o.SlowStart && c.Health == o.Health &&
		c.Outlier == o.Outlier && c.Retries == o.Retries && c.Breaker == o.Breaker && c.Queue == o.Queue &&
		c.Timeouts == o.Timeouts && c.Keepalive == o.Keepalive && c.Host == o.Host && c.TLS.Equal(o.TLS) && c.dials == o.dials
}
