package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"wxgate/authn/issuer"
	"wxgate/gateway/answer"
	"wxgate/gateway/cors"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/pay"
	"wxgate/gateway/quota"
	"wxgate/gateway/route"
	"wxgate/input"
)

// RouteConfig is one entry of routes.
type RouteConfig struct {
	Path        string          `yaml:"path"`             // "/a/:name/**": :name is one segment, ** the rest
	Methods     []string        `yaml:"methods"`          // empty: all
	Host        string          `yaml:"host"`             // "api.example.com", "*.example.com"; empty: any
	Upstream    string          `yaml:"upstream"`         // a name of upstreams
	Auth        AuthMode        `yaml:"auth"`             // what is asked of clients: required, optional, none or prefetch
	Issuer      string          `yaml:"issuer"`           // whose tokens it wants, one of authn.issuers; empty: ours
	TokenQuery  string          `yaml:"token_query"`      // the query parameter that may hold the token of GET and HEAD; empty: none
	StripPrefix string          `yaml:"strip_prefix"`     // removed from the path before it is forwarded
	Rewrite     string          `yaml:"rewrite"`          // the path that is forwarded, with :name and ** of path
	PathRules   PathRules       `yaml:"path_rules"`       // what may stand in the path of a request
	Relocate    bool            `yaml:"rewrite_location"` // Location and the paths of cookies get strip_prefix back
	BodyLimit   input.Size      `yaml:"body_limit"`       // 0: server.body_limit
	GetBody     string          `yaml:"get_body"`         // whether GET and HEAD may have content: refuse or allow; empty: refuse
	Timeout     time.Duration   `yaml:"timeout"`          // 0: server.timeouts.request
	RateLimit   RateLimitConfig `yaml:"rate_limit"`       // the zero value: none
	Headers     RouteHeaders    `yaml:"headers"`          // of the request, for the service
	Response    RouteHeaders    `yaml:"response_headers"` // of the answer, for the client
	Compress    *bool           `yaml:"compress"`         // nil: server.compress
	Respond     fixedAnswer     `yaml:"respond"`          // the zero value: the upstream answers
	CORS        *cors.Config    `yaml:"cors"`             // nil: server.cors; without origins: none
	Answers     answer.Config   `yaml:"answers"`          // how refusals look; the zero value: as the section answers says
	WeChatPay   pay.Config      `yaml:"wechat_pay"`       // whose notifications it takes; the zero value: it takes requests
}

// ExamplePath is a path that the route matches, with rest in the place of **.
func (r RouteConfig) ExamplePath(rest string) string {
	segments := strings.Split(r.Path, "/")
	for i, segment := range segments {
		switch {
		case strings.HasPrefix(segment, ":"):
			segments[i] = "1"
		case segment == "**":
			segments[i] = rest
		}
	}
	return strings.Join(segments, "/")
}

// RouteHeaders is routes[].headers and routes[].response_headers: how headers that are passed on differ from those that
// were received.
type RouteHeaders struct {
	Set    map[string]string `yaml:"set"`    // name -> value; a received one is replaced
	Remove []string          `yaml:"remove"` // names
}

// fixedAnswer is routes[].respond: an answer without an upstream.
type fixedAnswer struct {
	Status int    `yaml:"status"` // of the answer; 0: the upstream answers
	Body   string `yaml:"body"`   // JSON, or else plain text
}

// SetDefaults sets the values that a route entry need not mention.
func (r *RouteConfig) SetDefaults() {
	r.Auth, r.GetBody, r.PathRules = AuthRequired, refuse, PathRules{refuse, refuse, refuse, refuse}
}

// What a route does with something that is well formed, but that a service may misread. Empty is refuse.
const (
	refuse = "refuse"
	allow  = "allow"
)

// PathRules is routes[].path_rules: refuse or allow, for what services read in different ways.
type PathRules struct {
	EncodedSlash   string `yaml:"encoded_slash"`   // %2F
	Semicolon      string `yaml:"semicolon"`       // ;
	EncodedPercent string `yaml:"encoded_percent"` // %25 before two hexadecimal digits
	EdgeSpace      string `yaml:"edge_space"`      // white space at an end of a segment
}

// pathRule is one of PathRules.
type pathRule struct {
	key       string
	allowance route.Allowances
	of        func(PathRules) string
}

