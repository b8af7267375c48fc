package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"wxgate/gateway/answer"
	"wxgate/gateway/cors"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/pay"
	"wxgate/gateway/quota"
	"wxgate/gateway/route"
	"wxgate/gateway/wire"
	"wxgate/upstream"
)

// chain lists the steps of every request, outermost first. The order is the security model: no step can be reached
// without passing the ones before it. The last step is serve: an endpoint of ours, or identity injected and the request
// forwarded. explain replaces authenticate and serve.
func (p *pipeline) chain(authenticate, serve Step) []Step {
	return []Step{
		p.openExchange,              // request ID and client address, before anything that logs
		p.observer.observe,          // outside authentication: 401 and 429 are traffic too
		p.observer.recoverPanic,     // inside observe, so that a panic is counted as the 500 it becomes
		checkExpectation,            // only 100-continue is supported
		p.clients.stripIdentity,     // X-User-* from outside never survives, on public routes too
		overrideMethod,              // before routing and authentication: they must see the method that the service gets
		matchRoute,                  // on the bytes that are forwarded; a path with two readings is 400
		filterAddress,               // denied addresses; health checks are exempt, so it needs the route
		p.limits.limitRoute,         // before signatures are checked and WeChat is called
		refuseContent,               // content of a GET, which a service may parse as another request
		limitBody,                   // a length over the route's limit is 413 before any of the body is read
		p.admission.releaseCapacity, // whatever the outcome, the slot and quota acquired below are released
		authenticate,                // required unless the route says otherwise
		p.limits.limitUser,          // the user is known only now
		checkFields,                 // fields a service could interpret differently; after authentication, whose 401 is more specific
		p.admission.paceRetry,       // early retries after an overloaded answer, before they cost anything more
		p.admission.limitClient,     // concurrency of one client; an invalid token does not count for a user
		bufferBody,                  // before a slot is acquired: a slow sender of a short body holds none
		p.admission.shed,            // over capacity, 503 at once: logins first, health checks never
		explainInstead,              // to `wxgate prove`, what would be served; whatever is refused above is refused to it too
		p.quotas.charge,             // a write to the store, so only what is about to be served pays for it
		p.answers.change,            // what a service has answered, and no refusal: response_headers, then compression
		serve,
	}
}

// routeEntry is how a matched request is handled: a configured route or an endpoint.
type routeEntry struct {
	pattern       string       // the label of metrics and logs: host and path
	methods       []string     // empty: all
	host          string       // empty: any
	ours          endpointName // which of the gateway's own endpoints; "": a configured route
	disabled      bool         // it has no function under this configuration
	priority      priority     // under overload
	auth          AuthMode
	issuer        string         // whose tokens it wants; empty: ours
	callerHeaders []callerHeader // what services are told of its callers
	tokenQuery    string         // the query parameter that may hold the token; empty: none
	bodyLimit     int64
	allowGetBody  bool // GET and HEAD may have content
	allows        route.Allowances
	timeout       time.Duration
	rewrite       *route.Rewriting  // nil: the request target is not rewritten
	relocation    *route.Relocation // of answers; nil: none
	changes       header.Changes
	answerChanges header.AnswerChanges // of services, or fixed
	compress      bool                 // the same
	limit         *limit.Bucket        // nil: none
	riskLimit     *limit.Bucket        // instead, from a rank of risk on; nil: none
	riskRank      int
	quota         quota.Quota            // of its users; the zero value: none
	extraLimits   []string               // further limits that are counted by the endpoint
	precheck      Step                   // what the header is judged by instead of a token; nil: a token
	endpoint      Step                   // nil: forwarded
	needsStore    bool                   // the endpoint needs the store
	upstream      *upstream.Upstream     // nil: an endpoint
	upstreamID    string                 // the upstream's name
	adaptive      *limit.Adaptive        // on the upstream; nil: an endpoint
	baseline      limit.Baseline         // of its response times
	cors          *cors.Policy           // nil: the service decides
	preflight     *routeEntry            // what answers preflights for it; nil: nothing does
	series        atomic.Pointer[series] // of its last answer
	answers       *answer.Shape          // how refusals look; nil: as the section answers says
	keepStatus    bool                   // whoever asks goes by the status of a refusal
}

