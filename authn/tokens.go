package authn

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"wxgate/authn/revocation"
	"wxgate/authn/token"
	"wxgate/lograte"
	"wxgate/storage"
)

// Tokens issues access tokens and verifies them.
type Tokens struct {
	cfg     Config
	keys    atomic.Pointer[keysInForce]
	unions  atomic.Bool // tokens name the unionid
	store   Store
	revoked *revocation.Set
	others  *follower // of revoked; nil: no other process has the store
	lost    sync.Once // guards the warning about tokens of a lost state
	metrics *metrics
	log     *slog.Logger
	often   *lograte.Log // the lines that clients provoke
	now     func() time.Time
}

// keysInForce are the keys and the cache of the tokens that they verified, so that both are replaced together.
type keysInForce struct {
	*token.Keyring
	cache *tokenCache
}

func newTokens(cfg Config, deps Deps, revoked *revocation.Set, others *follower, m *metrics) (*Tokens, error) {
	t := &Tokens{
		cfg: cfg, store: deps.Store, revoked: revoked, others: others, metrics: m, log: deps.Log, often: lograte.New(deps.Log, deps.Now), now: deps.Now,
	}
	ring, err := token.NewKeyring(cfg.tokens())
	if err == nil {
		t.SetKeys(ring)
	}
	return t, err
}

// NewKeyring makes a ring of other keys for SetKeys.
func (t *Tokens) NewKeyring(algorithm string, keys []token.KeyConfig) (*token.Keyring, error) {
	cfg := t.cfg
	cfg.Algorithm, cfg.Keys = algorithm, keys
	return token.NewKeyring(cfg.tokens())
}

// SetKeys replaces the keys while requests are being served; from then on, tokens of removed keys are refused.
func (t *Tokens) SetKeys(ring *token.Keyring) { t.keys.Store(&keysInForce{ring, newTokenCache()}) }

// NameUnionIDs sets whether the tokens that are issued from now on name the unionid of their user, if there is one. Those
// of an existing backend need not: their user is looked up.
func (t *Tokens) NameUnionIDs(on bool) { t.unions.Store(on) }

// Keys returns the keys in force.
func (t *Tokens) Keys() *token.Keyring { return t.keys.Load().Keyring }

// Subject is the user a verified token belongs to.
type Subject struct {
	UserID    int64
	AppID     string
	OpenID    string
	UnionID   string // empty: WeChat gave none, or the token was issued before NameUnionIDs
	Nickname  string
	SessionID string
	TokenID   string
	ExpiresAt time.Time // of the token

	revocable revocation.Token
}

// verified is a token with a valid signature. It never changes, and shares no memory with a request.
type verified struct {
	subject   Subject
	issuedAt  int64 // Unix seconds, as the one below
	notBefore int64
	imported  bool // an existing backend issued the token: its session starts when it is refreshed
}

// newVerified copies what it keeps, into one piece of memory: it outlives the payload and the request.
func newVerified(c *token.Claims) (*verified, error) {
	revocable, ok := revocation.NewToken(c.UserID, c.SessionID, c.TokenID, c.IssuedAt, c.Imported)
	if !ok {
		return nil, token.ErrInvalid
	}
	all := c.AppID + c.OpenID + c.UnionID + c.Nickname + c.SessionID + c.TokenID
	cut := func(s string) (copied string) {
		copied, all = all[:len(s)], all[len(s):]
		return copied
	}
	return &verified{
		subject: Subject{
			UserID: c.UserID, AppID: cut(c.AppID), OpenID: cut(c.OpenID), UnionID: cut(c.UnionID), Nickname: cut(c.Nickname),
			SessionID: cut(c.SessionID), TokenID: cut(c.TokenID), ExpiresAt: time.Unix(c.ExpiresAt, 0), revocable: revocable,
		},
		issuedAt: c.IssuedAt, notBefore: c.NotBefore, imported: c.Imported,
	}, nil
}

