// Package cors is cross-origin resource sharing, by which a browser asks whether a page may call another host (WHATWG
// Fetch §3.2): the origins that may, and the fields of answers and preflights. It never answers * to a page that sends
// cookies, and a page that it does not know is allowed nothing.
package cors

import (
	"fmt"
	"net/http"
	"time"

	"wxgate/input"
)

// Config is server.cors or routes[].cors.
type Config struct {
	Origins     Origins       `yaml:"origins"`     // of the pages that may; none: the services decide
	Methods     []string      `yaml:"methods"`     // that they may use; none: all
	Headers     []string      `yaml:"headers"`     // of requests, that they may set; none: all
	Expose      []string      `yaml:"expose"`      // headers of answers that they may read, beside ours
	Credentials bool          `yaml:"credentials"` // whether browsers may send cookies
	MaxAge      time.Duration `yaml:"max_age"`     // how long browsers remember a preflight; 0: not at all
}

// DefaultConfig allows no origin.
func DefaultConfig() Config { return Config{MaxAge: 10 * time.Minute} }

// SetDefaults sets the values that a section need not mention.
func (c *Config) SetDefaults() { *c = DefaultConfig() }

const (
	maxListed = 100            // entries of a list: preflights repeat them
	maxMaxAge = 24 * time.Hour // browsers remember no longer
)

// Validate reports every fault.
func (c Config) Validate() (f input.Faults) {
	if c.Credentials && c.Origins.Any() {
		f.Add("credentials", "are never sent to every page: list the origins instead of *")
	}
	if len(c.Origins) > 1 && c.Origins.Any() {
		f.Add("origins", "has * beside other origins; * alone stands for every page")
	}
	if len(c.Origins) == 0 && (c.Credentials || len(c.Methods)+len(c.Headers)+len(c.Expose) > 0) {
		f.Add("origins", "is empty, so nothing else here has an effect; list the origins of the pages, such as https://admin.example.com")
	}
	for i, method := range c.Methods {
		f.OneOf(fmt.Sprintf("methods[%d]", i), method, methods()...)
	}
	validateNames(&f, "headers", c.Headers)
	validateNames(&f, "expose", c.Expose)
	if len(c.Origins) > maxListed {
		f.Add("origins", "has %d entries; %d are the most", len(c.Origins), maxListed)
	}
	input.Between(&f, "max_age", c.MaxAge, 0, maxMaxAge)
	return f
}

func validateNames(f *input.Faults, path string, names []string) {
	for i, name := range names {
		if name == "*" || !isToken([]byte(name)) {
			f.Add(fmt.Sprintf("%s[%d]", path, i), "%q is not a header name", name)
		}
	}
	if len(names) > maxListed {
		f.Add(path, "has %d entries; %d are the most", len(names), maxListed)
	}
}

// methods are those that a page can use where the configuration names none.
func methods() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
}
