// Package authn decides who is calling: it logs users in with WeChat, issues tokens, verifies them and ends sessions.
//
// Verifying a token touches no disk: its signature, its times and a set of revocations in memory decide. Every change
// of a session is on disk before it is answered.
package authn

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/lograte"
)

// Store is what authn needs of storage; the contract of each method is in the package storage.
type Store interface {
	stateStore
	loginStore
	sessionStore
	userStore
	revocationStore
}

// Deps are what Authn works with; none may be nil.
type Deps struct {
	Store       Store
	Apps        map[string]WeChat // the mini-programs, by appid
	Budget      time.Duration     // for one login's exchange with WeChat, with its retries
	Concurrency int               // exchanges with WeChat at a time, per mini-program; 0: no bound
	Tourist     string            // what a code of touristappid stands for, before a hyphen and something random; "": it is refused
	Metrics     prometheus.Registerer
	Log         *slog.Logger
	Now         func() time.Time
}

// Authn decides who is calling. It is safe for concurrent use.
type Authn struct {
	cfg     Config
	keys    atomic.Pointer[keyring]
	store   Store
	apps    apps
	tourist string // see Deps
	codes   *codes[Grant]
	fetched *codes[*Subject] // the codes of pre-fetches
	revoked *revocations
	lost    sync.Once // the line about tokens of a state that is gone
	metrics *metrics
	log     *slog.Logger
	often   *lograte.Log // the lines that clients provoke
	now     func() time.Time
}

// New returns an Authn that knows every revocation the store remembers.
func New(ctx context.Context, cfg Config, deps Deps) (*Authn, error) {
	keys, err := newKeyring(cfg.Algorithm, cfg.Keys)
	if err != nil {
		return nil, err
	}
	a := &Authn{
		cfg:     cfg,
		store:   deps.Store,
		tourist: deps.Tourist,
		codes:   newCodes[Grant](deps.Now),
		fetched: newSpentCodes[*Subject](deps.Now),
		revoked: newRevocations(deps.Store.Past),
		metrics: newMetrics(deps.Metrics),
		log:     deps.Log,
		often:   lograte.New(deps.Log, deps.Now),
		now:     deps.Now,
	}
	a.apps = newApps(deps, a.metrics)
	a.keys.Store(keys)
	a.metrics.countRevocations(deps.Metrics, a.revoked.count)
	a.metrics.measureCache(deps.Metrics, func() int { return a.keys.Load().cache.size() })
	remembered, err := deps.Store.Revocations(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("loading revocations: %w", err)
	}
	a.revoked.add(remembered...)
	return a, nil
}

// SetKeys replaces the keys while requests are served: the tokens of a key that is gone are refused from then on. When
// the keys do not hold, nothing changes.
func (a *Authn) SetKeys(algorithm string, configured []KeyConfig) error {
	keys, err := newKeyring(algorithm, configured)
	if err != nil {
		return err
	}
	a.keys.Store(keys)
	return nil
}

// Subject is who a verified token speaks for.
type Subject struct {
	UserID    int64
	AppID     string
	OpenID    string
	Nickname  string
	SessionID string
	TokenID   string
	ExpiresAt time.Time // of the token

	adoptedAt int64 // when a foreign token was issued, in Unix seconds; 0: the token is ours
}

// subject copies what it keeps: the library's strings alias the request's buffer, which the next request overwrites.
func (c *Claims) subject() Subject {
	s := Subject{
		UserID: c.UserID, AppID: c.AppID, OpenID: c.OpenID, Nickname: c.Nickname,
		SessionID: c.SessionID, TokenID: c.TokenID, ExpiresAt: c.expiry(),
	}
	if c.adopted {
		s.adoptedAt = c.IssuedAt
	}
	return s
}

// NewSigner returns a Signer whose tokens live for ttl.
func (a *Authn) NewSigner(ttl time.Duration) (*Signer, error) {
	private, id, err := identityKey(a.keys.Load().signer)
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(map[string]string{"alg": "EdDSA", "kid": id, "typ": "JWT"})
	if err != nil {
		return nil, err
	}
	segment := base64.RawURLEncoding.EncodeToString(header) + "."
	return &Signer{issuer: a.cfg.Issuer, ttl: ttl, private: private, header: segment, now: a.now}, nil
}

// JWKS returns the public keys that our tokens and, when identities are signed, those can be verified with. It is empty
// when there is only a shared secret.
func (a *Authn) JWKS(signedIdentity bool) JWKS {
	set := JWKS{Keys: []JWK{}}
	for _, k := range a.keys.Load().list {
		if jwk, public := newJWK(k.id, k.method.Alg(), k.public); public {
			set.Keys = append(set.Keys, jwk)
		}
		if !signedIdentity || k.seed == nil {
			continue
		}
		if private, id, err := identityKey(k); err == nil {
			jwk, _ := newJWK(id, "EdDSA", private.Public())
			set.Keys = append(set.Keys, jwk)
		}
	}
	return set
}
