package gateway

import (
	"net/netip"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/upstream"
)

// rules are one configuration made ready for requests. They never change: a reload makes others, and a request keeps
// those that it began with.
type rules struct {
	cfg       Config
	upstreams map[string]*upstream.Upstream
	push      *wechat.Push // nil: message push is off
	routes    *router
	reserved  *reserved
	identity  []identityHeader
	signer    *authn.Signer // nil: identities are not signed
	logins    *limiter[netip.Addr]
	guard     adminGuard
}

// newRules takes over from before, nil at the start, what the new configuration has not changed: a limit that began
// anew at each reload would be none.
func (g *Gateway) newRules(cfg Config, upstreams map[string]*upstream.Upstream, push *wechat.Push, before *rules) (*rules, error) {
	r := &rules{
		cfg: cfg, upstreams: upstreams, push: push,
		reserved: newReserved(cfg.Identity),
		identity: newIdentityHeaders(cfg.Identity),
		guard:    newAdminGuard(cfg.Server.AdminToken),
	}
	if before != nil && before.cfg.Limits.Login == cfg.Limits.Login {
		r.logins = before.logins
	} else {
		r.logins = newLimiter[netip.Addr](cfg.Limits.Login, g.deps.Now)
	}
	if cfg.Identity.Signed.Header != "" {
		signer, err := g.deps.Authn.NewSigner(cfg.Identity.Signed.TTL)
		if err != nil {
			return nil, err
		}
		r.signer = signer
	}
	var err error
	r.routes, err = g.newRouter(r)
	return r, err
}

// Reload makes cfg, which must be valid, the configuration of every request that begins from now on, with its upstreams
// and, unless it is nil, message push. What belongs to the listeners stays as it is: server.listen, server.admin, and
// the timeouts read_header and idle. An error changes nothing.
func (g *Gateway) Reload(cfg Config, upstreams map[string]*upstream.Upstream, push *wechat.Push) error {
	r, err := g.newRules(cfg, upstreams, push, g.rules.Load())
	if err != nil {
		return err
	}
	g.rules.Store(r)
	return nil
}
