// Package tracing is the section tracing: which requests are recorded as traces, and how their spans reach a collector
// (OTLP). Package span is what records them.
package tracing

import (
	"fmt"
	"net/url"

	"wxgate/input"
)

// Config is the section tracing.
type Config struct {
	OTLP   Endpoint `yaml:"otlp"`   // the URL of a collector that takes OTLP by HTTP; empty: nothing is recorded
	Sample float64  `yaml:"sample"` // the part of the requests that are recorded, from 0 to 1
}

// DefaultConfig records nothing.
func DefaultConfig() Config { return Config{Sample: 0.05} }

// Validate reports every fault. It opens nothing.
func (c Config) Validate() (f input.Faults) {
	if c.OTLP != "" {
		if what := c.OTLP.fault(); what != "" {
			f.Add("otlp", "%s", what)
		}
	}
	if !(c.Sample >= 0 && c.Sample <= 1) { // NaN is neither
		f.Add("sample", "%v is not between 0 and 1", c.Sample)
	}
	return f
}

// Endpoint is the URL of a collector. Some vendors put a token into its path, so it prints without one.
type Endpoint string

// defaultPath is where collectors take traces (OTLP specification, OTLP/HTTP Request).
const defaultPath = "/v1/traces"

// url returns the URL with its path; a valid one that says none has the default.
func (e Endpoint) url() (*url.URL, error) {
	u, err := url.Parse(string(e))
	if err == nil && (u.Path == "" || u.Path == "/") {
		u.Path = defaultPath
	}
	return u, err
}

// fault says what is wrong with an endpoint, without repeating it; "": nothing.
func (e Endpoint) fault() string {
	u, err := e.url()
	switch {
	case err != nil:
		return "is not a URL; write one such as http://127.0.0.1:4318"
	case u.Scheme != "http" && u.Scheme != "https":
		return "wants a URL that begins with http:// or https://, such as http://127.0.0.1:4318: OTLP comes by HTTP"
	case u.Hostname() == "":
		return "names no host; write a URL such as http://127.0.0.1:4318"
	case !input.IsHost(u.Hostname()):
		return "has a host that is neither an address nor a name; write a URL such as http://127.0.0.1:4318"
	case u.User != nil:
		return "has a user in it; put credentials into OTEL_EXPORTER_OTLP_HEADERS in the environment"
	case u.RawQuery != "" || u.Fragment != "":
		return "has a query or a fragment, which are not sent; put credentials into OTEL_EXPORTER_OTLP_HEADERS in the environment"
	}
	return ""
}

// String returns the URL without its path.
func (e Endpoint) String() string {
	u, err := e.url()
	switch {
	case e == "":
		return ""
	case err != nil:
		return masked
	case u.Path == defaultPath:
		return u.Scheme + "://" + u.Host + defaultPath
	}
	return u.Scheme + "://" + u.Host + "/" + masked
}

// masked stands for a path that may hold a token.
const masked = "***"

// Format writes String for every verb.
func (e Endpoint) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.String())) }

// MarshalText returns String, for JSON, YAML and whatever else asks for text.
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.String()), nil }