func pathRules() []pathRule {
	return []pathRule{
		{"encoded_slash", route.EncodedSlash, func(p PathRules) string { return p.EncodedSlash }},
		{"semicolon", route.Semicolon, func(p PathRules) string { return p.Semicolon }},
		{"encoded_percent", route.EncodedPercent, func(p PathRules) string { return p.EncodedPercent }},
		{"edge_space", route.EdgeSpace, func(p PathRules) string { return p.EdgeSpace }},
	}
}

func (p PathRules) validate() (f input.Faults) {
	for _, rule := range pathRules() {
		if set := rule.of(p); set != "" {
			f.OneOf(rule.key, set, refuse, allow)
		}
	}
	return f
}

// allowances are what the rules let pass.
func (p PathRules) allowances() (all route.Allowances) {
	for _, rule := range pathRules() {
		if rule.of(p) == allow {
			all |= rule.allowance
		}
	}
	return all
}

// AuthMode decides who may use a route.
type AuthMode string

// The modes of routes[].auth.
const (
	AuthRequired AuthMode = "required" // only with a valid token
	AuthOptional AuthMode = "optional" // without a token as an anonymous user; a bad token is refused
	AuthNone     AuthMode = "none"     // tokens are ignored
	AuthPrefetch AuthMode = "prefetch" // WeChat's pre-fetch: ?code or ?token identifies the user
)

// strictness orders the modes by what they require of the caller.
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

// StricterThan reports whether a mode requires more of the caller than another one.
func (m AuthMode) StricterThan(other AuthMode) bool { return m.strictness() > other.strictness() }

func (r RouteConfig) validate(upstreams []string, ours *reservedHeaders) (f input.Faults) {
	if r.Path == "" {
		f.Add("path", `is empty; write which requests it is for, such as /api/**. Each "- " begins another route`)
	} else if _, err := route.ParsePattern(r.Path); err != nil {
		f.Add("path", "%v", err)
	}
	for i, m := range r.Methods {
		path := fmt.Sprintf("methods[%d]", i)
		f.OneOf(path, m, forwardable()...)
		if slices.Contains(r.Methods[:i], m) {
			f.Add(path, "%q is there already", m)
		}
	}
	if _, err := route.ParseHost(r.Host); err != nil {
		f.Add("host", "%v", err)
	}
	r.validateDestination(&f, upstreams)
	r.validateRewriting(&f)
	f.OneOf("auth", string(r.Auth), string(AuthRequired), string(AuthOptional), string(AuthNone), string(AuthPrefetch))
	r.validateTokenQuery(&f)
	if r.BodyLimit < 0 {
		f.Add("body_limit", "%v is negative", r.BodyLimit)
	}
	if r.GetBody != "" {
		f.OneOf("get_body", r.GetBody, refuse, allow)
	}
	f = append(f, r.PathRules.validate().At("path_rules")...)
	input.Between(&f, "timeout", r.Timeout, 0, time.Hour)
	f = append(f, r.Headers.validate(ours.refusesInRequest).At("headers")...)
	f = append(f, r.Response.validate(ours.refusesInAnswer).At("response_headers")...)
	r.validateRateLimit(&f)
	if r.CORS != nil {
		f = append(f, r.CORS.Validate().At("cors")...)
	}
	f = append(f, r.Answers.ValidateRoute().At("answers")...)
	return f
}

// validateWeChatPay reports the faults of wechat_pay, and what a route of notifications cannot have.
func (c Config) validateWeChatPay(r RouteConfig) (f input.Faults) {
	switch {
	case r.WeChatPay.IsZero():
		return nil
	case c.CloudRun:
		f = r.WeChatPay.ValidateUnsigned().At("wechat_pay")
	default:
		f = r.WeChatPay.Validate().At("wechat_pay")
	}
	if !slices.Equal(r.Methods, []string{http.MethodPost}) {
		f.Add("methods", "notifications of wechat_pay come by POST alone: write [POST]")
	}
	for _, other := range []struct {
		key string
		set bool
	}{
		{"auth", r.Auth != AuthRequired},
		{"issuer", r.Issuer != ""},
		{"token_query", r.TokenQuery != ""},
		{"body_limit", r.BodyLimit != 0},
		{"respond", r.Respond != fixedAnswer{}},
		{"rate_limit.quota", r.RateLimit.Quota != 0},
		{"answers", !r.Answers.IsZero()},
	} {
		if other.set {
			f.Add(other.key, "conflicts with wechat_pay: WeChat's signature stands for a token, and WeChat Pay decides what it sends and reads; leave it out")
		}
	}
	return f
}

