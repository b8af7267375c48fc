package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// origin is a target as its URL names it.
type origin struct {
	host    string // a name or an address, without brackets
	port    string
	address string // host:port
	name    string // as in the Host header: the port only when it is not the scheme's own
	tls     bool
}

// parseTarget takes a target's URL apart. A password in it is never repeated in the error.
func parseTarget(raw string) (origin, error) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return origin{}, errors.New("needs a URL")
	case isAuthority(raw):
		return origin{}, fmt.Errorf("%q has no scheme: write http://%s", raw, raw)
	case err != nil && strings.Contains(raw, "@"):
		return origin{}, errors.New("a URL with a user or password that cannot be read")
	case strings.Count(raw, ":") > 2 && !strings.Contains(raw, "["):
		return origin{}, fmt.Errorf("%q: an IPv6 address stands between brackets, as in http://[::1]:3000", raw)
	case err != nil:
		return origin{}, fmt.Errorf("%q is not a URL", raw)
	case u.User != nil, u.Host == "" && strings.Contains(raw, "@"):
		return origin{}, errors.New("a user or password in the URL is not supported")
	case u.Scheme != "http" && u.Scheme != "https":
		return origin{}, fmt.Errorf("%q is not an http:// or https:// URL", raw)
	case u.Hostname() == "":
		return origin{}, fmt.Errorf("%q has no host", raw)
	case u.Path != "" && u.Path != "/":
		return origin{}, fmt.Errorf("%q has a path: a route's strip_prefix and rewrite change paths", raw)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return origin{}, fmt.Errorf("%q has a query or a fragment", raw)
	}
	return newOrigin(raw, u)
}

// isAuthority says whether raw is a URL as it would be behind http://, a host with or without a port.
func isAuthority(raw string) bool {
	if strings.ContainsAny(raw, "/@?#") {
		return false
	}
	u, err := url.Parse("http://" + raw)
	return err == nil && u.Hostname() != ""
}

func newOrigin(raw string, u *url.URL) (origin, error) {
	o := origin{host: strings.ToLower(u.Hostname()), name: u.Host, tls: u.Scheme == "https"}
	port, own := u.Port(), map[bool]string{false: "80", true: "443"}[o.tls]
	if port == "" {
		port, o.name = own, strings.TrimSuffix(u.Host, ":")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return origin{}, fmt.Errorf("%q has a port that is not one of 1 to 65535", raw)
	}
	o.port, o.address = port, net.JoinHostPort(o.host, port)
	return o, nil
}
