// Package authn decides who is calling: it logs users in with WeChat, issues tokens, verifies them and ends sessions.
//
// Verifying a token touches no disk: its signature, its times and a set of revocations in memory decide. Every change
// of a session is on disk before it is answered.
package authn

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/revocation"
	"wxgate/authn/wechat"
	"wxgate/lograte"
	"wxgate/storage"
)

// Store is what authn needs from storage; package storage documents each method.
type Store interface {
	stateStore
	loginStore
	sessionStore
	userStore
	migrationStore
	revocationStore
}

// revocationStore keeps what is refused.
type revocationStore interface {
	Past() time.Time
	Revoke(ctx context.Context, r ...storage.Revocation) ([]storage.Revocation, error)
	Revocations(ctx context.Context, after uint64, limit int) ([]storage.Revocation, error)
}

// Deps are what Authn works with; those that may be nil say so.
type Deps struct {
	Store Store
	Feed  Feed // nil: no other process has the store
	// MaxStaleness is how old what Feed has told may be before requests are refused with storage.ErrUnavailable.
	MaxStaleness time.Duration
	Announcer    Announcer                 // nil: no service is told about users
	Apps         map[string]WeChat         // the mini-programs, by appid
	Webs         map[wechat.WebKind]WebApp // the accounts of web pages; none: nobody logs in there
	Budget       time.Duration             // for one login's exchange with WeChat, retries included
	Concurrency  int                       // concurrent exchanges with WeChat, per mini-program; 0: unlimited
	Tourist      string                    // prefix of the code that touristappid stands for; "": it is refused
	Metrics      prometheus.Registerer
	Log          *slog.Logger
	Now          func() time.Time
}

// Authn logs users in. Its parts issue tokens, manage sessions and users, and decrypt open data. It is safe for
// concurrent use.
type Authn struct {
	Tokens    *Tokens
	Sessions  *Sessions
	Users     *Users
	OpenData  *OpenData
	Deletions *Deletions
	Web       *Web

	cfg        Config
	store      Store
	others     *follower // nil: no other process has the store
	announcer  Announcer // may be nil
	apps       apps
	tourist    string // see Deps
	logins     *codes[Grant]
	prefetches *codes[*Subject]
	metrics    *metrics
	log        *slog.Logger
	now        func() time.Time
}

// New returns an Authn that knows every revocation the store remembers.
func New(ctx context.Context, cfg Config, deps Deps) (*Authn, error) {
	revoked, last, asOf, err := rememberedRevocations(ctx, deps.Store)
	if err != nil {
		return nil, fmt.Errorf("loading revocations: %w", err)
	}
	m := newMetrics(deps.Metrics)
	m.countRevocations(deps.Metrics, revoked.Len)
	others := newFollower(deps, revoked, last, asOf)
	tokens, err := newTokens(cfg, deps, revoked, others, m)
	if err != nil {
		return nil, err
	}
	m.measureCache(deps.Metrics, func() int { return tokens.keys.Load().cache.size() })
	apps := newApps(deps, m)
	sessions := &Sessions{cfg: cfg, store: deps.Store, tokens: tokens, revoked: revoked, metrics: m, log: deps.Log, now: deps.Now}
	content := &moderator{apps: apps, store: deps.Store, metrics: m, log: deps.Log, limited: lograte.New(deps.Log, deps.Now)}
	users := &Users{cfg: cfg, store: deps.Store, announcer: deps.Announcer, apps: apps, content: content, sessions: sessions, metrics: m, log: deps.Log, revoked: revoked, now: deps.Now}
	a := &Authn{
		Tokens:    tokens,
		Sessions:  sessions,
		Users:     users,
		Deletions: &Deletions{cfg: cfg, store: deps.Store, users: users, sessions: sessions, metrics: m, log: deps.Log, now: deps.Now},
		OpenData:  &OpenData{store: deps.Store, apps: apps, metrics: m, log: deps.Log, now: deps.Now},

		cfg: cfg, store: deps.Store, others: others, announcer: deps.Announcer, apps: apps, tourist: deps.Tourist,
		logins: newCodes[Grant](deps.Now), prefetches: newSpentCodes[*Subject](deps.Now),
		metrics: m, log: deps.Log, now: deps.Now,
	}
	a.Web = newWeb(a, deps)
	users.webs = a.Web
	return a, nil
}

// revocationsPerRead bounds the memory that loading them takes beside the set: there may be millions.
const revocationsPerRead = 10_000

// Follow lets the revocations of other processes apply here within a quarter of a second, until ctx ends. Without a Feed
// it returns at once.
func (a *Authn) Follow(ctx context.Context) { a.others.run(ctx) }

// Ready returns storage.ErrUnavailable while every request with a token is refused, because what other processes have
// revoked could not be read for too long.
func (a *Authn) Ready() error { return a.others.ready() }

// rememberedRevocations returns every revocation that the store had at some moment, and the Seq of the last.
func rememberedRevocations(ctx context.Context, store revocationStore) (revoked *revocation.Set, last uint64, asOf time.Time, err error) {
	revoked = revocation.NewSet(store.Past)
	for {
		asOf = time.Now()
		some, err := store.Revocations(ctx, last, revocationsPerRead)
		if err != nil {
			return nil, 0, asOf, err
		}
		revoked.Add(some...)
		if len(some) > 0 {
			last = some[len(some)-1].Seq
		}
		if len(some) < revocationsPerRead {
			return revoked, last, asOf, nil
		}
	}
}