// validateIssuer reports the faults of issuer.
func (r RouteConfig) validateIssuer(issuers []issuer.Config) (f input.Faults) {
	if r.Issuer == "" {
		return nil
	}
	names := make([]string, len(issuers))
	for i, each := range issuers {
		names[i] = each.Name
	}
	if len(names) == 0 {
		f.Add("issuer", "%q is not in authn.issuers, which is empty", r.Issuer)
	}
	f.OneOf("issuer", r.Issuer, names...)
	switch r.Auth {
	case AuthNone:
		f.Add("issuer", "has no effect with auth: none, which looks at no token")
	case AuthPrefetch:
		f.Add("issuer", "conflicts with auth: prefetch, which is for users of the mini-program")
	case AuthRequired, AuthOptional:
	}
	return f
}

// validateDestination requires exactly one of an upstream and a fixed answer.
func (r RouteConfig) validateDestination(f *input.Faults, upstreams []string) {
	switch fixed := r.Respond != (fixedAnswer{}); {
	case fixed && r.Upstream != "":
		f.Add("respond", "conflicts with upstream; keep one of the two")
	case fixed:
		r.Respond.validate(f)
	case r.Upstream == "":
		f.Add("upstream", "is empty; name one of upstreams")
	default:
		f.OneOf("upstream", r.Upstream, upstreams...)
	}
}

func (r RouteConfig) validateRewriting(f *input.Faults) {
	if r.StripPrefix != "" && (!strings.HasPrefix(r.Path+"/", strings.TrimSuffix(r.StripPrefix, "/")+"/") || strings.ContainsAny(r.StripPrefix, ":*")) {
		f.Add("strip_prefix", "%q is not a literal beginning of %q, such as /api of /api/**", r.StripPrefix, r.Path)
	}
	if r.Relocate && route.NewRelocation(r.StripPrefix) == nil {
		f.Add("rewrite_location", "needs a strip_prefix, whose paths it puts back")
	}
	if r.Rewrite == "" {
		return
	}
	if _, err := route.NewRewriting(r.Path, r.Rewrite); err != nil {
		f.Add("rewrite", "%v", err)
	}
	if r.StripPrefix != "" {
		f.Add("rewrite", "conflicts with strip_prefix; rewrite alone can do both")
	}
}

// RateLimitConfig is routes[].rate_limit: how often at a time, and how often in a day. The zero value is no limit.
type RateLimitConfig struct {
	Per       string      `yaml:"per"`   // one of limit.PerUser, limit.PerIP, limit.PerRoute
	Rate      limit.Rate  `yaml:"rate"`  // in the long run; 0, without burst: there is only a quota
	Burst     int         `yaml:"burst"` // at once
	Risk      RiskConfig  `yaml:"risk"`
	Quota     quota.Daily `yaml:"quota"`      // of each user, counted in the store; 0: none
	QuotaName string      `yaml:"quota_name"` // routes with the same one share a quota; empty: the path
	QuotaOpen bool        `yaml:"quota_open"` // requests pass while the store does not answer; false: they are 503
}

// RiskConfig is routes[].rate_limit.risk: the limit of requests in which WeChat sees a risk. The zero value is none.
type RiskConfig struct {
	Rank  int        `yaml:"rank"` // from which on the requests are counted here, and not with the others: 1 to 4
	Rate  limit.Rate `yaml:"rate"`
	Burst int        `yaml:"burst"` // how many may come at once
}

// bucket is the limit of requests without a risk, the zero value if there is none.
func (c RateLimitConfig) bucket() limit.BucketConfig {
	if (c.Quota != 0 || c.Risk != (RiskConfig{})) && c.Rate == (limit.Rate{}) && c.Burst == 0 {
		return limit.BucketConfig{}
	}
	return limit.BucketConfig{Per: c.Per, Rate: c.Rate, Burst: c.Burst}
}

// riskBucket is the limit of requests with a risk, the zero value if they are counted like the others.
func (c RateLimitConfig) riskBucket() limit.BucketConfig {
	if c.Risk == (RiskConfig{}) {
		return limit.BucketConfig{}
	}
	return limit.BucketConfig{Per: c.Per, Rate: c.Risk.Rate, Burst: c.Risk.Burst}
}

