package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"wxgate/gateway/route"
)

func (r RouteConfig) validate(f *faults, path string, upstreams []string, ours *reserved) {
	if _, err := route.ParsePattern(r.Path); err != nil {
		f.add(path+".path", "%v", err)
	}
	for i, m := range r.Methods {
		f.oneOf(fmt.Sprintf("%s.methods[%d]", path, i), m, forwardable()...)
	}
	if _, err := route.ParseHost(r.Host); err != nil {
		f.add(path+".host", "%v", err)
	}
	r.validateDestination(f, path, upstreams)
	f.oneOf(path+".auth", string(r.Auth), string(AuthRequired), string(AuthOptional), string(AuthNone), string(AuthPrefetch))
	if r.BodyLimit < 0 {
		f.add(path+".body_limit", "%v is negative", r.BodyLimit)
	}
	if r.GetBody != "" {
		f.oneOf(path+".get_body", r.GetBody, Refuse, Allow)
	}
	f.within(path+".timeout", r.Timeout, 0, time.Hour)
	r.Headers.validate(f, path+".headers", ours)
	r.validateRateLimit(f, path+".rate_limit")
}

// validateDestination wants one of the two: an upstream, or an answer that the route itself gives.
func (r RouteConfig) validateDestination(f *faults, path string, upstreams []string) {
	switch fixed := r.Respond != (FixedAnswer{}); {
	case fixed && r.Upstream != "":
		f.add(path+".respond", "stands beside an upstream; which one is meant?")
	case fixed:
		r.Respond.validate(f, path+".respond")
	case r.Upstream == "":
		f.add(path+".upstream", "is empty; name one of upstreams")
	default:
		f.oneOf(path+".upstream", r.Upstream, upstreams...)
	}
	if r.StripPrefix != "" && (!strings.HasPrefix(r.Path+"/", strings.TrimSuffix(r.StripPrefix, "/")+"/") || strings.ContainsAny(r.StripPrefix, ":*")) {
		f.add(path+".strip_prefix", "%q is not a literal beginning of %q", r.StripPrefix, r.Path)
	}
	if r.Rewrite == "" {
		return
	}
	if _, err := route.NewRewriting(r.Path, r.Rewrite); err != nil {
		f.add(path+".rewrite", "%v", err)
	}
	if r.StripPrefix != "" {
		f.add(path+".rewrite", "stands beside strip_prefix; it can do both")
	}
}

func (r RouteConfig) validateRateLimit(f *faults, path string) {
	if r.RateLimit == (LimitConfig{}) {
		return
	}
	r.RateLimit.validate(f, path, PerUser, PerIP, PerRoute)
	if r.RateLimit.Per == PerUser && r.Auth == AuthNone {
		f.add(path+".per", "user needs users, and with auth: none nobody is known")
	}
}

func (a FixedAnswer) validate(f *faults, path string) {
	switch {
	case a.Status == 0:
		f.add(path+".body", "is there without a status")
	case a.Status < http.StatusOK || a.Status > 599:
		f.add(path+".status", "%d is not between 200 and 599", a.Status)
	case a.Body != "" && (a.Status == http.StatusNoContent || a.Status == http.StatusNotModified):
		f.add(path+".body", "an answer with status %d has none", a.Status)
	}
}

// validateTable reports routes that claim the same requests.
func (c Config) validateTable(f *faults) {
	var claimed route.Table[int]
	for i, r := range c.Routes {
		pattern, err := route.ParsePattern(r.Path)
		host, ill := route.ParseHost(r.Host)
		if err != nil || ill != nil {
			continue
		}
		for _, method := range route.MethodsOrAny(r.Methods) {
			if other, taken := claimed.Of(host).Add(pattern, method, i); taken {
				f.add(fmt.Sprintf("routes[%d].path", i), "%s %s is what routes[%d] (%s) says too; which one is meant?",
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
