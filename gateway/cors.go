package gateway

import (
	"net/http"

	"wxgate/gateway/answer"
	"wxgate/gateway/cors"
)

// newCORS is the policy of a section cors, nil when it names no origin. Pages may read which request failed, and when to
// try again.
func newCORS(cfg cors.Config) *cors.Policy {
	return cors.New(cfg, answer.HeaderRequestID, answer.HeaderReason, "Retry-After", headerRateLimit, headerRateLimitPolicy)
}

// addCORS gives a route a policy, and an entry that answers its preflights.
func (r *snapshot) addCORS(to *routeEntry, policy *cors.Policy) {
	if policy == nil {
		return
	}
	r.crossOrigin, to.cors = true, policy
	to.preflight = newPreflight(to.pattern, to.host, policy)
}

// newPreflight answers preflights without a token and without the service, as browsers send them.
func newPreflight(pattern, host string, policy *cors.Policy) *routeEntry {
	return &routeEntry{
		pattern: pattern, methods: []string{http.MethodOptions}, host: host, ours: endpointPreflight, priority: priorityNormal, auth: AuthNone,
		bodyLimit: endpointBodyLimit, cors: policy,
		endpoint: func(ex *Exchange) error {
			ex.response.Status = http.StatusNoContent
			policy.AnswerPreflight(&ex.request.Fields, &ex.response.Fields)
			return nil
		},
	}
}

// preflightRoute answers the request if it is a preflight for a path, in lower case: by the policy of the route that the
// request in question will take, or by server.cors if there is none, so that the page can read that 404. A preflight that
// nothing here answers is a request like any other.
func (r *snapshot) preflightRoute(ex *Exchange, folded []byte) (to *routeEntry, answered bool) {
	if !r.crossOrigin {
		return nil, false
	}
	method, ok := cors.IsPreflight(&ex.request)
	if !ok {
		return nil, false
	}
	asked, found := r.routes.Find(ex.request.Host, methodOf(method), folded)
	if !found {
		return r.preflight, r.preflight != nil
	}
	return asked.preflight, asked.preflight != nil
}

// setCORS lets pages of allowed origins read the answer, also one of ours or an error.
func (r *snapshot) setCORS(ex *Exchange) {
	policy := r.cors
	if ex.route != nil {
		policy = ex.route.cors
	}
	if policy != nil && ex.response.Upgrade == "" { // browsers ask nobody about WebSockets
		policy.Apply(&ex.request.Fields, &ex.response.Fields)
	}
}
