package gateway

import (
	"errors"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
)

// The fields that tell a client how much of a limit is left.
const (
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"
)

// newLoginLimits are limits.login as it counts addresses, before WeChat is asked, and openids, after.
func (g *Gateway) newLoginLimits(cfg limit.BucketConfig) (byAddress, byOpenID *limit.Bucket) {
	byAddress = g.buckets.New("login", cfg)
	cfg.Per = limit.PerOpenID
	return byAddress, g.buckets.New("login", cfg)
}

// newSessionLimit is limits.sessions. It counts openids, for a user's first login names no user yet.
func (g *Gateway) newSessionLimit(cfg limit.BucketConfig) *limit.Bucket {
	cfg.Per = "session"
	return g.buckets.New("sessions", cfg)
}

// newPrefetchLimits are limits.prefetch, for all together, for WeChat calls from a few addresses for everybody, and for an
// openid.
func (g *Gateway) newPrefetchLimits(cfg limit.Config) (all, byOpenID *limit.Bucket) {
	together, each := cfg.Prefetches()
	return g.buckets.New("prefetch", together), g.buckets.New("prefetch", each)
}

// limitedError is a refusal by a limit.
type limitedError struct{ after time.Duration }

func (e *limitedError) Error() string { return fmt.Sprintf("rate limited for %v", e.after) }

// Is makes it the error of its row, and for authn the one that it counts.
func (*limitedError) Is(target error) bool {
	return target == answer.ErrRateLimited || target == authn.ErrLimited
}

// spend takes a token for the request and remembers the verdict for its answer.
func (g *Gateway) spend(ex *Exchange, l *limit.Bucket, client uint64) error {
	v := l.Take(client)
	ex.verdicts = append(ex.verdicts, v)
	if v.Passed() {
		return nil
	}
	return g.limited(ex, v)
}

// limited counts a refusal by a limit.
func (g *Gateway) limited(ex *Exchange, v limit.Verdict) error {
	g.metrics.rateLimited.WithLabelValues(ex.route.pattern, v.Per()).Inc()
	return &limitedError{v.After()}
}

// spendOnFailure does what the limit allows to fail only so often: a token is taken first, so that attempts at the same
// time cannot be more than there are tokens, and comes back unless counts says that the error is one to be counted.
func (g *Gateway) spendOnFailure(ex *Exchange, l *limit.Bucket, client uint64, counts error, do func() error) error {
	v := l.Take(client)
	if !v.Passed() {
		ex.verdicts = append(ex.verdicts, v)
		return g.limited(ex, v)
	}
	err := do()
	if !errors.Is(err, counts) {
		l.GiveBack(client)
	}
	return err
}

// limitRoute refuses a client that asks too often, or a route that is asked too often.
func (g *Gateway) limitRoute(ex *Exchange) error {
	l := ex.route.limit
	if l == nil || l.Per() == limit.PerUser {
		return ex.next()
	}
	client := uint64(0)
	if l.Per() == limit.PerIP {
		client = g.buckets.OfAddress(ex.client)
	}
	if err := g.spend(ex, l, client); err != nil {
		return err
	}
	return ex.next()
}

// limitUser refuses a user who asks too often. Where the route lets nobody pass, nobody is an address.
func (g *Gateway) limitUser(ex *Exchange) error {
	l := ex.route.limit
	if l == nil || l.Per() != limit.PerUser {
		return ex.next()
	}
	client := g.buckets.OfAddress(ex.client)
	if subject := ex.subject; subject != nil {
		client = uint64(subject.UserID)
	}
	if err := g.spend(ex, l, client); err != nil {
		return err
	}
	return ex.next()
}

// callLimits are the limits that an endpoint of ours counts itself.
type callLimits struct {
	g  *Gateway
	ex *Exchange
}

// Login counts a login as soon as WeChat has said who it is, and the session that it starts.
func (l callLimits) Login(appID, openID string) error {
	client := l.g.buckets.OfOpenID(appID, openID)
	if err := l.g.spend(l.ex, l.ex.snapshot.openIDs, client); err != nil {
		return err
	}
	return l.g.spend(l.ex, l.ex.snapshot.sessions, client)
}

// Write counts what a user lets be written, for an endpoint that knows the user only then.
func (l callLimits) Write(userID int64) error {
	return l.g.spend(l.ex, l.ex.snapshot.writes, uint64(userID))
}

// Phone counts a user's question for a phone number.
func (l callLimits) Phone() error { return l.g.spend(l.ex, l.g.phones, uint64(l.ex.subject.UserID)) }

// Decryption tries to open encrypted data, which may fail as often as limits.decrypt_failures says for a user, on all
// endpoints together: whether ciphertexts of one's own making open, asked often enough, forges any plaintext.
func (l callLimits) Decryption(decrypt func() error) error {
	return l.g.spendOnFailure(l.ex, l.ex.snapshot.decryptFailures, uint64(l.ex.subject.UserID), authn.ErrNotOpened, decrypt)
}

// phoneLimit is how often a user may ask for a phone number: thrice at once, then once in ten minutes.
func phoneLimit() limit.BucketConfig {
	return limit.BucketConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 6, Per: time.Hour}, Burst: 3}
}

// announce adds a line for each limit that counted the request. Both fields are lists, so those of a service stay
// beside them.
func announce(resp *fasthttp.Response, verdicts []limit.Verdict) {
	for _, v := range verdicts {
		resp.Header.Add(headerRateLimitPolicy, v.Policy())
		resp.Header.Add(headerRateLimit, v.State())
	}
}

// screen refuses addresses that limits.ip does not let in. Health tells nothing, and whoever asks for it, a balancer or
// wxgate health, is seldom thought of in such lists.
func (g *Gateway) screen(ex *Exchange) error {
	if ex.route.class != classHealth && !ex.snapshot.addresses.Admit(ex.client) {
		return answer.ErrIPDenied
	}
	return ex.next()
}
