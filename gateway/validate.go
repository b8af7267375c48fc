package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"wxgate/gateway/header"
	"wxgate/input"
	"wxgate/secret"
)

// Validate reports every fault of the sections of this package; upstreams are the names that routes may use.
func (c Config) Validate(upstreams []string) []error {
	var f faults
	c.Server.validate(&f)
	c.Identity.validate(&f)
	c.Limits.validate(&f, "limits")
	f.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	f.oneOf("log.format", c.Log.Format, "json", "text")
	ours := newReserved(c.Identity)
	for i, r := range c.Routes {
		r.validate(&f, fmt.Sprintf("routes[%d]", i), upstreams, ours)
	}
	if c.PushUpstream != "" {
		f.oneOf("wechat.push.upstream", c.PushUpstream, upstreams...)
	}
	c.validateTable(&f)
	return f
}

func (s ServerConfig) validate(f *faults) {
	validateAddress(f, "server.listen", s.Listen)
	s.validateAdmin(f)
	if s.ProxyProtocol && len(s.TrustedProxies) == 0 {
		f.add("server.proxy_protocol", "needs server.trusted_proxies: only their word is believed")
	}
	if s.BodyLimit < 1 {
		f.add("server.body_limit", "%v is not positive", s.BodyLimit)
	}
	f.within("server.timeouts.read_header", s.Timeouts.ReadHeader, 100*time.Millisecond, time.Minute)
	f.within("server.timeouts.idle", s.Timeouts.Idle, time.Second, time.Hour)
	f.within("server.timeouts.request", s.Timeouts.Request, 100*time.Millisecond, time.Hour)
	f.within("server.timeouts.pre_drain", s.Timeouts.PreDrain, 0, 10*time.Minute)
	f.within("server.timeouts.drain", s.Timeouts.Drain, 0, time.Hour)
	s.Connections.validate(f, "server.connections")
}

// leastAdminConnections are enough for a probe, Prometheus and the operator.
const leastAdminConnections = 4

func (c Connections) validate(f *faults, path string) {
	f.count(path+".max", c.Max, 0, maxConnections)
	f.count(path+".per_address", c.PerAddress, 0, maxConnections)
	f.count(path+".admin", c.Admin, leastAdminConnections, maxConnections)
}

// maxConnections is more than any process has descriptors.
const maxConnections = 1 << 24

// validateAdmin lets the admin listener out of loopback only behind a token.
func (s ServerConfig) validateAdmin(f *faults) {
	valid := validateAddress(f, "server.admin", s.Admin)
	switch token := s.AdminToken.Reveal(); {
	case token == "" && valid && !loopback(s.Admin):
		f.add("server.admin", "%q is not a loopback address, so it needs a server.admin_token", s.Admin)
	case secret.Mistake(token) != "":
		f.add("server.admin_token", "%s", secret.Mistake(token))
	case token != "" && len(token) < MinAdminTokenBytes:
		f.add("server.admin_token", "has %d bytes; %d are the least", len(token), MinAdminTokenBytes)
	case !visible(token):
		f.add("server.admin_token", "has characters that a header cannot carry; use letters and digits")
	}
}

func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r >= 0x7f })
}

func validateAddress(f *faults, path, address string) bool {
	if _, err := net.ResolveTCPAddr("tcp", address); err != nil {
		advice := ""
		if _, err := input.Count(address); err == nil {
			advice = fmt.Sprintf("; write %q", ":"+address)
		}
		f.add(path, "%q is not host:port%s", address, advice)
		return false
	}
	return true
}

func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

func (c IdentityConfig) validate(f *faults) {
	spelled := map[string]string{}
	for name, field := range c.Headers {
		path := "identity.headers." + name
		if other, twice := spelled[header.Fold(name)]; twice {
			f.add(path, "a service could take it for %s", other)
		}
		spelled[header.Fold(name)] = name
		validateHeader(f, path, name)
		f.oneOf(path, string(field), string(FieldID), string(FieldOpenID), string(FieldNickname), string(FieldAppID), string(FieldSession))
	}
	if c.Signed.Header == "" {
		return
	}
	validateHeader(f, "identity.signed.header", c.Signed.Header)
	for name := range c.Headers {
		if header.Fold(name) == header.Fold(c.Signed.Header) {
			f.add("identity.signed.header", "%q is one of identity.headers too", c.Signed.Header)
		}
	}
	f.within("identity.signed.ttl", c.Signed.TTL, time.Second, 10*time.Minute)
}

func validateHeader(f *faults, path, name string) {
	switch {
	case !strings.HasPrefix(header.Fold(name), "x-") || !validToken(name):
		f.add(path, "%q is not a header name that begins with X-", name)
	case setByUs([]byte(name)):
		f.add(path, "%q is a header that says something else to services", name)
	}
}

// validToken reports whether a header name is one (RFC 9110 §5.6.2).
func validToken(name string) bool {
	for i := range len(name) {
		b := name[i]
		letter := b|0x20 >= 'a' && b|0x20 <= 'z'
		if !letter && !(b >= '0' && b <= '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(b)) {
			return false
		}
	}
	return name != ""
}