// newRoutes adds the configured routes first: an endpoint of the same path and method is then left out.
func (p *pipeline) newRoutes(r *snapshot) (*route.Table[*routeEntry], error) {
	t := route.NewTable((*routeEntry).stricterThan)
	for i, cfg := range r.cfg.Routes {
		if err := p.addRoute(t, r, cfg, r.merchants[i]); err != nil {
			return nil, fmt.Errorf("routes[%d]: %w", i, err)
		}
	}
	protectHead(t, r.cfg)
	hosts := t.Names()
	for _, e := range endpoints(r) {
		if err := p.addEndpoint(t, hosts, e, r); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// addRoute adds a route. keys are those of its wechat_pay, nil without the section.
func (p *pipeline) addRoute(t *route.Table[*routeEntry], r *snapshot, cfg RouteConfig, keys *pay.Keys) error {
	pattern, err := route.ParsePattern(cfg.Path)
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	host, err := route.ParseHost(cfg.Host)
	if err != nil {
		return fmt.Errorf("host: %w", err)
	}
	made, err := p.newRoute(r, cfg)
	if err == nil && !cfg.WeChatPay.IsZero() {
		err = takeNotifications(p, made, r, cfg, keys)
	}
	if err != nil {
		return err
	}
	policy := r.cors
	if cfg.CORS != nil {
		policy = newCORS(*cfg.CORS)
	}
	r.addCORS(made, policy)
	r.ambiguous = r.ambiguous || made.allows != 0
	for _, method := range route.MethodsOrAny(cfg.Methods) {
		t.Of(host).Add(pattern, method, made)
	}
	return nil
}

// protectHead makes a protected route for GET match HEAD as well, unless a route of the same path does: services answer
// HEAD as they answer GET (RFC 9110 §9.3.2), and next to an open /** HEAD would reach them without a token.
func protectHead(t *route.Table[*routeEntry], cfg Config) {
	for _, r := range cfg.Routes {
		if r.Auth != AuthRequired || !slices.Contains(r.Methods, http.MethodGet) {
			continue
		}
		p, _ := route.ParsePattern(r.Path) // both were parsed before
		host, _ := route.ParseHost(r.Host)
		protected, _ := t.Of(host).Add(p, http.MethodGet, nil) // it exists
		t.Of(host).Add(p, http.MethodHead, protected)
	}
}

// stricterThan reports whether a route requires more of the caller than another one, or at least as much by tokens of
// another issuer.
func (r *routeEntry) stricterThan(other *routeEntry) bool {
	return r.auth.StricterThan(other.auth) || r.issuer != other.issuer && !other.auth.StricterThan(r.auth)
}

// addEndpoint adds an endpoint for every host that has routes, so that no host overrides it merely by being more
// specific.
func (p *pipeline) addEndpoint(t *route.Table[*routeEntry], hosts []string, e endpoint, r *snapshot) error {
	pattern, err := route.ParsePattern(e.path)
	if err != nil {
		return fmt.Errorf("endpoints.%s: %w", e.name, err)
	}
	made := &routeEntry{
		keepStatus: e.name == endpointPush || e.name == endpointJWKS || e.name == endpointHealth || e.name == endpointVerifyFile,
		pattern:    e.path, methods: []string{e.method}, ours: e.name, disabled: e.disabled(r.cfg),
		priority: e.priority, auth: e.auth, tokenQuery: e.query, needsStore: e.needsStore(),
		bodyLimit: endpointBodyLimit, limit: e.limit, extraLimits: e.extraLimits(r.cfg),
		endpoint: func(ex *Exchange) error { return e.serve(p, ex) },
	}
	if e.check != nil {
		made.precheck = func(ex *Exchange) error {
			if err := e.check(p, ex); err != nil {
				return err
			}
			return ex.next()
		}
	}
	own, ok := r.cfg.Endpoints.answersAt(e.path)
	switch {
	case e.name == endpointHealth: // load balancers and scripts know the envelope
		made.answers, err = r.shapes.Of(answer.DefaultConfig())
	case ok:
		made.answers, err = r.shapes.Of(own.Over(r.cfg.Answers))
	}
	if err != nil {
		return fmt.Errorf("endpoints.answers: %w", err)
	}
	r.addCORS(made, r.cors)
	var free []string // looked up before the first is added: a host also matches entries for any host
	for _, host := range hosts {
		if !t.SpelledOut(host, pattern, e.method) {
			free = append(free, host)
		}
	}
	for _, host := range free {
		t.Of(host).Add(pattern, e.method, made)
	}
	return nil
}

func (p *pipeline) newRoute(r *snapshot, cfg RouteConfig) (*routeEntry, error) {
	made := &routeEntry{
		pattern: cfg.label(), methods: slices.Sorted(slices.Values(cfg.Methods)), host: strings.ToLower(cfg.Host),
		auth: cfg.Auth, issuer: cfg.Issuer, tokenQuery: cfg.TokenQuery, allows: cfg.PathRules.allowances(),
		bodyLimit: int64(cfg.BodyLimit), allowGetBody: cfg.GetBody == allow, timeout: cfg.Timeout,
		changes: header.NewChanges(cfg.Headers.Set, cfg.Headers.Remove), upstreamID: cfg.Upstream,
		answerChanges: header.NewAnswerChanges(cfg.Response.Set, cfg.Response.Remove), compress: r.cfg.Server.Compress,
		limit: p.limits.buckets.New(fmt.Sprint(cfg.label(), cfg.Methods), cfg.RateLimit.bucket()), quota: cfg.quota(),
		riskLimit: p.limits.buckets.New(fmt.Sprint("risk ", cfg.label(), cfg.Methods), cfg.RateLimit.riskBucket()), riskRank: cfg.RateLimit.Risk.Rank,
	}
	if cfg.Compress != nil {
		made.compress = *cfg.Compress
	}
	for _, other := range r.cfg.Issuers {
		if other.Name == cfg.Issuer {
			made.callerHeaders = newCallerHeaders(other)
		}
	}
	made.keepStatus = cfg.Auth == AuthPrefetch // WeChat keeps a 200 for the mini-program
	if !cfg.Answers.IsZero() {
		var err error
		if made.answers, err = r.shapes.Of(cfg.Answers.Over(r.cfg.Answers)); err != nil {
			return nil, fmt.Errorf("answers: %w", err)
		}
	}
	if cfg.Auth == AuthPrefetch {
		together, each := r.cfg.Limits.Prefetches()
		made.extraLimits = []string{fmt.Sprintf("%v burst %d for all pre-fetches by code", together.Rate, together.Burst), each.String()}
	}
	if made.bodyLimit == 0 {
		made.bodyLimit = int64(r.cfg.Server.BodyLimit)
	}
	if made.timeout == 0 {
		made.timeout = r.cfg.Server.Timeouts.Request
	}
	if cfg.Respond.Status != 0 {
		fixed := answer.Fixed(cfg.Respond.Status, cfg.Respond.Body)
		made.endpoint = func(ex *Exchange) error {
			fixed.Fill(&ex.response)
			return nil
		}
		return made, nil
	}
	var known bool
	if made.upstream, known = r.upstreams[cfg.Upstream]; !known {
		return nil, fmt.Errorf("upstream: there is no %q", cfg.Upstream)
	}
	made.adaptive = p.admission.inFlight.Service(cfg.Upstream)
	if cfg.Relocate {
		made.relocation = route.NewRelocation(cfg.StripPrefix)
	}
	var err error
	made.rewrite, err = newRewriting(cfg)
	return made, err
}

// matchRoute parses the request target, once, and finds its route.
func matchRoute(ex *Exchange) error {
	if isForGateway(&ex.request) {
		return answerOptions(ex)
	}
	t, ok := route.ParseRequestTarget(wire.OriginForm(ex.method, ex.request.Target), ex.decoded[:0])
	if !ok {
		var err error
		if t, err = ex.snapshot.allowedTarget(ex); err != nil {
			return err
		}
	}
	if ex.method == methodOther {
		return fmt.Errorf("%w: the method is not one that is forwarded", answer.ErrInvalidRequest)
	}
	ex.target = t
	if to, answered := ex.snapshot.preflightRoute(ex, t.Folded); answered {
		ex.route = to
		return ex.next()
	}
	found, ok := ex.snapshot.routes.Find(ex.request.Host, ex.method, t.Folded)
	if !ok {
		return answer.ErrNoRoute
	}
	ex.route = found
	return ex.next()
}

// allowedTarget reads a target that services read in different ways. Every reading must have a route, and the routes of
// all must allow it for the same callers: a path that a service may take for a protected one, or for one that nobody can
// reach, must not get to it by a route that is open. The routes are those of the method that the service would get; of a
// preflight that is answered here, those of the request that it asks about.
func (r *snapshot) allowedTarget(ex *Exchange) (route.RequestTarget, error) {
	ambiguous := fmt.Errorf("%w: the path could be read in two ways", answer.ErrInvalidRequest)
	if !r.ambiguous {
		return route.RequestTarget{}, ambiguous
	}
	a, ok := route.ParseAmbiguous(wire.OriginForm(ex.method, ex.request.Target))
	if !ok {
		return route.RequestTarget{}, ambiguous
	}
	method := ex.method
	if _, answered := r.preflightRoute(ex, a.Folded); answered {
		asked, _ := cors.IsPreflight(&ex.request) // it is one
		method = methodOf(asked)
	}
	var first *routeEntry
	for _, reading := range a.Readings {
		found, ok := r.routes.Find(ex.request.Host, method, reading)
		switch {
		case !ok:
			return route.RequestTarget{}, fmt.Errorf("%w, one of which no route takes", ambiguous)
		case found.allows&a.Needs != a.Needs:
			return route.RequestTarget{}, fmt.Errorf("%w, one of which %s takes, whose path_rules do not allow it", ambiguous, found.pattern)
		case first != nil && !found.admitsAs(first):
			return route.RequestTarget{}, fmt.Errorf("%w, one of which %s takes, for other callers than %s", ambiguous, found.pattern, first.pattern)
		case first == nil:
			first = found
		}
	}
	return a.RequestTarget, nil
}

// admitsAs reports whether a route identifies its callers as another one does.
func (r *routeEntry) admitsAs(other *routeEntry) bool {
	return r.auth == other.auth && r.issuer == other.issuer && r.tokenQuery == other.tokenQuery
}

// serve forwards the request or calls its endpoint.
func (g *Gateway) serve(ex *Exchange) error {
	switch {
	case ex.route.endpoint == nil:
		return g.forwarder.forward(ex)
	case ex.route.disabled:
		return answer.ErrNoRoute
	}
	if ex.route.needsStore && !ex.inGate {
		if acquired, err := g.store.acquire(ex); !acquired {
			return err
		}
	}
	return ex.route.endpoint(ex)
}

// newRewriting is how a route rewrites the path; nil: not at all.
func newRewriting(cfg RouteConfig) (*route.Rewriting, error) {
	switch {
	case cfg.Rewrite != "":
		return route.NewRewriting(cfg.Path, cfg.Rewrite)
	case cfg.StripPrefix != "":
		return route.NewStripping(cfg.StripPrefix), nil
	}
	return nil, nil // nil without an error: no rewriting is configured
}
