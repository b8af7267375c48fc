package http1

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"wxgate/input"
)

// Origin is the scheme, host and port of a target, or its Unix socket.
type Origin struct {
	Host    string // a name or an address, without brackets; empty: a Unix socket
	Port    string // likewise
	Address string // host:port, or unix:/path
	Name    string // for the Host header: with the port if it is not the scheme's own; localhost of a Unix socket
	Socket  string // the path of a Unix socket; empty: it is reached over TCP
	TLS     bool
}

// String is how an origin is named to people: host[:port], or unix:/path.
func (o Origin) String() string {
	if o.Socket != "" {
		return o.Address
	}
	return o.Name
}

// ParseOrigin parses the URL of a target, or unix:/path. The error never repeats a password in it.
func ParseOrigin(raw string) (Origin, error) {
	if path, is, err := input.Socket(raw); err != nil {
		return Origin{}, fmt.Errorf("%q: %w", raw, err)
	} else if is {
		return Origin{Address: raw, Name: "localhost", Socket: path}, nil
	}
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return Origin{}, errors.New("needs a URL")
	case isPort(raw):
		return Origin{}, fmt.Errorf("%q is a port alone: write http://127.0.0.1:%s", raw, strings.TrimPrefix(raw, ":"))
	case isAuthority(raw):
		return Origin{}, fmt.Errorf("%q has no scheme: write http://%s", raw, raw)
	case err != nil && strings.Contains(raw, "@"):
		return Origin{}, errors.New("cannot be parsed, and a user or password in the URL is not supported")
	case err == nil && (u.User != nil || u.Host == "" && strings.Contains(raw, "@")):
		return Origin{}, errors.New("a user or password in the URL is not supported")
	case strings.Count(raw, "://") > 1:
		return Origin{}, fmt.Errorf("%q is more than one URL: each is an entry of targets", raw)
	case strings.Count(raw, ":") > 2 && !strings.Contains(raw, "["):
		return Origin{}, fmt.Errorf("%q: an IPv6 address goes in brackets, as in http://[::1]:3000", raw)
	case err != nil:
		return Origin{}, fmt.Errorf("%q is not a URL", raw)
	case u.Scheme != "http" && u.Scheme != "https":
		return Origin{}, fmt.Errorf("%q is not an http:// or https:// URL", raw)
	case u.Hostname() == "":
		return Origin{}, fmt.Errorf("%q has no host", raw)
	case !input.IsHost(u.Hostname()):
		return Origin{}, fmt.Errorf("%q has a host that is neither an address nor a name", raw)
	case u.Path != "" && u.Path != "/":
		return Origin{}, fmt.Errorf("%q has a path: a route's strip_prefix and rewrite change paths", raw)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return Origin{}, fmt.Errorf("%q has a query or a fragment", raw)
	}
	return newOrigin(raw, u)
}

func isPort(raw string) bool {
	_, err := strconv.ParseUint(strings.TrimPrefix(raw, ":"), 10, 16)
	return err == nil
}

// isAuthority reports whether raw is a URL as it would be behind http://, a host with or without a port.
func isAuthority(raw string) bool {
	if strings.ContainsAny(raw, "/@?#") {
		return false
	}
	u, err := url.Parse("http://" + raw)
	return err == nil && input.IsHost(u.Hostname())
}

func newOrigin(raw string, u *url.URL) (Origin, error) {
	o := Origin{Host: strings.ToLower(u.Hostname()), Name: u.Host, TLS: u.Scheme == "https"}
	port, own := u.Port(), map[bool]string{false: "80", true: "443"}[o.TLS]
	if port == "" {
		port, o.Name = own, strings.TrimSuffix(u.Host, ":")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return Origin{}, fmt.Errorf("%q has a port that is not one of 1 to 65535", raw)
	}
	o.Port, o.Address = port, net.JoinHostPort(o.Host, port)
	return o, nil
}
