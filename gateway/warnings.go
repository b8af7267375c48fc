package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"wxgate/gateway/pay"
	"wxgate/gateway/push"
	"wxgate/gateway/route"
	"wxgate/input"
)

// Warnings reports routes that override an endpoint of the gateway: that is how a team keeps its own endpoint, and how
// logins break by mistake. c must be valid.
func (c Config) Warnings() (ws input.Warnings) {
	ours := c.endpoints()
	for i, r := range c.Routes {
		to := r.Upstream
		if to == "" {
			to = "a fixed answer"
		}
		for _, e := range ours {
			taken := r.Path == e.path && (len(r.Methods) == 0 || slices.Contains(r.Methods, e.method))
			if taken && !e.disabled(c) && e.priority != priorityHealth {
				ws.Warn("route-over-endpoint", fmt.Sprintf("routes[%d].path", i), "%s %s goes to %s, and the gateway's own endpoint is not reached", e.method, e.path, to)
			}
		}
	}
	return ws
}

// Covered is a configured route that would match requests for endpoints, if the gateway did not answer these itself.
type Covered struct {
	Route     int      // index in routes
	Path      string   // its host and path
	Endpoints []string // method and path of each
}

func (c Covered) String() string {
	return fmt.Sprintf("%s does not get what wxgate answers itself: %s; endpoints moves them, or switches them off",
		c.Path, strings.Join(c.Endpoints, ", "))
}

// Covered finds the routes below which endpoints lie. Routes of the very path of an endpoint are those of Warnings. c must
// be valid.
func (c Config) Covered() (all []Covered) {
	routes := c.routeIndexes()
	covered := map[int][]string{}
	for _, e := range c.endpoints() {
		if e.disabled(c) || e.method == http.MethodHead || e.method == http.MethodOptions {
			continue
		}
		pattern, _ := route.ParsePattern(e.path)
		at, _ := route.ParseRequestTarget([]byte(strings.ReplaceAll(e.path, ":", "")), nil)
		for _, host := range routes.Names() {
			i, found := routes.Of(host).Find(e.method, at.Folded)
			if line := e.method + " " + e.path; found && !routes.SpelledOut(host, pattern, e.method) && !slices.Contains(covered[i], line) {
				covered[i] = append(covered[i], line)
			}
		}
	}
	for i, r := range c.Routes {
		if len(covered[i]) > 0 {
			all = append(all, Covered{Route: i, Path: r.label(), Endpoints: covered[i]})
		}
	}
	return all
}

// routeIndexes finds the indexes of configured routes.
func (c Config) routeIndexes() *route.Table[int] {
	routes := new(route.Table[int])
	for i, r := range c.Routes {
		pattern, _ := route.ParsePattern(r.Path)
		host, _ := route.ParseHost(r.Host)
		for _, method := range route.MethodsOrAny(r.Methods) {
			routes.Of(host).Add(pattern, method, i)
		}
	}
	return routes
}

// Way is a route by which clients reach a path that a service keeps for the gateway.
type Way struct {
	Route int      // index in routes
	Path  string   // its host and path
	Auth  AuthMode // what it asks of clients
	Asked string   // the path that clients ask for; "": one of many that are rewritten
}

// Warning says what the way means. consequence follows "anybody can send requests to it, and".
func (w Way) Warning(consequence string) string {
	who := "whoever is logged in"
	if w.Auth.strictness() < AuthPrefetch.strictness() {
		who = "anybody"
	}
	text := fmt.Sprintf("routes[%d] (%s, auth: %s) leads there too: %s can send requests to it, and %s", w.Route, w.Path, w.Auth, who, consequence)
	if w.Asked != "" {
		text += fmt.Sprintf("; a route %s with respond: { status: 404 } closes it", w.Asked)
	}
	return text
}

// Ways finds the routes by which clients reach a target (path and query) of a service with a method, where no endpoint of
// the gateway answers instead. sameService reports whether two upstreams are one service; c must be valid.
func (c Config) Ways(service, method, target string, sameService func(a, b string) bool) (all []Way) {
	path, _, _ := strings.Cut(target, "?")
	routes := c.routeIndexes()
	for i, r := range c.Routes {
		if r.Upstream == "" || !sameService(r.Upstream, service) || len(r.Methods) > 0 && !slices.Contains(r.Methods, method) {
			continue
		}
		way := Way{Route: i, Path: r.label(), Auth: r.Auth}
		if r.Rewrite == "" {
			way.Asked = strings.TrimSuffix(r.StripPrefix, "/") + path
		}
		switch {
		case r.Rewrite != "" && !r.rewritesTo(path):
		case r.Rewrite == "" && (!finds(routes, method, way.Asked, i) || c.answers(method, way.Asked, r)):
		default:
			all = append(all, way)
		}
	}
	return all
}

