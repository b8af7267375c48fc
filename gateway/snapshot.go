package gateway

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"wxgate/authn/token"
	"wxgate/gateway/accesslog"
	"wxgate/gateway/answer"
	"wxgate/gateway/api"
	"wxgate/gateway/certificate"
	"wxgate/gateway/certificate/acme"
	"wxgate/gateway/cors"
	"wxgate/gateway/credential"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/gateway/push"
	"wxgate/gateway/route"
	"wxgate/upstream"
)

// snapshot is a configuration prepared for requests. It never changes: a reload makes a new one, and a request keeps
// the one that it began with.
type snapshot struct {
	cfg          Config
	access       accesslog.Filter // which requests have a line, if log.access is on
	upstreams    map[string]*upstream.Upstream
	pushes       push.Apps        // none: message push is off
	merchants    Merchants        // of routes with wechat_pay
	certificates *certificate.Set // nil: the public listener is plain
	acme         *acme.Manager    // nil: no certificate is asked for
	routes       *route.Table[*routeEntry]
	reserved     *reservedHeaders
	elsewhere    bool // tokens may stand elsewhere than in Authorization
	identity     []identityHeader
	signer       *token.Signer // nil: identities are not signed
	logins       *limit.Bucket // by address
	openIDs      *limit.Bucket // the same limit, by openid
	sessions     *limit.Bucket // by openid, of new sessions

	decryptFailures *limit.Bucket // by user
	prefetches      *limit.Bucket // of all pre-fetches by code together
	prefetched      *limit.Bucket // the same by openid, with the rate of logins
	writes          *limit.Bucket // by user, for all endpoints that write

	cors        *cors.Policy // of server.cors; nil: none
	preflight   *routeEntry  // for paths without a route; nil: none
	crossOrigin bool         // there is a policy, of the server or of a route

	hsts string // Strict-Transport-Security of every answer; "": none has it

	ambiguous bool // a route allows paths that services read in different ways

	setCookie *credential.SetCookie // nil: logins set none

	ownCookies    []string // that no service gets
	secretCookies []string // the same, and those with a token
	addresses     limit.Addresses
	answers       *answer.Shape // of what is about no route
	shapes        *answer.Shapes
}

// newSnapshot prepares a configuration. A rate limit that did not change continues with its buckets, which belong to
// the gateway: one that restarted at each reload would be no limit.
func (p *pipeline) newSnapshot(cfg Config, to Change) (*snapshot, error) {
	r := &snapshot{
		cfg: cfg, access: cfg.Log.filter(), hsts: cfg.Server.hsts(), upstreams: to.Upstreams, pushes: to.Pushes, merchants: to.Merchants, certificates: to.Certificates, acme: to.ACME,
		reserved:  newReservedHeaders(cfg),
		identity:  newIdentityHeaders(cfg.Identity),
		addresses: limit.NewAddresses(cfg.Limits.IP),
		shapes:    answer.NewShapes(p.observer.failures),
	}
	var err error
	if r.answers, err = r.shapes.Of(cfg.Answers); err != nil {
		return nil, fmt.Errorf("answers: %w", err)
	}
	if cfg.SetCookie != "" {
		cookie, err := credential.ParseSetCookie(cfg.SetCookie)
		if err != nil {
			return nil, fmt.Errorf("authn.set_cookie: %w", err)
		}
		r.setCookie = &cookie
	}
	if len(cfg.WebLogin.Accounts) > 0 {
		r.ownCookies = api.WebCookies()
	}
	r.secretCookies = slices.Concat(r.ownCookies, r.reserved.places.Cookies())
	r.elsewhere = !r.reserved.places.AuthorizationAlone()
	r.decryptFailures = p.limits.buckets.New("decrypt_failures", cfg.Limits.DecryptFailures)
	r.prefetches, r.prefetched = p.limits.newPrefetchLimits(cfg.Limits)
	r.logins, r.openIDs = p.limits.newLoginLimits(cfg.Limits.Login)
	r.sessions = p.limits.newSessionLimit(cfg.Limits.Sessions)
	r.writes = p.limits.buckets.New("writes", cfg.Limits.Writes)
	if cfg.Identity.Signed.Header != "" && to.Keys != nil { // Explain has no keys
		signer, err := to.Keys.NewSigner(cfg.Identity.Signed.TTL, p.deps.Now)
		if err != nil {
			return nil, err
		}
		r.signer = signer
	}
	if r.cors = newCORS(cfg.Server.CORS); r.cors != nil {
		r.crossOrigin, r.preflight = true, newPreflight(unmatchedRoute, "", r.cors)
	}
	r.routes, err = p.newRoutes(r)
	return r, err
}

// Change is what a reload brings along beside a Config.
type Change struct {
	Upstreams    map[string]*upstream.Upstream
	Pushes       push.Apps        // none: message push is off
	Merchants    Merchants        // of Config.Merchants
	Certificates *certificate.Set // nil: the public listener is plain
	ACME         *acme.Manager    // of Config.Server.TLS.ACME; nil: it is off
	Keys         *token.Keyring   // of our tokens
}

// Prepare makes a snapshot of cfg, which must be valid; apply puts it in force for every request that begins from then
// on. What belongs to the listeners stays unchanged: server.listen, server.admin, and the timeouts read_header and idle.
func (p *pipeline) Prepare(cfg Config, to Change) (apply func(), err error) {
	r, err := p.newSnapshot(cfg, to)
	if err != nil {
		return nil, err
	}
	return func() { p.adopt(r) }, nil
}

// adopt puts a snapshot in force.
func (p *pipeline) adopt(r *snapshot) {
	if p.deps.Authn != nil { // Explain has none
		p.deps.Authn.Tokens.NameUnionIDs(r.cfg.Identity.carries(fieldUnionID))
	}
	p.snapshot.Store(r)
}

// protocols are those that TLS offers (RFC 7301), the best one first. A client of HTTP/1.0 that names its protocol, as curl
// does, would otherwise be refused.
func protocols() []string { return []string{"h2", "http/1.1", "http/1.0", acme.Protocol} }

// tlsConfig is that of the public listener; nil: it is plain. Versions and ciphers are Go's: TLS 1.2 and 1.3. Keys of
// session tickets change daily, and are this process's own.
func (p *pipeline) tlsConfig() *tls.Config {
	if p.snapshot.Load().certificates == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols(),
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return p.snapshot.Load().certificate(hello)
		},
	}
}

// errNoACME is an authority that asks for a challenge although server.tls.acme is off.
var errNoACME = errors.New("there is no ACME")

// certificate returns the certificate for a client. The domains of ACME are its own, whatever files there are, as soon as it has
// their certificates.
func (r *snapshot) certificate(hello *tls.ClientHelloInfo) (c *tls.Certificate, err error) {
	name := certificate.AskedName(hello)
	switch {
	case acme.IsChallenge(hello) && r.acme == nil:
		return nil, errNoACME
	case acme.IsChallenge(hello):
		listen.Unplaced(hello.Conn, func() { c, err = r.acme.Challenge(hello) })
		return c, err
	case r.acme != nil && (r.certificates.Empty() || r.acme.Has(name)):
		if c, err = r.acme.Choose(hello); err == nil || !r.certificates.Has(name) {
			return c, err
		}
	}
	return r.certificates.Choose(hello)
}
