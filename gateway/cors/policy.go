package cors

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxgate/message"
)

// The fields of requests and answers (WHATWG Fetch §3.2.2, §3.2.3).
const (
	fieldOrigin           = "Origin"
	fieldRequestMethod    = "Access-Control-Request-Method"
	fieldRequestHeaders   = "Access-Control-Request-Headers"
	fieldAllowOrigin      = "Access-Control-Allow-Origin"
	fieldAllowCredentials = "Access-Control-Allow-Credentials"
	fieldAllowMethods     = "Access-Control-Allow-Methods"
	fieldAllowHeaders     = "Access-Control-Allow-Headers"
	fieldMaxAge           = "Access-Control-Max-Age"
	fieldExpose           = "Access-Control-Expose-Headers"
)

// Policy is a Config with at least one origin, ready for requests. It never changes.
type Policy struct {
	origins     Origins
	methods     string
	headers     string // empty: those that a preflight asks for
	exposed     []string
	credentials bool
	maxAge      string // in seconds
}

// New returns the policy of a valid configuration, nil when that names no origin. exposed are headers of answers that
// the pages of every policy may read.
func New(cfg Config, exposed ...string) *Policy {
	if len(cfg.Origins) == 0 {
		return nil
	}
	allowed := cfg.Methods
	if len(allowed) == 0 {
		allowed = methods()
	}
	return &Policy{
		origins: cfg.Origins, methods: strings.Join(allowed, ", "), headers: strings.Join(cfg.Headers, ", "),
		exposed: slices.Concat(exposed, cfg.Expose), credentials: cfg.Credentials, maxAge: strconv.Itoa(int(cfg.MaxAge / time.Second)),
	}
}

// Names reports whether an origin is one that the operator named: "*" names nobody.
func (p *Policy) Names(origin string) bool { return p != nil && p.origins.Match(origin) }

// IsPreflight reports whether a request is the question of a browser whether a page may send another one (WHATWG Fetch
// §3.2.2), and returns the method of that one.
func IsPreflight(req *message.Request) (method string, ok bool) {
	if req.Method != http.MethodOptions || len(req.Fields.Get(fieldOrigin)) == 0 {
		return "", false
	}
	asked := req.Fields.Get(fieldRequestMethod)
	return string(asked), len(asked) > 0
}

// AnswerPreflight makes resp the answer to a preflight, but for the fields of Apply.
func (p *Policy) AnswerPreflight(req, resp *message.Fields) {
	resp.Set("Vary", fieldRequestHeaders)
	if !p.allows(origin(req)) {
		return
	}
	resp.Set(fieldAllowMethods, p.methods)
	headers := p.headers
	if headers == "" {
		headers = requestedHeaders(req)
	}
	if headers != "" {
		resp.Set(fieldAllowHeaders, headers)
	}
	resp.Set(fieldMaxAge, p.maxAge)
}

// Apply lets the page that sent a request read its answer, if its origin is allowed. What a service has said of origins
// and credentials is replaced; the headers that it exposes stay exposed.
func (p *Policy) Apply(req, resp *message.Fields) {
	resp.DeleteFunc(func(name []byte) bool {
		return message.EqualFold(name, fieldAllowOrigin) || message.EqualFold(name, fieldAllowCredentials)
	})
	from := origin(req)
	if !p.origins.Any() {
		resp.AddVary(fieldOrigin)
	}
	switch {
	case !p.allows(from):
		return
	case p.origins.Any():
		resp.Add(fieldAllowOrigin, "*")
	default:
		resp.Add(fieldAllowOrigin, from)
	}
	if p.credentials {
		resp.Add(fieldAllowCredentials, "true")
	}
	p.expose(resp)
}

// allows reports whether the pages of an origin may read answers.
func (p *Policy) allows(origin string) bool { return p.origins.Any() || p.origins.Match(origin) }

// expose adds our headers to those that the service exposes, in one line.
func (p *Policy) expose(resp *message.Fields) {
	names := slices.Clone(p.exposed)
	for value := range resp.Values(fieldExpose) {
		for name := range strings.SplitSeq(string(value), ",") {
			name = strings.TrimSpace(name)
			if name != "" && !slices.ContainsFunc(names, func(other string) bool { return strings.EqualFold(name, other) }) {
				names = append(names, name)
			}
		}
	}
	resp.Set(fieldExpose, strings.Join(names, ", "))
}

// origin is the Origin of a request, "" when it has none or more than one.
func origin(req *message.Fields) string {
	var one []byte
	for value := range req.Values(fieldOrigin) {
		if one != nil {
			return ""
		}
		one = value
	}
	return string(one)
}

// requestedHeaders are the header names that a preflight asks for, "" if one of them is none.
func requestedHeaders(req *message.Fields) string {
	var names []string
	for value := range req.Values(fieldRequestHeaders) {
		for name := range bytes.SplitSeq(value, []byte{','}) {
			if name = bytes.TrimSpace(name); !isToken(name) {
				return ""
			}
			names = append(names, string(name))
		}
	}
	return strings.Join(names, ", ")
}

// isToken reports whether name is a valid header name (RFC 9110 §5.6.2).
func isToken(name []byte) bool {
	return len(name) > 0 && len(bytes.Trim(name, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")) == 0
}
