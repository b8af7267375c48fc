package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config is one entry of upstreams in gateway.yaml. Its short form is the URL of its only target. A zero means the
// default of DefaultConfig.
type Config struct {
	Targets   []Target  `yaml:"targets"`   // where the service runs; one, for now
	Timeouts  Timeouts  `yaml:"timeouts"`  // how long the service may take
	Keepalive Keepalive `yaml:"keepalive"` // the connections to it
}

// Target is one place where a service runs. Its short form is its URL.
type Target struct {
	URL string `yaml:"url"` // http://host[:port] or https://host[:port], nothing after it
}

// Timeouts are what a service may take, apart from the deadline of the single request.
type Timeouts struct {
	Connect   time.Duration `yaml:"connect"`   // for a connection: name, TCP and TLS; 1s
	Response  time.Duration `yaml:"response"`  // from the request sent to the head of the answer; 30s
	Stream    time.Duration `yaml:"stream"`    // longest silence within a body; a heartbeat of SSE must come sooner; 60s
	WebSocket time.Duration `yaml:"websocket"` // longest silence of both sides of a WebSocket; 10m
}

// Keepalive is what is kept of connections between requests.
type Keepalive struct {
	MaxConns int           `yaml:"max_conns"` // connections at a time, busy and idle; 512
	Idle     time.Duration `yaml:"idle"`      // how long an unused one is kept; below the service's own limit (Node: 5s); 3s
}

// DefaultConfig is an upstream without targets and with every other value as gateway.yaml shows it.
func DefaultConfig() Config {
	return Config{
		Timeouts:  Timeouts{Connect: time.Second, Response: 30 * time.Second, Stream: 60 * time.Second, WebSocket: 10 * time.Minute},
		Keepalive: Keepalive{MaxConns: 512, Idle: 3 * time.Second},
	}
}

// SetDefaults makes c what its entry in gateway.yaml is while it says nothing.
func (c *Config) SetDefaults() { *c = DefaultConfig() }

// UnmarshalText reads the short form of an upstream: the URL of its only target. Validate judges the URL.
func (c *Config) UnmarshalText(text []byte) error {
	c.Targets = []Target{{URL: string(text)}}
	return nil
}

// UnmarshalText reads the short form of a target: its URL. Validate judges it.
func (t *Target) UnmarshalText(text []byte) error {
	t.URL = string(text)
	return nil
}

// Validate reports every fault of the configuration, each text beginning with its place below path, as in
// `upstreams.recipes.targets[0]: "ftp://x" is not an http:// or https:// URL`. It opens nothing.
func (c Config) Validate(path string) []error {
	faults := c.validateTargets(path + ".targets")
	for _, limit := range []struct {
		key   string
		value int64
	}{
		{"timeouts.connect", int64(c.Timeouts.Connect)},
		{"timeouts.response", int64(c.Timeouts.Response)},
		{"timeouts.stream", int64(c.Timeouts.Stream)},
		{"timeouts.websocket", int64(c.Timeouts.WebSocket)},
		{"keepalive.max_conns", int64(c.Keepalive.MaxConns)},
		{"keepalive.idle", int64(c.Keepalive.Idle)},
	} {
		if limit.value < 0 {
			faults = append(faults, fmt.Errorf("%s.%s: is negative", path, limit.key))
		}
	}
	return faults
}

func (c Config) validateTargets(path string) []error {
	switch {
	case len(c.Targets) == 0:
		return []error{fmt.Errorf("%s: needs a URL", path)}
	case len(c.Targets) > 1:
		return []error{fmt.Errorf("%s: several targets come with a later version", path)}
	}
	if _, err := parseTarget(c.Targets[0].URL); err != nil {
		return []error{fmt.Errorf("%s[0]: %w", path, err)}
	}
	return nil
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	def := DefaultConfig()
	orDefault(&c.Timeouts.Connect, def.Timeouts.Connect)
	orDefault(&c.Timeouts.Response, def.Timeouts.Response)
	orDefault(&c.Timeouts.Stream, def.Timeouts.Stream)
	orDefault(&c.Timeouts.WebSocket, def.Timeouts.WebSocket)
	orDefault(&c.Keepalive.MaxConns, def.Keepalive.MaxConns)
	orDefault(&c.Keepalive.Idle, def.Keepalive.Idle)
	return c
}

func orDefault[T ~int | ~int64](value *T, def T) {
	if *value == 0 {
		*value = def
	}
}

// endpoint is a target as it is dialled.
type endpoint struct {
	host    string // for TLS, without brackets
	address string // host:port, for the dialler
	name    string // as in the Host header: the port only when it is not the scheme's own
	tls     bool
}

// parseTarget takes a target's URL apart. A password in it is never repeated in the error.
func parseTarget(raw string) (endpoint, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil && strings.Contains(raw, "@"):
		return endpoint{}, errors.New("a URL with a user or password that cannot be read")
	case err != nil:
		return endpoint{}, fmt.Errorf("%q is not a URL", raw)
	case u.User != nil:
		return endpoint{}, errors.New("a user or password in the URL is not supported")
	case u.Scheme != "http" && u.Scheme != "https":
		return endpoint{}, fmt.Errorf("%q is not an http:// or https:// URL", raw)
	case u.Hostname() == "":
		return endpoint{}, fmt.Errorf("%q has no host", raw)
	case u.Path != "" && u.Path != "/":
		return endpoint{}, fmt.Errorf("%q has a path: a route's strip_prefix and rewrite change paths", raw)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return endpoint{}, fmt.Errorf("%q has a query or a fragment", raw)
	}
	return newEndpoint(raw, u)
}

func newEndpoint(raw string, u *url.URL) (endpoint, error) {
	e := endpoint{host: u.Hostname(), name: u.Host, tls: u.Scheme == "https"}
	port, own := u.Port(), map[bool]string{false: "80", true: "443"}[e.tls]
	if port == "" {
		port, e.name = own, strings.TrimSuffix(u.Host, ":")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return endpoint{}, fmt.Errorf("%q has a port that is not one of 1 to 65535", raw)
	}
	e.address = net.JoinHostPort(e.host, port)
	return e, nil
}
