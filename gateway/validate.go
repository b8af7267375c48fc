package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"wxgate/gateway/header"
	"wxgate/input"
	"wxgate/secret"
)

// Validate reports every fault of the sections of this package, and of how they go together.
func (c Config) Validate() input.Faults {
	f := slices.Concat(c.Server.validate().At("server"), c.Identity.validate().At("identity"), c.Limits.Validate().At("limits"), c.Log.validate().At("log"))
	ours := newReserved(c.Identity)
	for i, r := range c.Routes {
		f = append(f, r.validate(c.Upstreams, ours).At(fmt.Sprintf("routes[%d]", i))...)
	}
	c.validateTable(&f)
	if c.PushUpstream != "" {
		f.OneOf("wechat.push.upstream", c.PushUpstream, c.Upstreams...)
	}
	if len(c.Routes) == 0 {
		f.Add("routes", "there is none, so nothing would be forwarded")
	}
	forwards := func(r RouteConfig) bool { return r.Upstream != "" }
	if len(c.Upstreams) == 0 && (c.PushUpstream != "" || slices.ContainsFunc(c.Routes, forwards)) {
		f.Add("upstreams", "there is none, so routes lead nowhere; write below it NAME: http://127.0.0.1:3000")
	}
	return f
}

func (l LogConfig) validate() (f input.Faults) {
	f.OneOf("level", l.Level, "debug", "info", "warn", "error")
	f.OneOf("format", l.Format, "json", "text")
	return f
}

func (s ServerConfig) validate() (f input.Faults) {
	validateAddress(&f, "listen", s.Listen)
	s.validateAdmin(&f)
	if s.ProxyProtocol && len(s.TrustedProxies) == 0 {
		f.Add("proxy_protocol", "needs server.trusted_proxies: only their word is believed")
	}
	if s.BodyLimit < 1 {
		f.Add("body_limit", "%v is not positive", s.BodyLimit)
	}
	input.Between(&f, "timeouts.read_header", s.Timeouts.ReadHeader, 100*time.Millisecond, time.Minute)
	input.Between(&f, "timeouts.idle", s.Timeouts.Idle, time.Second, time.Hour)
	input.Between(&f, "timeouts.request", s.Timeouts.Request, 100*time.Millisecond, time.Hour)
	input.Between(&f, "timeouts.pre_drain", s.Timeouts.PreDrain, 0, 10*time.Minute)
	input.Between(&f, "timeouts.drain", s.Timeouts.Drain, 0, time.Hour)
	input.Between(&f, "connections.max", s.Connections.Max, 0, maxConnections)
	input.Between(&f, "connections.per_address", s.Connections.PerAddress, 0, maxConnections)
	input.Between(&f, "connections.admin", s.Connections.Admin, leastAdminConnections, maxConnections)
	return f
}

// leastAdminConnections are enough for a probe, Prometheus and the operator.
const leastAdminConnections = 4

// maxConnections is more than any process has descriptors.
const maxConnections = 1 << 24

// validateAdmin lets the admin listener out of loopback only behind a token.
func (s ServerConfig) validateAdmin(f *input.Faults) {
	valid := validateAddress(f, "admin", s.Admin)
	switch token := s.AdminToken.Reveal(); {
	case token == "" && valid && !loopback(s.Admin):
		f.Add("admin", "%q is not a loopback address, so it needs a server.admin_token", s.Admin)
	case secret.Mistake(token) != "":
		f.Add("admin_token", "%s", secret.Mistake(token))
	case token != "" && len(token) < MinAdminTokenBytes:
		f.Add("admin_token", "has %d bytes; %d are the least", len(token), MinAdminTokenBytes)
	case !visible(token):
		f.Add("admin_token", "has characters that a header cannot carry; use letters and digits")
	}
}

func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r >= 0x7f })
}

func validateAddress(f *input.Faults, path, address string) bool {
	if _, err := net.ResolveTCPAddr("tcp", address); err != nil {
		advice := ""
		if _, err := input.Count(address); err == nil {
			advice = fmt.Sprintf("; write %q", ":"+address)
		}
		f.Add(path, "%q is not host:port%s", address, advice)
		return false
	}
	return true
}

func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

func (c IdentityConfig) validate() (f input.Faults) {
	spelled := map[string]string{}
	for name, field := range c.Headers {
		path := "headers." + name
		if other, twice := spelled[header.Fold(name)]; twice {
			f.Add(path, "a service could take it for %s", other)
		}
		spelled[header.Fold(name)] = name
		validateHeader(&f, path, name)
		f.OneOf(path, string(field), string(FieldID), string(FieldOpenID), string(FieldNickname), string(FieldAppID), string(FieldSession))
	}
	if c.Signed.Header == "" {
		return f
	}
	validateHeader(&f, "signed.header", c.Signed.Header)
	if spelled[header.Fold(c.Signed.Header)] != "" {
		f.Add("signed.header", "%q is one of identity.headers too", c.Signed.Header)
	}
	input.Between(&f, "signed.ttl", c.Signed.TTL, time.Second, 10*time.Minute)
	return f
}

func validateHeader(f *input.Faults, path, name string) {
	switch {
	case !strings.HasPrefix(header.Fold(name), "x-") || !validToken(name):
		f.Add(path, "%q is not a header name that begins with X-", name)
	case setByUs([]byte(name)):
		f.Add(path, "%q is a header that says something else to services", name)
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