// quota is that of the users of a route, the zero value if there is none.
func (r RouteConfig) quota() quota.Quota {
	if r.RateLimit.Quota == 0 {
		return quota.Quota{}
	}
	return quota.Quota{Name: cmp.Or(r.RateLimit.QuotaName, r.label()), PerDay: r.RateLimit.Quota, Open: r.RateLimit.QuotaOpen}
}

func (r RouteConfig) validateRateLimit(f *input.Faults) {
	if r.RateLimit == (RateLimitConfig{}) {
		return
	}
	bucket, risky := r.RateLimit.bucket(), r.RateLimit.riskBucket()
	if bucket != (limit.BucketConfig{}) || r.RateLimit.Quota == 0 && risky == (limit.BucketConfig{}) {
		*f = append(*f, bucket.Validate(limit.PerUser, limit.PerIP, limit.PerRoute).At("rate_limit")...)
	} else {
		f.OneOf("rate_limit.per", r.RateLimit.Per, limit.PerUser, limit.PerIP, limit.PerRoute)
	}
	if risky != (limit.BucketConfig{}) {
		input.Between(f, "rate_limit.risk.rank", r.RateLimit.Risk.Rank, 1, header.MaxRiskRank)
		risky.Per = limit.PerUser // which was judged above
		*f = append(*f, risky.Validate(limit.PerUser).At("rate_limit.risk")...)
	}
	if r.RateLimit.Per == limit.PerUser && r.Auth == AuthNone {
		f.Add("rate_limit.per", "user needs to know the user, and auth: none identifies nobody")
	}
	r.validateQuota(f)
}

// validateQuota allows a quota where every request has a user of ours: nobody else may cause something to be stored.
func (r RouteConfig) validateQuota(f *input.Faults) {
	switch q := r.quota(); {
	case q.PerDay == 0 && r.RateLimit.QuotaName != "":
		f.Add("rate_limit.quota_name", "is there without a quota")
	case q.PerDay == 0 && r.RateLimit.QuotaOpen:
		f.Add("rate_limit.quota_open", "is there without a quota")
	case q.PerDay == 0:
	case r.RateLimit.Per != limit.PerUser:
		f.Add("rate_limit.quota", "is of one user: write per: user")
	case r.Auth == AuthOptional:
		f.Add("rate_limit.quota", "needs to know the user of every request, and auth: optional admits others")
	case r.Issuer != "":
		f.Add("rate_limit.quota", "conflicts with issuer: it counts users of the mini-program")
	case len(q.Name) > quota.MaxName || !isVisibleASCII(q.Name):
		f.Add("rate_limit.quota_name", "%q is not 1 to %d visible ASCII characters; services use it to read and grant the quota", q.Name, quota.MaxName)
	}
}

// validateQuotas reports routes that share the name of a quota and mean different ones.
func (c Config) validateQuotas(f *input.Faults) {
	first := map[string]int{}
	for i, r := range c.Routes {
		q := r.quota()
		if q == (quota.Quota{}) {
			continue
		}
		if other, shared := first[q.Name]; !shared {
			first[q.Name] = i
		} else if c.Routes[other].quota() != q {
			f.Add(fmt.Sprintf("routes[%d].rate_limit.quota", i), "differs from that of routes[%d], which has the same name %q; write the same, or another quota_name", other, q.Name)
		}
	}
}

// validateRisks reports limits by a rank that nobody gives.
func (c Config) validateRisks(f *input.Faults) {
	for i, r := range c.Routes {
		if r.RateLimit.Risk != (RiskConfig{}) && len(c.Server.WeChatGateway) == 0 {
			f.Add(fmt.Sprintf("routes[%d].rate_limit.risk", i), "needs server.wechat_gateway: 微信网关 ranks the risk, and nobody else is believed")
		}
	}
}

