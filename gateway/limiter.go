package gateway

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/gateway/answer"
)

// limiter is one limit: a token bucket for each of those whom it tells apart.
type limiter struct {
	buckets  *buckets
	cfg      LimitConfig
	id       uint64 // of what is limited and how: the same after a reload that changed neither
	per      string // the label of metrics
	name     string // in the RateLimit fields
	interval time.Duration
	burst    time.Duration // what a full bucket holds, as time
}

// newLimiter limits what; a limit without a rate is nil, and lets everything pass.
func (b *buckets) newLimiter(what string, cfg LimitConfig) *limiter {
	if cfg == (LimitConfig{}) {
		return nil
	}
	interval := cfg.Rate.Per / time.Duration(cfg.Rate.Count)
	return &limiter{
		buckets: b, cfg: cfg, id: maphash.String(b.seed, fmt.Sprint(what, cfg)), per: cfg.Per, name: cfg.Per,
		interval: interval, burst: interval * time.Duration(cfg.Burst),
	}
}

// newLoginLimits are limits.login as it counts addresses, before WeChat is asked, and openids, after.
func (g *Gateway) newLoginLimits(cfg LimitConfig) (byAddress, byOpenID *limiter) {
	byAddress = g.buckets.newLimiter("login", cfg)
	cfg.Per = perOpenID
	return byAddress, g.buckets.newLimiter("login", cfg)
}

// newSessionLimit is limits.sessions. It counts openids, for a user's first login names no user yet.
func (g *Gateway) newSessionLimit(cfg LimitConfig) *limiter {
	cfg.Per = perSession
	return g.buckets.newLimiter("sessions", cfg)
}

// newPrefetchLimits are limits.prefetch, for all together: WeChat calls from a few addresses for everybody. It takes a
// minute's worth at once. An openid may be asked for as often as it may log in.
func (g *Gateway) newPrefetchLimits(cfg LimitsConfig) (all, byOpenID *limiter) {
	together, each := cfg.prefetches()
	return g.buckets.newLimiter("prefetch", together), g.buckets.newLimiter("prefetch", each)
}

// verdict is what a limit says of one request.
type verdict struct {
	limit  *limiter
	passed bool
	ahead  time.Duration // until the bucket is full again
}

// take takes a token from the bucket of a client, a number that tells it apart.
func (l *limiter) take(client uint64) verdict {
	ahead, passed := l.buckets.take(l.key(client), l.interval, l.burst)
	return verdict{l, passed, ahead}
}

// giveBack returns a token that was taken for something that does not count after all.
func (l *limiter) giveBack(client uint64) { l.buckets.giveBack(l.key(client), l.interval) }

func (l *limiter) key(client uint64) uint64 {
	return maphash.Comparable(l.buckets.seed, [2]uint64{l.id, client})
}

// ofAddress, ofOpenID: the numbers of clients. A user's is the user id.
func (b *buckets) ofAddress(client netip.Addr) uint64 {
	return maphash.Comparable(b.seed, subscriber(client))
}

func (b *buckets) ofOpenID(appID, openID string) uint64 {
	return maphash.Comparable(b.seed, [2]string{appID, openID})
}

// limitedError is a refusal by a limit.
type limitedError struct{ after time.Duration }

func (e *limitedError) Error() string { return fmt.Sprintf("rate limited for %v", e.after) }

// Is makes it the error of its row, and for authn the one that it counts.
func (*limitedError) Is(target error) bool {
	return target == answer.ErrRateLimited || target == authn.ErrLimited
}

// spend takes a token for the request and remembers the verdict for its answer.
func (g *Gateway) spend(ex *exchange, l *limiter, client uint64) error {
	v := l.take(client)
	ex.verdicts = append(ex.verdicts, v)
	if v.passed {
		return nil
	}
	return g.limited(ex, v)
}

// limited counts a refusal by a limit.
func (g *Gateway) limited(ex *exchange, v verdict) error {
	g.metrics.rateLimited.WithLabelValues(ex.route.pattern, v.limit.per).Inc()
	return &limitedError{v.ahead - v.limit.burst + v.limit.interval}
}

// spendOnFailure does what the limit allows to fail only so often: a token is taken first, so that attempts at the same
// time cannot be more than there are tokens, and comes back unless counts says that the error is one to be counted.
func (g *Gateway) spendOnFailure(ex *exchange, l *limiter, client uint64, counts error, do func() error) error {
	v := l.take(client)
	if !v.passed {
		ex.verdicts = append(ex.verdicts, v)
		return g.limited(ex, v)
	}
	err := do()
	if !errors.Is(err, counts) {
		l.giveBack(client)
	}
	return err
}

// limitRoute refuses a client that asks too often, or a route that is asked too often.
func (g *Gateway) limitRoute(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	l := ex.route.limit
	if l == nil || l.per == PerUser {
		return c.Next()
	}
	client := uint64(0)
	if l.per == PerIP {
		client = g.buckets.ofAddress(ex.client)
	}
	if err := g.spend(ex, l, client); err != nil {
		return err
	}
	return c.Next()
}

// limitUser refuses a user who asks too often. Where the route lets nobody pass, nobody is an address.
func (g *Gateway) limitUser(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	l := ex.route.limit
	if l == nil || l.per != PerUser {
		return c.Next()
	}
	client := g.buckets.ofAddress(ex.client)
	if subject := ex.subject; subject != nil {
		client = uint64(subject.UserID)
	}
	if err := g.spend(ex, l, client); err != nil {
		return err
	}
	return c.Next()
}

// admitOpenID is asked by a login as soon as WeChat has said who it is.
func (g *Gateway) admitOpenID(ex *exchange) func(appID, openID string) error {
	return func(appID, openID string) error {
		client := g.buckets.ofOpenID(appID, openID)
		if err := g.spend(ex, ex.rules.openIDs, client); err != nil {
			return err
		}
		return g.spend(ex, ex.rules.sessions, client)
	}
}

// admitWrite is asked by a refresh as soon as the token has said whose it is, and before anything is written.
func (g *Gateway) admitWrite(ex *exchange) func(userID int64) error {
	return func(userID int64) error { return g.spend(ex, ex.rules.writes, uint64(userID)) }
}

// subscriber is what one client can be told apart by: an IPv4 address, or the /64 that an IPv6 subscriber is given.
func subscriber(client netip.Addr) netip.Addr {
	if !client.Is6() {
		return client
	}
	prefix, err := client.WithZone("").Prefix(64)
	if err != nil {
		return client
	}
	return prefix.Addr()
}
