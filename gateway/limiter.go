package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/quota"
)

// The fields that tell a client how much of a limit is left.
const (
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"
)

// limiter counts requests in buckets, and refuses those over a rate limit.
type limiter struct {
	buckets *limit.Buckets // of all limits
	phones  *limit.Bucket  // per user: WeChat charges for each number
	metrics *metrics
}

func newLimiter(m *metrics, now func() time.Time) *limiter {
	buckets := limit.NewBuckets(now)
	return &limiter{buckets, buckets.New("phone", phoneLimit()), m}
}

// newLoginLimits are limits.login: per address, before WeChat is called, and per openid, after it.
func (l *limiter) newLoginLimits(cfg limit.BucketConfig) (byAddress, byOpenID *limit.Bucket) {
	byAddress = l.buckets.New("login", cfg)
	cfg.Per = limit.PerOpenID
	return byAddress, l.buckets.New("login", cfg)
}

// newSessionLimit is limits.sessions. It counts per openid, since there is no user yet at a first login.
func (l *limiter) newSessionLimit(cfg limit.BucketConfig) *limit.Bucket {
	cfg.Per = "session"
	return l.buckets.New("sessions", cfg)
}

// newPrefetchLimits are limits.prefetch: for all pre-fetches together, since WeChat calls from a few addresses for
// everybody, and per openid.
func (l *limiter) newPrefetchLimits(cfg limit.Config) (all, byOpenID *limit.Bucket) {
	together, each := cfg.Prefetches()
	return l.buckets.New("prefetch", together), l.buckets.New("prefetch", each)
}

// rateLimitError is a refusal by a rate limit.
type rateLimitError struct{ retryAfter time.Duration }

func (e *rateLimitError) Error() string { return fmt.Sprintf("rate limited for %v", e.retryAfter) }

// Is makes it match its row of the error table, and the error that authn counts.
func (*rateLimitError) Is(target error) bool {
	return target == answer.ErrRateLimited || target == authn.ErrLimited
}

// chargeBucket takes a token from the bucket of a client and keeps the decision for the answer.
func (l *limiter) chargeBucket(ex *Exchange, bucket *limit.Bucket, client uint64) error {
	d := bucket.Take(client)
	ex.decisions = append(ex.decisions, d)
	if d.Passed() {
		return nil
	}
	return l.refuse(ex, d)
}

// refuse counts a refusal and returns its error.
func (l *limiter) refuse(ex *Exchange, d limit.Decision) error {
	l.metrics.rateLimited.WithLabelValues(ex.route.pattern, d.Per()).Inc()
	return &rateLimitError{d.After()}
}

// chargeFailure calls do, which the limit allows to fail only so often: a token is taken first, so that concurrent
// attempts cannot exceed the bucket, and returned unless do fails with the error counts.
func (l *limiter) chargeFailure(ex *Exchange, bucket *limit.Bucket, client uint64, counts error, do func() error) error {
	d := bucket.Take(client)
	if !d.Passed() {
		ex.decisions = append(ex.decisions, d)
		return l.refuse(ex, d)
	}
	err := do()
	if !errors.Is(err, counts) {
		bucket.GiveBack(client)
	}
	return err
}

// limitOf is the rate limit of a request on the route: from 微信网关, it may depend on the risk that WeChat sees.
func (r *routeEntry) limitOf(ex *Exchange) *limit.Bucket {
	if r.riskLimit != nil && ex.ingress && header.RiskRank(&ex.request.Fields) >= r.riskRank {
		return r.riskLimit
	}
	return r.limit
}

// limitRoute applies the rate limit of the route per address or for the whole route.
func (l *limiter) limitRoute(ex *Exchange) error {
	bucket := ex.route.limitOf(ex)
	if bucket == nil || bucket.Per() == limit.PerUser {
		return ex.next()
	}
	client := uint64(0)
	if bucket.Per() == limit.PerIP {
		client = l.buckets.OfAddress(ex.client)
	}
	if err := l.chargeBucket(ex, bucket, client); err != nil {
		return err
	}
	return ex.next()
}

// limitUser applies the rate limit of the route per user. Requests without a user, where the route allows them, count
// by address.
func (l *limiter) limitUser(ex *Exchange) error {
	bucket := ex.route.limitOf(ex)
	if bucket == nil || bucket.Per() != limit.PerUser {
		return ex.next()
	}
	client := userKey(ex)
	if client == 0 {
		client = l.buckets.OfAddress(ex.client)
	}
	if err := l.chargeBucket(ex, bucket, client); err != nil {
		return err
	}
	return ex.next()
}

// callLimits are the limits that endpoints of our API count themselves.
type callLimits struct {
	limiter *limiter
	ex      *Exchange
}