// Quotas are those of all routes, each once, by name.
func (c Config) Quotas() (all []quota.Quota) {
	for _, r := range c.Routes {
		if q := r.quota(); q != (quota.Quota{}) && !slices.Contains(all, q) {
			all = append(all, q)
		}
	}
	slices.SortFunc(all, func(a, b quota.Quota) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (a fixedAnswer) validate(f *input.Faults) {
	switch {
	case a.Status == 0:
		f.Add("respond.body", "is there without a status")
	case a.Status < http.StatusOK || a.Status > 599:
		f.Add("respond.status", "%d is not between 200 and 599", a.Status)
	case a.Body != "" && (a.Status == http.StatusNoContent || a.Status == http.StatusNotModified):
		f.Add("respond.body", "an answer with status %d has none", a.Status)
	}
}

// validateTable reports routes that match the same requests.
func (c Config) validateTable(f *input.Faults) {
	var claimed route.Table[int]
	for i, r := range c.Routes {
		pattern, err := route.ParsePattern(r.Path)
		host, ill := route.ParseHost(r.Host)
		if err != nil || ill != nil {
			continue
		}
		for _, method := range route.MethodsOrAny(r.Methods) {
			if other, taken := claimed.Of(host).Add(pattern, method, i); taken && other != i { // a method twice is a fault of methods
				f.Add(fmt.Sprintf("routes[%d].path", i), "%s %s is what routes[%d] (%s) says too; which one is meant?",
					methodName(method), r.label(), other, c.Routes[other].label())
			}
		}
	}
}

// label names a route in metrics, logs and errors: its path, after its host when it has one.
func (r RouteConfig) label() string { return strings.ToLower(r.Host) + r.Path }

func methodName(method string) string {
	if method == route.AnyMethod {
		return "every method of"
	}
	return method
}

const setByUs = "is set by the gateway itself"

// refusesInRequest is why a route must not set or remove a header of requests, "" if it may. It continues a sentence that
// begins with the name.
func (r *reservedHeaders) refusesInRequest(name string) string {
	switch {
	case r.contains([]byte(name)):
		return "says who is calling; only the gateway may set it"
	case header.Owned([]byte(name)) || isOfConnection(name):
		return setByUs
	}
	return ""
}

// refusesInAnswer is the same for answers.
func (r *reservedHeaders) refusesInAnswer(name string) string {
	switch folded := header.Fold(name); {
	case r.contains([]byte(name)):
		return "is one of the gateway's own, and no service may answer with it"
	case isOfConnection(name), header.Folded([]byte(name), "x-request-id"), strings.HasPrefix(folded, "ratelimit"):
		return setByUs
	case folded == "content-encoding", folded == "content-range":
		return "says how the body is to be read, which stays as it is"
	case strings.HasPrefix(folded, "set-cookie"):
		return "belongs to one user; a route would give everybody the same cookie, or take everybody's away"
	case strings.HasPrefix(folded, "access-control-"):
		return "is for cors to say"
	}
	return ""
}

// isOfConnection reports whether a header frames a message or belongs to one connection.
func isOfConnection(name string) bool {
	return header.HopByHop([]byte(name)) || strings.HasPrefix(header.Fold(name), "sec-websocket-")
}

// validate refuses what a route must not decide.
func (h RouteHeaders) validate(refuses func(name string) string) (f input.Faults) {
	spelled := map[string]string{}
	check := func(path, name string) {
		switch {
		case !validToken(name):
			f.Add(path, "%q is not a header name", name)
		case refuses(name) != "":
			f.Add(path, "%s %s", name, refuses(name))
		case spelled[header.Fold(name)] != "":
			f.Add(path, "could be taken for %s, which is listed here too", spelled[header.Fold(name)])
		}
		spelled[header.Fold(name)] = name
	}
	for _, name := range slices.Sorted(maps.Keys(h.Set)) {
		check("set."+name, name)
		if value := h.Set[name]; strings.TrimSpace(value) != value || strings.ContainsFunc(value, notInField) {
			f.Add("set."+name, "has characters that a header cannot carry; use visible ASCII")
		}
	}
	for i, name := range h.Remove {
		check(fmt.Sprintf("remove[%d]", i), name)
	}
	return f
}

// notInField reports whether a header value must not contain the character (RFC 9110 §5.5, without obs-text).
func notInField(r rune) bool { return r < 0x20 && r != '\t' || r >= 0x7f }

// Hosts are the hosts of routes, if each of them has one; none: any host is served.
func (c Config) Hosts() (hosts []string) {
	for _, r := range c.Routes {
		if r.Host == "" {
			return nil
		}
		hosts = append(hosts, r.Host)
	}
	return hosts
}
