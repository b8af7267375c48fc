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

// limiter counts what is asked of the gateway in buckets, and refuses what is too often.
type limiter struct {
	buckets *limit.Buckets // of every limit
	phones  *limit.Bucket  // by user: WeChat takes money for a number
	metrics *metrics
}

func newLimiter(m *metrics, now func() time.Time) *limiter {
	buckets := limit.NewBuckets(now)
	return &limiter{buckets, buckets.New("phone", phoneLimit()), m}
}

// newLoginLimits are limits.login as it counts addresses, before WeChat is asked, and openids, after.
func (l *limiter) newLoginLimits(cfg limit.BucketConfig) (byAddress, byOpenID *limit.Bucket) {
	byAddress = l.buckets.New("login", cfg)
	cfg.Per = limit.PerOpenID
	return byAddress, l.buckets.New("login", cfg)
}

// newSessionLimit is limits.sessions. It counts openids, for a user's first login names no user yet.
func (l *limiter) newSessionLimit(cfg limit.BucketConfig) *limit.Bucket {
	cfg.Per = "session"
	return l.buckets.New("sessions", cfg)
}

// newPrefetchLimits are limits.prefetch, for all together, for WeChat calls from a few addresses for everybody, and for an
// openid.
func (l *limiter) newPrefetchLimits(cfg limit.Config) (all, byOpenID *limit.Bucket) {
	together, each := cfg.Prefetches()
	return l.buckets.New("prefetch", together), l.buckets.New("prefetch", each)
}

// rateLimitError is a refusal by a limit.
type rateLimitError struct{ retryAfter time.Duration }

func (e *rateLimitError) Error() string { return fmt.Sprintf("rate limited for %v", e.retryAfter) }

// Is makes it the error of its row, and for authn the one that it counts.
func (*rateLimitError) Is(target error) bool {
	return target == answer.ErrRateLimited || target == authn.ErrLimited
}

// chargeBucket takes a token for the request and remembers the verdict for its answer.
func (l *limiter) chargeBucket(ex *Exchange, bucket *limit.Bucket, client uint64) error {
	v := bucket.Take(client)
	ex.decisions = append(ex.decisions, v)
	if v.Passed() {
		return nil
	}
	return l.refuse(ex, v)
}

// refuse counts a refusal by a limit.
func (l *limiter) refuse(ex *Exchange, v limit.Decision) error {
	l.metrics.rateLimited.WithLabelValues(ex.route.pattern, v.Per()).Inc()
	return &rateLimitError{v.After()}
}

// chargeFailure does what the limit allows to fail only so often: a token is taken first, so that attempts at the same
// time cannot be more than there are tokens, and comes back unless counts says that the error is one to be counted.
func (l *limiter) chargeFailure(ex *Exchange, bucket *limit.Bucket, client uint64, counts error, do func() error) error {
	v := bucket.Take(client)
	if !v.Passed() {
		ex.decisions = append(ex.decisions, v)
		return l.refuse(ex, v)
	}
	err := do()
	if !errors.Is(err, counts) {
		bucket.GiveBack(client)
	}
	return err
}

// limitRoute refuses a client that asks too often, or a route that is asked too often.
func (l *limiter) limitRoute(ex *Exchange) error {
	bucket := ex.route.limit
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

// limitUser refuses a user who asks too often. Where the route lets nobody pass, nobody is an address.
func (l *limiter) limitUser(ex *Exchange) error {
	bucket := ex.route.limit
	if bucket == nil || bucket.Per() != limit.PerUser {
		return ex.next()
	}
	client := l.buckets.OfAddress(ex.client)
	if subject := ex.subject; subject != nil {
		client = uint64(subject.UserID)
	}
	if err := l.chargeBucket(ex, bucket, client); err != nil {
		return err
	}
	return ex.next()
}

// callLimits are the limits that an endpoint of ours counts itself.
type callLimits struct {
	limiter *limiter
	ex      *Exchange
}

// Login counts a login as soon as WeChat has said who it is, and the session that it starts.
func (l callLimits) Login(appID, openID string) error {
	client := l.limiter.buckets.OfOpenID(appID, openID)
	if err := l.limiter.chargeBucket(l.ex, l.ex.snapshot.openIDs, client); err != nil {
		return err
	}
	return l.limiter.chargeBucket(l.ex, l.ex.snapshot.sessions, client)
}

// Write counts what a user lets be written, for an endpoint that knows the user only then.
func (l callLimits) Write(userID int64) error {
	return l.limiter.chargeBucket(l.ex, l.ex.snapshot.writes, uint64(userID))
}

// Phone counts a user's question for a phone number.
func (l callLimits) Phone() error {
	return l.limiter.chargeBucket(l.ex, l.limiter.phones, uint64(l.ex.subject.UserID))
}

// Decryption tries to open encrypted data, which may fail as often as limits.decrypt_failures says for a user, on all
// endpoints together: whether ciphertexts of one's own making open, asked often enough, forges any plaintext.
func (l callLimits) Decryption(decrypt func() error) error {
	return l.limiter.chargeFailure(l.ex, l.ex.snapshot.decryptFailures, uint64(l.ex.subject.UserID), authn.ErrNotOpened, decrypt)
}

// phoneLimit is how often a user may ask for a phone number: thrice at once, then once in ten minutes.
func phoneLimit() limit.BucketConfig {
	return limit.BucketConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 6, Per: time.Hour}, Burst: 3}
}

// setRateLimitHeaders adds a line for each limit that counted the request. Both fields are lists, so those of a service stay
// beside them.
func setRateLimitHeaders(resp *fasthttp.Response, verdicts []limit.Decision) {
	for _, v := range verdicts {
		resp.Header.Add(headerRateLimitPolicy, v.Policy())
		resp.Header.Add(headerRateLimit, v.State())
	}
}

// filterAddress refuses addresses that limits.ip does not let in. Health tells nothing, and whoever asks for it, a balancer or
// wxgate health, is seldom thought of in such lists.
func filterAddress(ex *Exchange) error {
	if ex.route.priority != priorityHealth && !ex.snapshot.addresses.Admit(ex.client) {
		return answer.ErrIPDenied
	}
	return ex.next()
}
