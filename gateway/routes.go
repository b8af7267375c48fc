package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/gateway/wire"
	"wxgate/upstream"
)

// chain is the walk of every request, outermost first. The order is the security model: whatever a step decides, no
// later one can be reached around it. What follows it is serve: an endpoint of ours, or identity injected and forwarded
// upstream. A request that expects 100-continue walks it twice, at first to admit instead.
func (g *Gateway) chain() []fiber.Handler {
	return []fiber.Handler{
		g.begin,            // request id and client address, before anything that logs
		g.observe,          // outside authentication: 401 and 429 are traffic too
		g.recoverPanic,     // inside observe, so that a panic is counted as the 500 it becomes
		g.expectation,      // nothing but 100-continue can be expected of us
		g.stripIdentity,    // X-User-* from outside never survives, on public routes too
		g.overrideMethod,   // before routing and authentication: they decide on the method that the service gets
		g.matchRoute,       // on the bytes that are forwarded; a path with two readings is 400
		once(g.limitRoute), // before signatures are checked and WeChat is asked
		g.limitBody,        // a length over the route's limit is 413 before any of the body is read
		g.authenticate,     // required unless the route says otherwise
	}
}

// endpoint is a path that the gateway answers itself.
type endpoint struct {
	method string
	path   string
	auth   AuthMode
	limit  *limiter[netip.Addr]
	serve  fiber.Handler
}

// endpoints is the gateway's own API. A configured route wins over one of them only where it is the same path, spelled
// out.
func (g *Gateway) endpoints(r *rules) []endpoint {
	const get, post, put = fiber.MethodGet, fiber.MethodPost, fiber.MethodPut
	all := []endpoint{
		{post, "/api/v1/auth/wx-login", AuthNone, r.logins, g.login},
		{post, "/api/v1/auth/wechat-login", AuthNone, r.logins, g.login},
		{post, "/api/v1/user/login", AuthNone, r.logins, g.loginSecondDialect},
		{post, "/api/v1/auth/refresh", AuthNone, nil, g.refresh}, // takes expired tokens too, so it reads them itself
		{post, "/api/v1/auth/logout", AuthRequired, nil, g.logout},
		{post, "/api/v1/auth/cloud-login", AuthNone, r.logins, g.cloudLogin},
		{post, "/api/v1/auth/decrypt", AuthRequired, nil, g.decrypt},
		{post, "/api/v1/auth/phone", AuthRequired, nil, g.phone},
		{get, "/api/v1/auth/sessions", AuthRequired, nil, g.sessions},
		{fiber.MethodDelete, "/api/v1/auth/sessions/:id", AuthRequired, nil, g.endSession},
		{get, "/.well-known/jwks.json", AuthNone, nil, g.jwks},
		{get, "/api/v1/user/profile", AuthRequired, nil, g.profile},
		{put, "/api/v1/user/profile", AuthRequired, nil, g.updateProfile},
		{get, "/healthz", AuthNone, nil, g.healthz},
		{fiber.MethodHead, "/healthz", AuthNone, nil, g.healthz},
		{get, "/", AuthNone, nil, g.healthz}, // WeChat Cloud Run probes / without a token
		{fiber.MethodHead, "/", AuthNone, nil, g.healthz},
	}
	if r.push == nil {
		return all
	}
	return append(all, endpoint{get, pushPath, AuthNone, nil, g.answerPushTest}, endpoint{post, pushPath, AuthNone, nil, g.takePush})
}

// endpointBodyLimit is the largest body of an endpoint; encryptedData of WeChat stays far below.
const endpointBodyLimit = 64 << 10

// route is what a matched request is treated by: a configured route or an endpoint.
type route struct {
	pattern     string // the label of metrics and logs
	auth        AuthMode
	bodyLimit   int64
	timeout     time.Duration
	stripPrefix string
	limit       *limiter[netip.Addr] // nil: none
	endpoint    fiber.Handler        // nil: forwarded
	upstream    *upstream.Upstream   // nil: an endpoint
	upstreamID  string               // the upstream's name
}

// router finds the route of a request.
type router struct{ matcher[*route] }