// PushWays finds the routes by which clients reach what a service gets WeChat's messages at.
func (c Config) PushWays(sameService func(a, b string) bool) (all []Way) {
	for _, name := range c.PushUpstreams {
		for _, way := range c.Ways(name, http.MethodPost, push.Path, sameService) {
			if !slices.Contains(all, way) {
				all = append(all, way)
			}
		}
	}
	return all
}

// NotificationWays finds the routes by which clients reach what a service gets the notifications of a route with wechat_pay
// at, and that path. c must be valid.
func (c Config) NotificationWays(of RouteConfig, sameService func(a, b string) bool) (path string, all []Way) {
	sent := of.sentPattern()
	if sent.TakesRest() || strings.Contains(of.Path, "/:") {
		return "", nil // one of many
	}
	path = strings.TrimPrefix(of.Path, strings.TrimSuffix(of.StripPrefix, "/"))
	if of.Rewrite != "" {
		path = of.Rewrite
	}
	all = c.Ways(of.Upstream, http.MethodPost, path, sameService)
	return path, slices.DeleteFunc(all, func(w Way) bool { return !c.Routes[w.Route].WeChatPay.IsZero() })
}

// Merchants are the keys by which WeChat Pay signs for the routes with wechat_pay, by the index of the route.
type Merchants map[int]*pay.Keys

// Merchants reads the files of the routes with wechat_pay.
func (c Config) Merchants() (all Merchants, f input.Faults) {
	all = Merchants{}
	for i, r := range c.Routes {
		if r.WeChatPay.IsZero() {
			continue
		}
		keys, faults := r.WeChatPay.Load()
		all[i], f = keys, append(f, faults.At(fmt.Sprintf("routes[%d].wechat_pay", i))...)
	}
	return all, f
}

// Warnings are about certificates that expire.
func (m Merchants) Warnings(now time.Time) (ws input.Warnings) {
	for _, i := range slices.Sorted(maps.Keys(m)) {
		ws = append(ws, m[i].Warnings(now).At(fmt.Sprintf("routes[%d].wechat_pay", i))...)
	}
	return ws
}

// answers reports whether an endpoint answers requests for a path that would otherwise take a route.
func (c Config) answers(method, path string, instead RouteConfig) bool {
	return !strings.EqualFold(instead.Path, path) && slices.ContainsFunc(c.endpoints(), func(e endpoint) bool {
		return e.method == method && strings.EqualFold(e.path, path) && !e.disabled(c)
	})
}

// rewritesTo reports whether the route can send a path to its service, whatever other routes take from it.
func (r RouteConfig) rewritesTo(path string) bool {
	var sent route.Matcher[bool]
	sent.Add(r.sentPattern(), route.AnyMethod, true)
	at, ok := route.ParseRequestTarget([]byte(path), nil)
	if !ok {
		return false
	}
	found, _ := sent.Find(http.MethodGet, at.Folded)
	return found
}

// finds reports whether requests for a path take a route, on any host.
func finds(routes *route.Table[int], method, path string, wanted int) bool {
	at, ok := route.ParseRequestTarget([]byte(path), nil)
	return ok && slices.ContainsFunc(routes.Names(), func(host string) bool {
		i, found := routes.Of(host).Find(method, at.Folded)
		return found && i == wanted
	})
}

// endpoints are the endpoints under a configuration that is only looked at.
func (c Config) endpoints() []endpoint { return endpoints(&snapshot{cfg: c, pushes: c.pushes()}) }

// pushes is what a snapshot has of message push when only its paths are looked at.
func (c Config) pushes() push.Apps { return make(push.Apps, len(c.PushUpstreams)) }

// Opening is an open route that covers protected routes of the same service, or one for other callers that covers routes
// of an issuer: a request that the service, but no route, takes for one of these reaches it without a token, or with
// another one. Rails and Spring answer /admin.json like /admin.
type Opening struct {
	Route int      // index in routes
	Path  string   // its host and path
	Auth  AuthMode // none or optional, unless it is for other callers
	Holds []string // host and path of the protected routes
}

// Open reports whether the route needs no token at all.
func (o Opening) Open() bool { return o.Auth.strictness() < AuthPrefetch.strictness() }

// openingsNamed is how many protected routes String lists.
const openingsNamed = 3