// Verify returns the subject of an Authorization header (RFC 6750 §2.1): "Bearer", spaces and a token. parse is called
// for tokens that are not cached and have another header than we write; it checks form and signature, with CheckForm and
// Key of Keys, and returns the payload. The Subject never changes and shares no memory with the header. Errors are token.ErrMissing,
// token.ErrMalformed, token.ErrInvalid, token.ErrExpired, token.ErrRevoked or an error of storage.
func (t *Tokens) Verify(ctx context.Context, authorization string, parse func() (*token.Payload, error)) (*Subject, error) {
	v, err := t.verifyHeader(ctx, authorization, parse)
	if err == nil {
		err = t.others.fresh(ctx)
	}
	if err == nil {
		err = t.check(v, 0) // time and revocation change from request to request
	}
	if err != nil {
		t.metrics.refused(err)
		return nil, err
	}
	t.metrics.verified.Inc()
	return &v.subject, nil
}

func (t *Tokens) verifyHeader(ctx context.Context, authorization string, parse func() (*token.Payload, error)) (*verified, error) {
	keys := t.keys.Load()
	if candidate, named := token.Candidate(authorization); named {
		if v := keys.cache.get(candidate); v != nil {
			t.metrics.cacheHits.Inc()
			return v, nil
		}
	}
	bearer, err := token.Bearer(authorization)
	if err != nil {
		return nil, err
	}
	t.metrics.cacheMisses.Inc()
	v, err := t.verifyWith(ctx, keys.Keyring, bearer, parse)
	if err != nil {
		return nil, err
	}
	keys.cache.put(strings.Clone(bearer), v) // it aliases the request's buffer
	return v, nil
}

// verify returns a token if its form, signature and origin are valid; it does not check times.
func (t *Tokens) verify(ctx context.Context, bearer string) (*verified, error) {
	keys := t.keys.Load()
	if v := keys.cache.get(bearer); v != nil {
		return v, nil
	}
	return t.verifyWith(ctx, keys.Keyring, bearer, func() (*token.Payload, error) { return keys.Parse(bearer) })
}

// verifyWith verifies a token that is not in the cache: one of ours, or an imported one where those are accepted, which
// parse parses.
func (t *Tokens) verifyWith(ctx context.Context, ring *token.Keyring, bearer string, parse func() (*token.Payload, error)) (*verified, error) {
	c, ours, err := ring.Verify(bearer)
	if err == nil && !ours {
		c, err = t.readImported(ctx, ring, bearer, parse)
	}
	if err != nil {
		return nil, err
	}
	if err := t.checkState(ctx, c.Store, c.IssuedAt); err != nil {
		return nil, err
	}
	return newVerified(&c)
}

// readImported reads a token with another header than ours, and completes it from the store.
func (t *Tokens) readImported(ctx context.Context, ring *token.Keyring, bearer string, parse func() (*token.Payload, error)) (token.Claims, error) {
	if err := ring.CheckForm(bearer); err != nil { // parse checks it too; most bad tokens end here
		return token.Claims{}, err
	}
	payload, err := parse()
	if err != nil {
		return token.Claims{}, token.ErrorOf(err)
	}
	c, err := ring.Read(bearer, payload)
	if err == nil && c.Imported {
		err = t.completeImported(ctx, c)
	}
	if err != nil {
		return token.Claims{}, err
	}
	return *c, nil
}

// check checks the times and the revocation of a verified token, without touching the disk. late is how long after its
// expiry a token is still accepted; it is 0 except for a refresh, which handles replaced tokens itself.
func (t *Tokens) check(v *verified, late time.Duration) error {
	now := t.now()
	latest := now.Add(t.cfg.Leeway).Unix()
	switch {
	case v.issuedAt > latest || v.notBefore > latest:
		return token.ErrInvalid
	case !now.Before(v.subject.ExpiresAt.Add(t.cfg.Leeway + late)):
		return token.ErrExpired
	case late == 0 && t.revoked.Refuses(&v.subject.revocable, now), t.revoked.Ended(&v.subject.revocable, now):
		return token.ErrRevoked
	}
	return nil
}

