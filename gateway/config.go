package gateway

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/authn/issuer"
	"wxgate/authn/wechat"
	"wxgate/gateway/accesslog"
	"wxgate/gateway/admin"
	"wxgate/gateway/answer"
	"wxgate/gateway/certificate"
	"wxgate/gateway/cors"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/input"
	"wxgate/secret"
	"wxgate/upstream"
)

// Config is what gateway.yaml says about the edge: the sections server, routes, identity, endpoints, answers, limits and log.
type Config struct {
	Server   ServerConfig
	Routes   []RouteConfig
	Identity IdentityConfig
	Limits   limit.Config
	Log      LogConfig

	Endpoints EndpointsConfig
	Answers   answer.Config

	CloudRun          bool                // wechat.cloud_run: the X-WX-* headers of WeChat Cloud Run are trusted
	FunctionKey       secret.Text         // wechat.cloud_function_secret; empty: no signed openid is trusted
	Content           authn.ContentPolicy // of wechat.content_check
	PhoneByDecryption bool                // wechat.phone_by_decryption: encrypted data are accepted as a phone number
	PushUpstreams     []string            // wechat.push.upstream and those of wechat.apps; none: message push is off
	PublicKeys        bool                // authn.keys has public keys
	TokenFrom         []string            // authn.token_from: where the token may stand
	Issuers           []issuer.Config     // authn.issuers: whose tokens routes may want instead of ours
	Upstreams         []string            // the names that routes and wechat.push may use
	SetCookie         string              // authn.set_cookie: by which browsers keep it; "": by none

	VirtualPayments map[string]wechat.VirtualPaymentConfig // wechat.virtual_payment, by appid

	WebLogin wechat.WebLogin // wechat.official_account and wechat.website
}

// ServerConfig is the section server.
type ServerConfig struct {
	Listen         string             `yaml:"listen"`          // host:port of the public listener
	HTTP           string             `yaml:"http"`            // host:port of a listener that redirects to https; empty: none
	TLS            certificate.Config `yaml:"tls"`             // of the public listener
	HTTP3          bool               `yaml:"http3"`           // beside TLS, on the same port of UDP
	Admin          string             `yaml:"admin"`           // host:port of the admin listener, or unix:/path
	AdminTLS       certificate.Pair   `yaml:"admin_tls"`       // of the admin listener; empty: it is plain
	AdminToken     secret.Text        `yaml:"admin_token"`     // required by the admin listener; empty: it is on loopback
	Services       []admin.Service    `yaml:"services"`        // what services of the team may do on the admin listener, with tokens of their own
	TrustedProxies []limit.Network    `yaml:"trusted_proxies"` // whose X-Forwarded-* and X-Request-Id are trusted
	WeChatGateway  []limit.Network    `yaml:"wechat_gateway"`  // exit nodes of 微信网关: trusted proxies that say more
	ProxyProtocol  bool               `yaml:"proxy_protocol"`  // connections from there begin with a PROXY protocol header
	BodyLimit      input.Size         `yaml:"body_limit"`      // the largest request body; routes may set their own
	Compress       bool               `yaml:"compress"`        // text that services answer; routes may have their own
	HSTS           time.Duration      `yaml:"hsts"`            // how long browsers shall remember that there is TLS; 0: they are not told
	Timeouts       Timeouts           `yaml:"timeouts"`
	Connections    Connections        `yaml:"connections"`
	CORS           cors.Config        `yaml:"cors"` // of every route and endpoint; routes may have their own
}

// Reload returns s with everything that a running gateway can adopt from next: all but what belongs to the listeners.
func (s ServerConfig) Reload(next ServerConfig) ServerConfig {
	s.AdminToken, s.Services = next.AdminToken, next.Services
	s.TrustedProxies, s.ProxyProtocol, s.BodyLimit = next.TrustedProxies, next.ProxyProtocol, next.BodyLimit
	s.WeChatGateway = next.WeChatGateway
	s.Compress, s.HSTS, s.CORS = next.Compress, next.HSTS, next.CORS
	if s.TLS.Enabled() == next.TLS.Enabled() {
		s.TLS = next.TLS
	}
	if s.AdminTLS.Config().Enabled() == next.AdminTLS.Config().Enabled() {
		s.AdminTLS = next.AdminTLS
	}
	s.Timeouts.Request, s.Timeouts.PreDrain, s.Timeouts.Drain = next.Timeouts.Request, next.Timeouts.PreDrain, next.Timeouts.Drain
	return s
}