func (o Opening) String() string {
	named, more := o.Holds, ""
	if len(named) > openingsNamed {
		named, more = named[:openingsNamed], fmt.Sprintf(" and %d more", len(named)-openingsNamed)
	}
	is, token := "is open and holds protected routes", "without a token"
	if !o.Open() {
		is, token = "holds routes of another issuer", "with a token of its own callers"
	}
	return fmt.Sprintf("%s (auth: %s) %s of the same service: %s%s; what the service takes for "+
		"one of them but is written otherwise, such as %s.json in Rails and Spring, arrives there %s",
		o.Path, o.Auth, is, strings.Join(named, ", "), more, cmp.Or(strings.TrimSuffix(strings.TrimSuffix(named[0], "/**"), "/"), "/admin"), token)
}

// Openings finds the routes that cover ones with other callers, by the paths that the service gets. sameService reports
// whether two upstreams are one service; c must be valid.
func (c Config) Openings(sameService func(a, b string) bool) []Opening {
	open := c.openRoutes()
	held := map[int][]string{}
	for i, r := range c.Routes {
		if r.open() || r.Upstream == "" {
			continue
		}
		sent := r.sentPattern()
		open.Holders(sent, func(candidates *[]int) {
			for _, o := range *candidates {
				if other := c.Routes[o]; other.opens(r) && sameService(r.Upstream, other.Upstream) && overlap(r, other) && !c.alias(o, i) {
					held[o] = append(held[o], r.label())
				}
			}
		})
	}
	var all []Opening
	for i, r := range c.Routes {
		if len(held[i]) > 0 {
			all = append(all, Opening{Route: i, Path: r.label(), Auth: r.Auth, Holds: held[i]})
		}
	}
	return all
}

// open reports whether the route needs no token.
func (r RouteConfig) open() bool { return r.Auth.strictness() < AuthPrefetch.strictness() }

// opens reports whether the route admits somebody to what is meant for the callers of a protected one.
func (r RouteConfig) opens(protected RouteConfig) bool {
	return r.open() || protected.Issuer != "" && r.Issuer != protected.Issuer
}

// openRoutes finds the indexes of routes that may open others by the paths that their services get.
func (c Config) openRoutes() *route.Matcher[*[]int] {
	open := new(route.Matcher[*[]int])
	ours := !slices.ContainsFunc(c.Routes, func(r RouteConfig) bool { return r.Issuer != "" })
	for i, r := range c.Routes {
		if !r.open() && ours || r.Upstream == "" {
			continue
		}
		same := new([]int)
		if other, taken := open.Add(r.sentPattern(), route.AnyMethod, same); taken {
			same = other
		}
		*same = append(*same, i)
	}
	return open
}

// alias reports whether an open route is a deliberate second way to a protected one: both match one path, or lead to
// one, or the open one is an exception for the path alone below which everything is protected.
func (c Config) alias(open, protected int) bool {
	o, p := c.Routes[open], c.Routes[protected]
	if p.sentPattern().TakesRest() && p.sentPattern().WithoutRest().SameShape(o.sentPattern()) {
		return true
	}
	same := o.sentPattern().SameShape(p.sentPattern())
	return same && (!o.sentPattern().TakesRest() || o.Rewrite == p.Rewrite && o.StripPrefix == p.StripPrefix)
}

// sentPattern is the pattern of the paths that the service gets, without a last slash.
func (r RouteConfig) sentPattern() route.Pattern {
	p, _ := route.ParsePattern(r.Path) // valid
	switch {
	case r.Rewrite != "":
		p, _ = route.ParsePattern(r.Rewrite)
	case r.StripPrefix != "":
		depth := strings.Count(strings.TrimSuffix(r.StripPrefix, "/"), "/")
		p = p.Below(depth)
	}
	return p.WithoutLastSlash()
}

// overlap reports whether two routes can match requests with the same host and method.
func overlap(a, b RouteConfig) bool {
	hosts := a.Host == "" || b.Host == "" || strings.EqualFold(a.Host, b.Host) || underHost(a.Host, b.Host) || underHost(b.Host, a.Host)
	methods := len(a.Methods) == 0 || len(b.Methods) == 0
	return hosts && (methods || slices.ContainsFunc(a.Methods, func(m string) bool { return slices.Contains(b.Methods, m) }))
}

// underHost reports whether *.suffix matches the host.
func underHost(host, wildcard string) bool {
	return strings.HasPrefix(wildcard, "*.") && strings.HasSuffix(strings.ToLower(host), strings.ToLower(wildcard[1:]))
}
