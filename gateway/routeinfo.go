package gateway

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"

	"wxgate/gateway/admin/dashboard"
	"wxgate/gateway/answer"
	"wxgate/gateway/apidoc"
	"wxgate/gateway/route"
	"wxgate/input"
)

// RouteInfo is a route or an endpoint as shown to an operator.
type RouteInfo struct {
	Methods   []string `json:"methods,omitempty"` // empty: all
	Host      string   `json:"host,omitempty"`    // empty: any
	Path      string   `json:"path"`              // the pattern
	Auth      AuthMode `json:"auth"`
	Issuer    string   `json:"issuer,omitempty"`           // whose tokens it wants, a name in authn.issuers; "": ours
	Query     string   `json:"token_query,omitempty"`      // the query parameter that may hold the token
	PathRules []string `json:"path_rules,omitempty"`       // what of routes[].path_rules is allowed
	Relocates string   `json:"rewrite_location,omitempty"` // the prefix that Location and the paths of cookies get back
	Response  []string `json:"response_headers,omitempty"` // what is set and removed of answers of the service
	Compress  bool     `json:"compress,omitempty"`         // text that the service answers is compressed
	To        string   `json:"to"`                         // the upstream, "wxgate" for an endpoint, "respond" for a fixed answer
	Endpoint  string   `json:"endpoint,omitempty"`         // its key in the section endpoints; empty: it has none
	RateLimit string   `json:"rate_limit,omitempty"`       // all that apply, such as "600/m burst 60 per user"
	BodyLimit string   `json:"body_limit"`
	Timeout   string   `json:"timeout"`
	Answers   string   `json:"answers"` // how our own answers look: a preset, and what differs from it
}

// Routes lists all routes and endpoints of a configuration, which must be valid, as they are in the route table.
func Routes(cfg Config) ([]RouteInfo, error) {
	p, err := newOfflinePipeline(cfg, io.Discard)
	if err != nil {
		return nil, err
	}
	return p.snapshot.Load().infos(), nil
}

// infos lists all routes and endpoints of a snapshot.
func (r *snapshot) infos() (all []RouteInfo) {
	list := func(host string, m *route.Matcher[*routeEntry]) {
		seen := map[*routeEntry]bool{}
		m.Each(func(to *routeEntry) {
			if !seen[to] && !to.disabled && (host == "" || to.ours == "") { // endpoints are entered for every host
				all = append(all, to.info(r))
			}
			seen[to] = true
		})
	}
	for _, host := range r.routes.Names() {
		list(host, r.routes.Of(host))
	}
	slices.SortFunc(all, func(a, b RouteInfo) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path), slices.Compare(a.Methods, b.Methods))
	})
	return all
}

// shownRoutes returns what lists the routes in force for the dashboard, anew for each configuration. It is not called twice at once.
func (g *Gateway) shownRoutes() func() []dashboard.Route {
	var of *snapshot
	var routes []dashboard.Route
	return func() []dashboard.Route {
		now := g.snapshot.Load()
		if now == of {
			return routes
		}
		of, routes = now, []dashboard.Route{}
		for _, info := range now.infos() {
			routes = append(routes, dashboard.Route{Path: info.Path, Host: info.Host, Methods: append([]string{}, info.Methods...), Auth: string(info.Auth), To: info.To})
		}
		return routes
	}
}

// PublicAPI is the description of the endpoints that c has where c has them, apart from those that WeChat alone calls. c must be
// valid.
func (c Config) PublicAPI(version string) (apidoc.Document, error) {
	var places []apidoc.Place
	routes := c.routeIndexes()
	for _, e := range c.endpoints() {
		pattern, _ := route.ParsePattern(e.path)
		if e.disabled(c) || e.name == endpointPush || e.name == endpointVerifyFile || routes.SpelledOut("", pattern, e.method) {
			continue
		}
		own, _ := c.Endpoints.answersAt(e.path)
		answers := own.Over(c.Answers).String()
		places = append(places, apidoc.Place{
			Endpoint: e.label, Method: e.method, Path: e.path, TokenQuery: e.query, OtherShape: e.name != endpointHealth && answers != answer.PresetEnvelope,
		})
	}
	return apidoc.Public(version, c.Server.publicly(), c.TokenFrom, places)
}

// publicly is where clients most likely find the public listener. Only the operator knows what is in front of it.
func (s ServerConfig) publicly() apidoc.Server {
	if domains := s.TLS.ACME.Domains; len(domains) > 0 {
		return apidoc.Server{URL: "https://" + domains[0], Description: "A domain of server.tls.acme."}
	}
	scheme := "http://"
	if s.TLS.Enabled() {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(s.Listen)
	if ip, notIP := netip.ParseAddr(host); err == nil && (host == "" || notIP == nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return apidoc.Server{URL: scheme + net.JoinHostPort(host, port), Description: "From the machine of the gateway. Clients use the name of what is in front of it."}
}

// Login is where a program can log in with nothing but a code of wx.login: the first such path of the section endpoints
// that no route takes. ok reports whether there is one. c must be valid.
func (c Config) Login() (method, path string, ok bool) {
	routes := c.routeIndexes()
	for _, e := range c.endpoints() {
		pattern, _ := route.ParsePattern(e.path)
		if (e.name == endpointLogin || e.name == endpointLoginSkey) && !routes.SpelledOut("", pattern, e.method) {
			return e.method, e.path, true
		}
	}
	return "", "", false
}

// info is the route as shown to an operator.
func (r *routeEntry) info(of *snapshot) RouteInfo {
	info := RouteInfo{
		Methods: r.methods, Host: r.host, Path: strings.TrimPrefix(r.pattern, r.host),
		Auth: r.auth, Issuer: r.issuer, Query: r.tokenQuery, To: cmp.Or(r.upstreamID, "respond"),
		Answers: cmp.Or(r.answers, of.answers).String(), BodyLimit: input.Size(r.bodyLimit).String(),
		Response: r.answerChanges.List(), Compress: r.compress, Timeout: cmp.Or(r.timeout, of.cfg.Server.Timeouts.Request).String(),
	}
	for _, rule := range pathRules() {
		if r.allows&rule.allowance != 0 {
			info.PathRules = append(info.PathRules, rule.key)
		}
	}
	if r.relocation != nil {
		info.Relocates = r.relocation.Prefix()
	}
	if r.ours != "" {
		info.To = "wxgate"
	}
	if r.precheck != nil && r.ours == "" {
		info.Auth = AuthWeChatPay
	}
	if r.ours != endpointHealth && r.ours != endpointPreflight {
		info.Endpoint = string(r.ours)
	}
	if r.ours == endpointRefresh {
		info.Auth = AuthRequired
	}
	limits := r.extraLimits
	if r.limit != nil {
		limits = append([]string{r.limit.String()}, limits...)
	}
	if r.riskLimit != nil {
		limits = append(limits, fmt.Sprintf("%v from risk rank %d on", r.riskLimit, r.riskRank))
	}
	if r.quota.PerDay != 0 {
		limits = append(limits, r.quota.String())
	}
	info.RateLimit = strings.Join(limits, ", ")
	return info
}
