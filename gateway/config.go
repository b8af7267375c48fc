package gateway

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"wxgate/gateway/limit"
	"wxgate/secret"
	"wxgate/upstream"
)

// Config is what gateway.yaml says about the edge: the sections server, routes, identity, limits and log.
type Config struct {
	Server   ServerConfig
	Routes   []RouteConfig
	Identity IdentityConfig
	Limits   limit.Config
	Log      LogConfig

	CloudRun          bool        // wechat.cloud_run: the X-WX-* headers of WeChat Cloud Run are believed
	FunctionKey       secret.Text // wechat.cloud_function_secret; empty: no signed openid is believed
	PhoneByDecryption bool        // wechat.phone_by_decryption: encrypted data are taken for a phone number
	PushUpstream      string      // wechat.push.upstream; empty: message push is off
	PublicKeys        bool        // authn.keys has some that anybody may verify with
	Upstreams         []string    // the names that routes and wechat.push may use
}

// ServerConfig is the section server.
type ServerConfig struct {
	Listen         string          `yaml:"listen"`          // host:port of the public listener
	Admin          string          `yaml:"admin"`           // host:port of the operator's listener
	AdminToken     secret.Text     `yaml:"admin_token"`     // what the operator's listener demands; empty: it is on loopback
	TrustedProxies []limit.Network `yaml:"trusted_proxies"` // whose X-Forwarded-* and X-Request-Id are believed
	ProxyProtocol  bool            `yaml:"proxy_protocol"`  // connections from there begin with a PROXY protocol header
	BodyLimit      Size            `yaml:"body_limit"`      // the largest request body; routes may set their own
	Timeouts       Timeouts        `yaml:"timeouts"`
	Connections    Connections     `yaml:"connections"`
}

// Reload is c with what a running gateway takes over from next: all but what belongs to the listeners.
func (c ServerConfig) Reload(next ServerConfig) ServerConfig {
	c.AdminToken, c.TrustedProxies, c.ProxyProtocol, c.BodyLimit = next.AdminToken, next.TrustedProxies, next.ProxyProtocol, next.BodyLimit
	c.Timeouts.Request, c.Timeouts.PreDrain, c.Timeouts.Drain = next.Timeouts.Request, next.Timeouts.PreDrain, next.Timeouts.Drain
	return c
}

// Connections is server.connections: how many clients may be connected.
type Connections struct {
	Max        int `yaml:"max"`         // to the public listener; 0: as many as the descriptors of the process bear, which always bounds them
	PerAddress int `yaml:"per_address"` // of these, from one public address (IPv6: /64), half of them at most; 0: no such bound
	Admin      int `yaml:"admin"`       // to the admin listener
}

// MinAdminTokenBytes is the shortest server.admin_token that is accepted.
const MinAdminTokenBytes = 16

// Timeouts is server.timeouts.
type Timeouts struct {
	ReadHeader time.Duration `yaml:"read_header"` // from a request's first byte to the end of its head
	Idle       time.Duration `yaml:"idle"`        // a keep-alive connection without a request
	Request    time.Duration `yaml:"request"`     // a request with all its waiting; routes may set their own
	PreDrain   time.Duration `yaml:"pre_drain"`   // how long before a stop /readyz says so, while everything is served
	Drain      time.Duration `yaml:"drain"`       // how long a stop waits for requests in flight
}

// RouteConfig is one entry of routes.
type RouteConfig struct {
	Path        string             `yaml:"path"`     // "/a/:name/**": :name is one segment, ** the rest
	Methods     []string           `yaml:"methods"`  // empty: all
	Host        string             `yaml:"host"`     // "api.example.com", "*.example.com"; empty: any
	Upstream    string             `yaml:"upstream"` // a name of upstreams
	Auth        AuthMode           `yaml:"auth"`
	StripPrefix string             `yaml:"strip_prefix"` // removed from the path before it is forwarded
	Rewrite     string             `yaml:"rewrite"`      // the path that is forwarded, with :name and ** of path
	BodyLimit   Size               `yaml:"body_limit"`   // 0: server.body_limit
	GetBody     string             `yaml:"get_body"`     // whether GET and HEAD may have content: Refuse or Allow
	Timeout     time.Duration      `yaml:"timeout"`      // 0: server.timeouts.request
	RateLimit   limit.BucketConfig `yaml:"rate_limit"`   // the zero value: none
	Headers     RouteHeaders       `yaml:"headers"`
	Respond     FixedAnswer        `yaml:"respond"` // the zero value: the upstream answers
}