// Alive returns why the subject's session must end, or nil if it may go on: token.ErrExpired for an expired token,
// token.ErrRevoked for an ended session or a banned user. A token that a refresh has replaced ends nothing. Only memory
// is consulted.
func (t *Tokens) Alive(s Subject) error {
	t.others.touch()
	now := t.now()
	switch {
	case !now.Before(s.ExpiresAt.Add(t.cfg.Leeway)):
		return token.ErrExpired
	case t.revoked.Ended(&s.revocable, now):
		return token.ErrRevoked
	}
	return nil
}

// withoutSession returns the subject of a user without a token. A WebSocket of such a request ends when a token would
// expire.
func (t *Tokens) withoutSession(u storage.User) *Subject {
	revocable, _ := revocation.NewToken(u.ID, "", "", 0, false)
	return &Subject{
		UserID: u.ID, AppID: u.AppID, OpenID: u.OpenID, UnionID: u.UnionID, Nickname: u.Nickname, ExpiresAt: t.now().Add(t.cfg.TokenTTL), revocable: revocable,
	}
}

// grant signs the session's current token. It depends on the records and the configuration alone, so that repeating it
// yields the same token.
func (t *Tokens) grant(u storage.User, s storage.Session, created bool) (Grant, error) {
	expires := s.RefreshedAt.Add(t.cfg.TokenTTL)
	claims := token.Claims{
		Issuer: t.cfg.Issuer, Store: t.stateOf(s), UserID: u.ID, AppID: u.AppID, OpenID: u.OpenID, Nickname: u.Nickname,
		SessionID: s.ID, TokenID: s.TokenID, IssuedAt: s.RefreshedAt.Unix(), ExpiresAt: expires.Unix(),
	}
	if t.unions.Load() {
		claims.UnionID = u.UnionID
	}
	bearer, err := t.keys.Load().Sign(&claims)
	if err != nil {
		return Grant{}, fmt.Errorf("signing a token: %w", err)
	}
	left := expires.Sub(t.now()).Round(time.Second)
	return Grant{Token: bearer, ExpiresIn: left, User: u, Created: created}, nil
}

// stateStore tells tokens of this state of the store from those of a lost one, and remembers for a while.
type stateStore interface {
	ID() string
	Epoch() string
	Issued(ctx context.Context, epoch string, at time.Time) (bool, error)
	Alone(ctx context.Context) (bool, error)
	temporaryStore
}

// state is the claim "store" of tokens issued now: see stateOf.
func (t *Tokens) state() string { return t.store.ID() + "." + t.store.Epoch() }

// stateOf is the claim "store" of a session's current token: the id of the store, a dot, and the epoch in which the
// token was issued. The same token is returned after a restart, whose own epoch may not be on disk yet. Tokens from
// before there were epochs have the id alone.
func (t *Tokens) stateOf(s storage.Session) string {
	if s.Epoch == "" {
		return t.store.ID()
	}
	return t.store.ID() + "." + s.Epoch
}

// checkState returns token.ErrRevoked for a token issued by a state of the store that no longer exists, because the
// folder was wiped, restored, or replaced by an older copy. Its ids may belong to other people now.
func (t *Tokens) checkState(ctx context.Context, state string, issuedAt int64) error {
	id, epoch, _ := strings.Cut(state, ".")
	if id == t.store.ID() {
		issued, err := t.store.Issued(ctx, epoch, time.Unix(issuedAt, 0))
		if err != nil || issued {
			return err
		}
	}
	t.lost.Do(func() {
		t.log.WarnContext(ctx, "A TOKEN OF A LOST STATE OF THE STORE WAS REFUSED, and so are all others of it. "+
			"If the data folder was put back from a backup, see `wxgate restore`")
	})
	return token.ErrRevoked
}