// Connections is server.connections: how many clients may be connected.
type Connections struct {
	Max        int `yaml:"max"`         // to the public listener; 0: as many as the file descriptors of the process allow, which is always a bound
	PerAddress int `yaml:"per_address"` // of these, from one public address (IPv6: /64), at most half of them; 0: no such bound
	Admin      int `yaml:"admin"`       // to the admin listener
}

// minAdminTokenBytes is the shortest server.admin_token that is accepted.
const minAdminTokenBytes = 16

// Timeouts is server.timeouts.
type Timeouts struct {
	ReadHeader time.Duration `yaml:"read_header"` // from a request's first byte to the end of its head
	Idle       time.Duration `yaml:"idle"`        // a keep-alive connection without a request
	Request    time.Duration `yaml:"request"`     // a whole request, waiting included; routes may set their own
	PreDrain   time.Duration `yaml:"pre_drain"`   // how long /readyz fails before a stop, while everything is still served
	Drain      time.Duration `yaml:"drain"`       // how long a stop waits for requests in flight
}

// IdentityConfig is the section identity.
type IdentityConfig struct {
	Headers              map[string]identityField `yaml:"headers"`               // header name -> what it carries
	Allow                []string                 `yaml:"allow"`                 // exact names of headers that look like identity and may pass
	ForwardAuthorization bool                     `yaml:"forward_authorization"` // false: the token stops here
	Signed               signedConfig             `yaml:"signed"`
}

// signedConfig is identity.signed: a short-lived token that proves to a service that a request passed the gateway.
type signedConfig struct {
	Header string        `yaml:"header"` // such as X-Identity; empty: none
	TTL    time.Duration `yaml:"ttl"`    // how long it is valid
}

// identityField is what an identity header carries.
type identityField string

// The fields of identity.headers.
const (
	fieldID       identityField = "id"
	fieldOpenID   identityField = "openid"
	fieldUnionID  identityField = "unionid"
	fieldNickname identityField = "nickname"
	fieldAppID    identityField = "appid"
	fieldSession  identityField = "session"
)

// LogConfig is the section log.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // auto, json, text, console
	Access bool   `yaml:"access"` // one line per request

	AccessStatus      []accesslog.Statuses `yaml:"access_status"`       // requests with these have one; empty: that is no reason
	AccessMinDuration time.Duration        `yaml:"access_min_duration"` // requests that take as long have one; 0: that is no reason
	AccessSample      float64              `yaml:"access_sample"`       // the part of them that does, but for failures and refusals
}

// filter is which requests have an access line.
func (l LogConfig) filter() accesslog.Filter {
	return accesslog.Filter{Statuses: l.AccessStatus, MinDuration: l.AccessMinDuration, Sample: l.AccessSample}
}

// DefaultConfig is the configuration of an empty gateway.yaml; it has no routes.
func DefaultConfig() Config {
	limits := limit.DefaultConfig()
	limits.Dials = upstream.DefaultDials
	return Config{
		Server: ServerConfig{
			Listen: ":8080", TLS: certificate.Config{Pairs: []certificate.Pair{}, ACME: certificate.DefaultACME()}, Admin: "127.0.0.1:9090", Services: []admin.Service{}, BodyLimit: 4 << 20,
			Timeouts: Timeouts{ReadHeader: 5 * time.Second, Idle: 75 * time.Second, Request: time.Minute, Drain: 30 * time.Second},
			// A phone opens ten, so 4096 are enough for a carrier's NAT with hundreds of users at a time.
			Connections: Connections{Max: 16384, PerAddress: 4096, Admin: 32},
			CORS:        cors.DefaultConfig(),
		},
		Identity: IdentityConfig{
			Headers: map[string]identityField{
				"X-User-Id": fieldID, "X-User-Openid": fieldOpenID, "X-User-Nickname": fieldNickname,
			},
			ForwardAuthorization: true,
			Signed:               signedConfig{TTL: time.Minute},
		},
		Endpoints: defaultEndpoints(),
		TokenFrom: []string{"Authorization"},
		Answers:   answer.DefaultConfig(),
		Limits:    limits,
		Log:       LogConfig{Level: "info", Format: "auto", Access: true, AccessStatus: []accesslog.Statuses{}, AccessSample: 1},
	}
}

// maxHeadBytes is the size of the largest head of a request, in bytes: enough for a token and cookies.
const maxHeadBytes = 16 << 10