// newRouter enters the configured routes first: an endpoint of the same path and method then stays out.
func (g *Gateway) newRouter(r *rules) (*router, error) {
	table := new(router)
	for i, cfg := range r.cfg.Routes {
		p, err := parsePattern(cfg.Path)
		if err != nil {
			return nil, fmt.Errorf("routes[%d].path: %w", i, err)
		}
		made, err := r.newRoute(cfg)
		if err != nil {
			return nil, fmt.Errorf("routes[%d]: %w", i, err)
		}
		for _, method := range orAny(cfg.Methods) {
			table.add(p, method, made)
		}
	}
	for _, e := range g.endpoints(r) {
		if err := table.addEndpoint(e); err != nil {
			return nil, err
		}
	}
	return table, nil
}

func (r *router) addEndpoint(e endpoint) error {
	p, err := parsePattern(e.path)
	if err != nil {
		return fmt.Errorf("endpoint %s: %w", e.path, err)
	}
	if r.spelledOut(p, e.method) {
		return nil
	}
	r.add(p, e.method, &route{pattern: e.path, auth: e.auth, bodyLimit: endpointBodyLimit, limit: e.limit, endpoint: e.serve})
	return nil
}

// spelledOut says whether a configured route has exactly this pattern for the method, or for all methods.
func (r *router) spelledOut(p pattern, method string) bool {
	n := &r.root
	for _, s := range p.segments {
		n = n.child(s)
	}
	_, ok := byMethod(n.here, method)
	return ok
}

func (r *rules) newRoute(cfg RouteConfig) (*route, error) {
	to, known := r.upstreams[cfg.Upstream]
	if !known {
		return nil, fmt.Errorf("upstream: there is no %q", cfg.Upstream)
	}
	made := &route{
		pattern: cfg.Path, auth: cfg.Auth, bodyLimit: int64(cfg.BodyLimit), timeout: cfg.Timeout,
		stripPrefix: cfg.StripPrefix, upstream: to, upstreamID: cfg.Upstream,
	}
	if made.bodyLimit == 0 {
		made.bodyLimit = int64(r.cfg.Server.BodyLimit)
	}
	if made.timeout == 0 {
		made.timeout = r.cfg.Server.Timeouts.Request
	}
	return made, nil
}

// matchRoute reads the target once and picks the route.
func (g *Gateway) matchRoute(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	t, ok := parseTarget(wire.OriginForm(c.Method(), c.Request().Header.RequestURI()), ex.decoded[:0])
	if !ok || c.Method() == methodOther {
		return errInvalidRequest
	}
	ex.target = t
	found, ok := ex.rules.routes.find(c.Method(), t.folded)
	if !ok {
		return errNoRoute
	}
	ex.route = found
	return c.Next()
}

// limitRoute refuses a client that asks too often.
func (g *Gateway) limitRoute(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	if ex.route.limit != nil && !ex.route.limit.allow(subscriber(ex.client)) {
		g.metrics.rateLimited.WithLabelValues(ex.route.pattern, "ip").Inc()
		return errRateLimited
	}
	return c.Next()
}

// authenticate demands a token as the route says.
func (g *Gateway) authenticate(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	switch ex.route.auth {
	case AuthNone:
		return c.Next()
	case AuthPrefetch:
		return g.prefetch(c, ex)
	case AuthOptional:
		if !authn.HasCredentials(c) {
			return g.cloudOrNobody(c, ex)
		}
	case AuthRequired:
		if ex.cloud != nil && !authn.HasCredentials(c) {
			return g.asCloud(c, ex)
		}
	}
	return g.deps.Authn.Bearer(c)
}

// serve does what the request came for.
func (g *Gateway) serve(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	if ex.route.endpoint == nil {
		return g.forward(c, ex)
	}
	ctx, cancel := ex.context()
	defer cancel()
	c.SetUserContext(ctx)
	return ex.route.endpoint(c)
}

// context bounds work on a request. fasthttp's own context ends when a shutdown begins; a login that is under way must
// not.
func (ex *exchange) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), ex.rules.cfg.Server.Timeouts.Request)
}
