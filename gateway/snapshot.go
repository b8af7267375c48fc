package gateway

import (
	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/gateway/limit"
	"wxgate/gateway/route"
	"wxgate/upstream"
)

// rules are one configuration made ready for requests. They never change: a reload makes others, and a request keeps
// those that it began with.
type snapshot struct {
	cfg       Config
	upstreams map[string]*upstream.Upstream
	push      *wechat.Push // nil: message push is off
	routes    *route.Table[*routeEntry]
	reserved  *reserved
	identity  []identityHeader
	signer    *token.Signer // nil: identities are not signed
	logins    *limit.Bucket // by address
	openIDs   *limit.Bucket // the same limit, by openid
	sessions  *limit.Bucket // by openid, of the sessions that begin

	decryptFailures *limit.Bucket // by user
	prefetches      *limit.Bucket // of all pre-fetches by code together
	prefetched      *limit.Bucket // the same by openid, as often as a login
	writes          *limit.Bucket // by user, of every endpoint of ours that writes

	addresses limit.Addresses
}

// newSnapshot makes rules of a configuration. A limit that it has not changed goes on where it was, because the buckets are
// the gateway's: one that began anew at each reload would be none.
func (g *Gateway) newSnapshot(cfg Config, upstreams map[string]*upstream.Upstream, push *wechat.Push) (*snapshot, error) {
	r := &snapshot{
		cfg: cfg, upstreams: upstreams, push: push,
		reserved:  newReserved(cfg.Identity),
		identity:  newIdentityHeaders(cfg.Identity),
		addresses: limit.NewAddresses(cfg.Limits.IP),
	}
	r.decryptFailures = g.buckets.New("decrypt_failures", cfg.Limits.DecryptFailures)
	r.prefetches, r.prefetched = g.newPrefetchLimits(cfg.Limits)
	r.logins, r.openIDs = g.newLoginLimits(cfg.Limits.Login)
	r.sessions = g.newSessionLimit(cfg.Limits.Sessions)
	r.writes = g.buckets.New("writes", cfg.Limits.Writes)
	if cfg.Identity.Signed.Header != "" && g.deps.Authn != nil { // Explain has no keys
		signer, err := g.deps.Authn.Tokens.Keys().NewSigner(cfg.Identity.Signed.TTL, g.deps.Now)
		if err != nil {
			return nil, err
		}
		r.signer = signer
	}
	var err error
	r.routes, err = g.newRoutes(r)
	return r, err
}

// Reload makes cfg, which must be valid, the configuration of every request that begins from now on, with its upstreams
// and, unless it is nil, message push. What belongs to the listeners stays as it is: server.listen, server.admin, and
// the timeouts read_header and idle. An error changes nothing.
func (g *Gateway) Reload(cfg Config, upstreams map[string]*upstream.Upstream, push *wechat.Push) error {
	r, err := g.newSnapshot(cfg, upstreams, push)
	if err != nil {
		return err
	}
	g.snapshot.Store(r)
	return nil
}