// Validate reports every fault of the sections of this package, and of their combination.
func (c Config) Validate() input.Faults {
	f := slices.Concat(c.Server.validate().At("server"), c.Identity.validate().At("identity"), c.Endpoints.validate().At("endpoints"),
		c.Answers.Validate().At("answers"), c.Limits.Validate().At("limits"), c.Log.validate().At("log"))
	ours := newReservedHeaders(c)
	f = slices.Concat(f, c.validateTokenFrom(ours).At("authn"), c.validateSetCookie().At("authn"))
	f = append(f, c.Identity.validateAllow(ours).At("identity")...)
	f = append(f, c.validateIssuerHeaders().At("authn")...)
	for i, r := range c.Routes {
		f = append(f, r.validate(c.Upstreams, ours).At(fmt.Sprintf("routes[%d]", i))...)
		f = append(f, r.validateIssuer(c.Issuers).At(fmt.Sprintf("routes[%d]", i))...)
		f = append(f, c.validateWeChatPay(r).At(fmt.Sprintf("routes[%d]", i))...)
	}
	c.validateTable(&f)
	c.validateQuotas(&f)
	c.validateRisks(&f)
	c.validateShapes(&f)
	for _, name := range c.PushUpstreams {
		f.OneOf("wechat.push.upstream", name, c.Upstreams...)
	}
	if len(c.Routes) == 0 {
		f.Add("routes", "is empty, so nothing would be forwarded")
	}
	forwards := func(r RouteConfig) bool { return r.Upstream != "" }
	if len(c.Upstreams) == 0 && (len(c.PushUpstreams) > 0 || slices.ContainsFunc(c.Routes, forwards)) {
		f.Add("upstreams", "is empty, so routes lead nowhere; add a line below it: NAME: http://127.0.0.1:3000")
	}
	return f
}

// validateShapes bounds how many different answers there are.
func (c Config) validateShapes(f *input.Faults) {
	distinct := answer.Distinct{}
	distinct.Add(c.Answers)
	for _, own := range c.Endpoints.Answers { // at most 16
		distinct.Add(own.Over(c.Answers))
	}
	for i, r := range c.Routes {
		if !r.Answers.IsZero() && distinct.Add(r.Answers.Over(c.Answers)) {
			f.Add(fmt.Sprintf("routes[%d].answers", i), "is one more than the %d different ones that there may be", answer.MaxShapes)
			return
		}
	}
}

func (l LogConfig) validate() (f input.Faults) {
	f.OneOf("level", l.Level, "debug", "info", "warn", "error")
	f.OneOf("format", l.Format, "auto", "json", "text", "console")
	input.Between(&f, "access_min_duration", l.AccessMinDuration, 0, time.Hour)
	if !(l.AccessSample >= 0 && l.AccessSample <= 1) {
		f.Add("access_sample", "%v is not between 0 and 1", l.AccessSample)
	}
	return f
}

func (s ServerConfig) validate() (f input.Faults) {
	validateAddress(&f, "listen", s.Listen)
	f = append(f, s.TLS.Validate().At("tls")...)
	switch {
	case s.HTTP == "" || !validateAddress(&f, "http", s.HTTP):
	case !s.TLS.Enabled():
		f.Add("http", "redirects to https, and server.tls has neither a certificate nor a domain of acme")
	case samePort(s.HTTP, s.Listen):
		f.Add("http", "%q is the port of server.listen, where https is spoken: http comes to another one, such as :80", s.HTTP)
	}
	if s.HTTP3 && !s.TLS.Enabled() {
		f.Add("http3", "needs a certificate in server.tls")
	}
	s.validateHSTS(&f)
	s.validateAdmin(&f)
	f = append(f, s.credentials().Validate()...)
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
	input.Between(&f, "connections.admin", s.Connections.Admin, minAdminConnections, maxConnections)
	return append(f, s.CORS.Validate().At("cors")...)
}

// maxHSTS is two years, which is what lists of browsers ask for.
const maxHSTS = 2 * 365 * 24 * time.Hour

// validateHSTS allows it only where TLS is ours (RFC 6797 §7.2).
func (s ServerConfig) validateHSTS(f *input.Faults) {
	switch {
	case s.HSTS > 0 && !s.TLS.Enabled():
		f.Add("hsts", "is about https, and server.tls has no certificate; whatever has it should set this header")
	case s.HSTS > 0 && s.HSTS < time.Second:
		f.Add("hsts", "%v is less than a second, and 0 seconds would make browsers forget", s.HSTS)
	}
	input.Between(f, "hsts", s.HSTS, 0, maxHSTS)
}

