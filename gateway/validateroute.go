package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"wxgate/gateway/limit"
	"wxgate/gateway/route"
	"wxgate/input"
)

func (r RouteConfig) validate(upstreams []string, ours *reserved) (f input.Faults) {
	if _, err := route.ParsePattern(r.Path); err != nil {
		f.Add("path", "%v", err)
	}
	for i, m := range r.Methods {
		f.OneOf(fmt.Sprintf("methods[%d]", i), m, forwardable()...)
	}
	if _, err := route.ParseHost(r.Host); err != nil {
		f.Add("host", "%v", err)
	}
	r.validateDestination(&f, upstreams)
	r.validateRewriting(&f)
	f.OneOf("auth", string(r.Auth), string(AuthRequired), string(AuthOptional), string(AuthNone), string(AuthPrefetch))
	if r.BodyLimit < 0 {
		f.Add("body_limit", "%v is negative", r.BodyLimit)
	}
	if r.GetBody != "" {
		f.OneOf("get_body", r.GetBody, Refuse, Allow)
	}
	input.Between(&f, "timeout", r.Timeout, 0, time.Hour)
	f = append(f, r.Headers.validate(ours).At("headers")...)
	r.validateRateLimit(&f)
	return f
}

// validateDestination wants one of the two: an upstream, or an answer that the route itself gives.
func (r RouteConfig) validateDestination(f *input.Faults, upstreams []string) {
	switch fixed := r.Respond != (FixedAnswer{}); {
	case fixed && r.Upstream != "":
		f.Add("respond", "stands beside an upstream; which one is meant?")
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
		f.Add("strip_prefix", "%q is not a literal beginning of %q", r.StripPrefix, r.Path)
	}
	if r.Rewrite == "" {
		return
	}
	if _, err := route.NewRewriting(r.Path, r.Rewrite); err != nil {
		f.Add("rewrite", "%v", err)
	}
	if r.StripPrefix != "" {
		f.Add("rewrite", "stands beside strip_prefix; it can do both")
	}
}

func (r RouteConfig) validateRateLimit(f *input.Faults) {
	if r.RateLimit == (limit.BucketConfig{}) {
		return
	}
	*f = append(*f, r.RateLimit.Validate(limit.PerUser, limit.PerIP, limit.PerRoute).At("rate_limit")...)
	if r.RateLimit.Per == limit.PerUser && r.Auth == AuthNone {
		f.Add("rate_limit.per", "user needs users, and with auth: none nobody is known")
	}
}

func (a FixedAnswer) validate(f *input.Faults) {
	switch {
	case a.Status == 0:
		f.Add("respond.body", "is there without a status")
	case a.Status < http.StatusOK || a.Status > 599:
		f.Add("respond.status", "%d is not between 200 and 599", a.Status)
	case a.Body != "" && (a.Status == http.StatusNoContent || a.Status == http.StatusNotModified):
		f.Add("respond.body", "an answer with status %d has none", a.Status)
	}
}

// validateTable reports routes that claim the same requests.
func (c Config) validateTable(f *input.Faults) {
	var claimed route.Table[int]
	for i, r := range c.Routes {
		pattern, err := route.ParsePattern(r.Path)
		host, ill := route.ParseHost(r.Host)
		if err != nil || ill != nil {
			continue
		}
		for _, method := range route.MethodsOrAny(r.Methods) {
			if other, taken := claimed.Of(host).Add(pattern, method, i); taken {
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