// RouteHeaders is routes[].headers: what the service gets otherwise than the client sent it.
type RouteHeaders struct {
	Set    map[string]string `yaml:"set"`    // name -> value; the client's own is replaced
	Remove []string          `yaml:"remove"` // names
}

// FixedAnswer is routes[].respond: an answer without an upstream.
type FixedAnswer struct {
	Status int    `yaml:"status"`
	Body   string `yaml:"body"`
}

// SetDefaults is the route as it is when its entry says nothing.
func (r *RouteConfig) SetDefaults() { r.Auth, r.GetBody = AuthRequired, Refuse }

// What a route does with something that is well formed, but that a service may misread.
const (
	Refuse = "refuse"
	Allow  = "allow"
)

// AuthMode says who may use a route.
type AuthMode string

// The modes of routes[].auth.
const (
	AuthRequired AuthMode = "required" // only with a valid token
	AuthOptional AuthMode = "optional" // without a token as nobody; a bad token is refused
	AuthNone     AuthMode = "none"     // tokens are not looked at
	AuthPrefetch AuthMode = "prefetch" // WeChat's pre-fetch: ?code or ?token says who it is for
)

// strictness orders the modes by what they ask of who calls.
func (m AuthMode) strictness() int {
	switch m {
	case AuthNone:
		return 0
	case AuthOptional:
		return 1
	case AuthPrefetch:
		return 2
	}
	return 3
}

// IdentityConfig is the section identity.
type IdentityConfig struct {
	Headers              map[string]IdentityField `yaml:"headers"`               // header name -> what it carries
	ForwardAuthorization bool                     `yaml:"forward_authorization"` // false: the token stops here
	Signed               SignedConfig             `yaml:"signed"`
}

// SignedConfig is identity.signed: a short token that proves to a service that the gateway vouches for a request.
type SignedConfig struct {
	Header string        `yaml:"header"` // such as X-Identity; empty: none
	TTL    time.Duration `yaml:"ttl"`    // how long the proof holds
}

// IdentityField is what an identity header carries.
type IdentityField string

// The fields of identity.headers.
const (
	FieldID       IdentityField = "id"
	FieldOpenID   IdentityField = "openid"
	FieldNickname IdentityField = "nickname"
	FieldAppID    IdentityField = "appid"
	FieldSession  IdentityField = "session"
)

// LogConfig is the section log.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // json, text
	Access bool   `yaml:"access"` // one line a request
}

// DefaultConfig is the edge as it is when gateway.yaml says nothing; it has no routes.
func DefaultConfig() Config {
	limits := limit.DefaultConfig()
	limits.Dials = upstream.DefaultDials
	return Config{
		Server: ServerConfig{
			Listen: ":8080", Admin: "127.0.0.1:9090", BodyLimit: 4 << 20,
			Timeouts: Timeouts{ReadHeader: 5 * time.Second, Idle: 75 * time.Second, Request: time.Minute, Drain: 30 * time.Second},
			// A phone opens ten, so 4096 bear a carrier's NAT with hundreds of users at a time.
			Connections: Connections{Max: 16384, PerAddress: 4096, Admin: 32},
		},
		Identity: IdentityConfig{
			Headers: map[string]IdentityField{
				"X-User-Id": FieldID, "X-User-Openid": FieldOpenID, "X-User-Nickname": FieldNickname,
			},
			ForwardAuthorization: true,
			Signed:               SignedConfig{TTL: time.Minute},
		},
		Limits: limits,
		Log:    LogConfig{Level: "info", Format: "json", Access: true},
	}
}

// headBuffer is the size of the buffer that one request head must fit into, in bytes: a token, cookies and room.
const headBuffer = 16 << 10

// Size is a number of bytes, written as 512, 64KiB, 4MiB or 2GiB.
type Size int64

// UnmarshalText reads a Size.
func (s *Size) UnmarshalText(text []byte) error {
	digits, shift := string(text), 0
	for unit, bits := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if cut, found := strings.CutSuffix(digits, unit); found {
			digits, shift = strings.TrimSpace(cut), bits
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > 1<<40>>shift {
		return fmt.Errorf("%q is not a size such as 64KiB or 4MiB", text)
	}
	*s = Size(n << shift)
	return nil
}

// String writes a Size as UnmarshalText reads it.
func (s Size) String() string {
	for shift, unit := range []string{30: "GiB", 20: "MiB", 10: "KiB"} {
		if unit != "" && s >= 1<<shift && s%(1<<shift) == 0 && s>>shift < 1024 {
			return strconv.FormatInt(int64(s>>shift), 10) + unit
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
