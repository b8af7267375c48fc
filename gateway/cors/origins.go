package cors

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Origins are the web pages that may read answers, by their origin (RFC 6454).
type Origins []Origin

// Match reports whether the list names origin, the value of an Origin field as a browser writes it. What only * allows
// does not match, because nobody has vouched for it; nor does "null", which any page can have.
func (o Origins) Match(origin string) bool {
	for i := range o {
		if o[i].match(origin) {
			return true
		}
	}
	return false
}

// Any reports whether the list has *, which stands for every page.
func (o Origins) Any() bool {
	for i := range o {
		if o[i] == (Origin{}) {
			return true
		}
	}
	return false
}

// Origin is one origin such as https://admin.example.com, or with https://*.example.com all origins below a name. The
// zero value is *, every origin.
type Origin struct {
	scheme string // "https://"
	host   string // with a port unless it is the scheme's own; with a dot before it, everything below it
}

var errOrigin = errors.New("is not an origin such as https://admin.example.com, http://localhost:5173 or https://*.example.com")

// UnmarshalText reads an Origin from a configuration.
func (o *Origin) UnmarshalText(text []byte) error {
	if string(text) == "*" {
		*o = Origin{}
		return nil
	}
	scheme, host, _ := strings.Cut(strings.ToLower(string(text)), "://")
	name, below := strings.CutPrefix(host, "*")
	port := 0
	switch scheme {
	case "http":
		port = 80
	case "https":
		port = 443
	default:
		return fmt.Errorf("%q %w", text, errOrigin)
	}
	if bare, path := strings.CutSuffix(host, "/"); path && validHost(strings.TrimPrefix(bare, "*"), below) {
		return fmt.Errorf("%q is a URL; as an origin it is %s://%s", text, scheme, bare)
	}
	if !validHost(name, below) {
		return fmt.Errorf("%q %w", text, errOrigin)
	}
	if bare, own := strings.CutSuffix(host, ":"+strconv.Itoa(port)); own {
		return fmt.Errorf("%q would match nothing, because browsers leave out port %d: write %s://%s", text, port, scheme, bare)
	}
	*o = Origin{scheme + "://", name}
	return nil
}

// String returns the origin as it stands in a configuration.
func (o Origin) String() string {
	switch {
	case o == Origin{}:
		return "*"
	case strings.HasPrefix(o.host, "."):
		return o.scheme + "*" + o.host
	}
	return o.scheme + o.host
}

// match reports whether the origin of a page is this one or below it.
func (o Origin) match(origin string) bool {
	host, ok := strings.CutPrefix(origin, o.scheme)
	if !ok || o == (Origin{}) {
		return false
	}
	if o.host[0] != '.' {
		return host == o.host
	}
	below, ok := strings.CutSuffix(host, o.host)
	return ok && validName(below)
}

// validHost reports whether text is a host with an optional port. Below a host of two labels or more, below is set and
// text begins with a dot.
func validHost(text string, below bool) bool {
	host, port := text, ""
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host, port = text[:i], text[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' || port[0] == '+' {
			return false
		}
	}
	if below {
		name, dotted := strings.CutPrefix(host, ".")
		return dotted && strings.Contains(name, ".") && validName(name)
	}
	if inner, found := strings.CutPrefix(host, "["); found {
		inner, closed := strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return closed && err == nil && addr.Is6() && addr.Zone() == "" && addr.String() == inner
	}
	return validName(host)
}

const maxNameBytes = 253 // of a DNS name (RFC 1035 §2.3.4)

// validName reports whether text is a DNS name or an IPv4 address in lower case.
func validName(text string) bool {
	if text == "" || len(text) > maxNameBytes || text[0] == '.' || text[len(text)-1] == '.' || strings.Contains(text, "..") {
		return false
	}
	return strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}