// hsts is Strict-Transport-Security (RFC 6797 §6.1) as a configuration has it, "" if answers have none.
func (s ServerConfig) hsts() string {
	if s.HSTS == 0 || !s.TLS.Enabled() {
		return ""
	}
	return fmt.Sprintf("max-age=%d", s.HSTS/time.Second)
}

// minAdminConnections is enough for a probe, Prometheus and the operator.
const minAdminConnections = 4

// maxConnections is more than any process has descriptors.
const maxConnections = 1 << 24

// validateAdmin allows the admin listener where other machines reach it only with a token.
func (s ServerConfig) validateAdmin(f *input.Faults) {
	*f = append(*f, s.AdminTLS.Config().Validate().At("admin_tls")...)
	_, socket, err := input.Socket(s.Admin)
	valid := socket || validateAddress(f, "admin", s.Admin)
	switch token := s.AdminToken.Reveal(); {
	case err != nil:
		f.Add("admin", "%q: %v", s.Admin, err)
	case !socket && valid && samePort(s.Admin, s.Listen):
		f.Add("admin", "%q is the port of server.listen", s.Admin)
	case socket && s.AdminTLS.Config().Enabled():
		f.Add("admin_tls", "is of no use to a Unix socket, whose file says who may use it")
	case token == "" && valid && !s.adminOnThisMachine():
		f.Add("admin", "%q is not a loopback address, so it needs a server.admin_token", s.Admin)
	case secret.Mistake(token) != "":
		f.Add("admin_token", "%s", secret.Mistake(token))
	case token != "" && len(token) < minAdminTokenBytes:
		f.Add("admin_token", "has %d bytes; %d are the least", len(token), minAdminTokenBytes)
	case !isVisibleASCII(token):
		f.Add("admin_token", "has characters that a header cannot carry; use letters and digits")
	}
}

// credentials are those of the admin listener.
func (s ServerConfig) credentials() admin.Credentials {
	return admin.Credentials{Operator: s.AdminToken, Services: s.Services}
}

// adminOnThisMachine reports whether only this machine can reach the admin listener.
func (s ServerConfig) adminOnThisMachine() bool {
	_, socket, _ := input.Socket(s.Admin)
	return socket || loopback(s.Admin)
}

func isVisibleASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r >= 0x7f })
}

func validateAddress(f *input.Faults, path, address string) bool {
	if _, err := net.ResolveTCPAddr("tcp", address); err != nil {
		f.Add(path, "%s", notAnAddress(address))
		return false
	}
	return true
}

// notAnAddress says what is wrong with an address to listen on.
func notAnAddress(address string) string {
	_, port, err := net.SplitHostPort(address)
	switch _, notNumber := input.Count(port); {
	case err == nil && notNumber == nil: // the number is too large, or the host is none
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Sprintf("%q has a port that is not one of 0 to 65535", address)
		}
		return fmt.Sprintf("%q has a host that is no address of this machine", address)
	}
	if _, err := input.Count(address); err == nil {
		return fmt.Sprintf("%q is not host:port; write %q", address, ":"+address)
	}
	return fmt.Sprintf("%q is not host:port", address)
}

// samePort reports whether two valid addresses cannot be listened on beside each other.
func samePort(a, b string) bool {
	one, errOne := net.ResolveTCPAddr("tcp", a)
	other, errOther := net.ResolveTCPAddr("tcp", b)
	if errOne != nil || errOther != nil || one.Port == 0 || one.Port != other.Port {
		return false
	}
	everywhere := func(ip net.IP) bool { return len(ip) == 0 || ip.IsUnspecified() }
	return everywhere(one.IP) || everywhere(other.IP) || one.IP.Equal(other.IP)
}

func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	return input.IsLoopback(host)
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
		if literal, fixed := strings.CutPrefix(string(field), literalPrefix); fixed {
			if literal == "" || len(literal) > maxIdentityValue || !isVisibleASCII(literal) {
				f.Add(path, "%q is not %s and 1 to %d visible ASCII characters", field, literalPrefix, maxIdentityValue)
			}
			continue
		}
		f.OneOf(path, string(field), string(fieldID), string(fieldOpenID), string(fieldUnionID), string(fieldNickname), string(fieldAppID), string(fieldSession))
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
	case header.Owned([]byte(name)):
		f.Add(path, "%q is a header that means something else to services", name)
	}
}

// validToken reports whether name is a valid header name (RFC 9110 §5.6.2).
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
