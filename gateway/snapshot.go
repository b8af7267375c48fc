package gateway

import (
	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/gateway/limit"
	"wxgate/gateway/route"
	"wxgate/upstream"
)

// snapshot is one configuration made ready for requests. It never changes: a reload makes another one, and a request keeps
// the one that it began with.
type snapshot struct {
	cfg       Config
	upstreams map[string]*upstream.Upstream
	push      *wechat.Push // nil: message push is off
	routes    *route.Table[*routeEntry]
	reserved  *reservedHeaders
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

// newSnapshot makes a configuration ready. A limit that it has not changed goes on where it was, because the buckets are
// the gateway's: one that began anew at each reload would be none.
func (p *pipeline) newSnapshot(cfg Config, upstreams map[string]*upstream.Upstream, push *wechat.Push) (*snapshot, error) {
	r := &snapshot{
		cfg: cfg, upstreams: upstreams, push: push,
		reserved:  newReservedHeaders(cfg.Identity),
		identity:  newIdentityHeaders(cfg.Identity),
		addresses: limit.NewAddresses(cfg.Limits.IP),
	}
	r.decryptFailures = p.limits.buckets.New("decrypt_failures", cfg.Limits.DecryptFailures)
	r.prefetches, r.prefetched = p.limits.newPrefetchLimits(cfg.Limits)
	r.logins, r.openIDs = p.limits.newLoginLimits(cfg.Limits.Login)
	r.sessions = p.limits.newSessionLimit(cfg.Limits.Sessions)
	r.writes = p.limits.buckets.New("writes", cfg.Limits.Writes)
	if cfg.Identity.Signed.Header != "" && p.deps.Authn != nil { // Explain has no keys
		signer, err := p.deps.Authn.Tokens.Keys().NewSigner(cfg.Identity.Signed.TTL, p.deps.Now)
		if err != nil {
			return nil, err
		}
		r.signer = signer
	}
	var err error
	r.routes, err = p.newRoutes(r)
	return r, err
}

// Reload makes cfg, which must be valid, the configuration of every request that begins from now on, with its upstreams
// and, unless it is nil, message push. What belongs to the listeners stays as it is: server.listen, server.admin, and
// the timeouts read_header and idle. An error changes nothing.
func (p *pipeline) Reload(cfg Config, upstreams map[string]*upstream.Upstream, push *wechat.Push) error {
	r, err := p.newSnapshot(cfg, upstreams, push)
	if err != nil {
		return err
	}
	p.snapshot.Store(r)
	return nil
}