// Login counts a login as soon as WeChat has named its openid, and the session that it starts.
func (l callLimits) Login(appID, openID string) error {
	client := l.limiter.buckets.OfOpenID(appID, openID)
	if err := l.limiter.chargeBucket(l.ex, l.ex.snapshot.openIDs, client); err != nil {
		return err
	}
	return l.limiter.chargeBucket(l.ex, l.ex.snapshot.sessions, client)
}

// Write counts a write of a user, for an endpoint that learns late which user it is.
func (l callLimits) Write(userID int64) error {
	return l.limiter.chargeBucket(l.ex, l.ex.snapshot.writes, uint64(userID))
}

// Phone counts a request of a user for a phone number.
func (l callLimits) Phone() error {
	return l.limiter.chargeBucket(l.ex, l.limiter.phones, uint64(l.ex.subject.UserID))
}

// Decryption runs decrypt, which may fail as often per user as limits.decrypt_failures allows, over all endpoints
// together: an oracle for whether chosen ciphertexts decrypt would let a user forge any plaintext.
func (l callLimits) Decryption(decrypt func() error) error {
	return l.limiter.chargeFailure(l.ex, l.ex.snapshot.decryptFailures, uint64(l.ex.subject.UserID), authn.ErrNotOpened, decrypt)
}

// phoneLimit is how often a user may request a phone number: a burst of three, then one every ten minutes.
func phoneLimit() limit.BucketConfig {
	return limit.BucketConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 6, Per: time.Hour}, Burst: 3}
}

// setRateLimitHeaders adds a line for each limit that counted the request. Both fields are lists, so those of a service
// are kept beside them.
func setRateLimitHeaders(ex *Exchange) {
	add := func(policy, state string) {
		ex.response.Fields.Add(headerRateLimitPolicy, policy)
		ex.response.Fields.Add(headerRateLimit, state)
	}
	for _, d := range ex.decisions {
		add(d.Policy(), d.State())
	}
	if ex.quota != (quota.Count{}) {
		add(ex.quota.Policy(), ex.quota.State())
	}
}

// quotaError is a refusal by a quota.
type quotaError struct{ retryAfter time.Duration }

func (e *quotaError) Error() string {
	return fmt.Sprintf("%v for %v", answer.ErrQuotaExceeded, e.retryAfter)
}

// Is makes it match its row of the error table.
func (*quotaError) Is(target error) bool { return target == answer.ErrQuotaExceeded }

// quotas counts requests against the quotas of their routes.
type quotas struct {
	counter  *quota.Counter
	store    storeGate
	failures answer.Table
	now      func() time.Time
}

// charge counts a request against the quota of its user, and gives it back unless the service answered it. One that was
// sent stays counted when its client leaves: the service may have done all of the work.
func (q *quotas) charge(ex *Exchange) (err error) {
	if ex.route.quota == (quota.Quota{}) || q.counter == nil { // Explain counts nothing
		return ex.next()
	}
	if acquired, err := q.store.acquire(ex); !acquired {
		return err
	}
	ex.quota, err = q.counter.Take(ex.ctx, ex.subject.UserID, ex.route.quota)
	q.store.release(ex)
	switch {
	case errors.Is(err, quota.ErrExceeded):
		return &quotaError{ex.quota.Resets().Sub(q.now())}
	case err != nil:
		return err
	}
	if err = ex.next(); ex.quota.Counted() && q.isUnserved(ex, err) {
		q.giveBack(ex)
	}
	return err
}

// isUnserved reports whether a request with that outcome never reached its service, or got no answer from there.
func (q *quotas) isUnserved(ex *Exchange, err error) bool {
	status := ex.response.Status
	if err != nil {
		status = q.failures.Lookup(err).Status
	}
	return err != nil && ex.attempts == 0 || status >= http.StatusBadGateway && status <= http.StatusGatewayTimeout
}

// giveBack takes a request back from the quota, if this process still has the store.
func (q *quotas) giveBack(ex *Exchange) {
	if open, _ := q.store.gate.Acquire(); !open {
		q.counter.KeepCounted(&ex.quota, answer.ErrDraining)
		return
	}
	defer q.store.gate.Release()
	q.counter.GiveBack(ex.ctx, &ex.quota)
}

// filterAddress refuses client addresses that limits.ip does not allow. Health checks reveal nothing and are exempt:
// such lists rarely include the balancer or wxgate health.
func filterAddress(ex *Exchange) error {
	if ex.route.priority != priorityHealth && !ex.snapshot.addresses.Admit(ex.client) {
		return answer.ErrIPDenied
	}
	return ex.next()
}
