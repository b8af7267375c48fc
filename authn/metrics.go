package authn

import (
	"errors"

	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/histogram"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the metrics of this package, resolved once.
type metrics struct {
	verified                                          prometheus.Counter
	refusals                                          []refusal
	failures                                          prometheus.Counter // to verify a token
	cacheHits                                         prometheus.Counter
	cacheMisses                                       prometheus.Counter
	verifications                                     *prometheus.CounterVec
	logins                                            *prometheus.CounterVec
	refreshes                                         *prometheus.CounterVec
	decryptions                                       *prometheus.CounterVec
	deletionsRequested, deletionsTakenBack, erasedOwn prometheus.Counter
	withdrawn                                         *prometheus.CounterVec
	content                                           *prometheus.CounterVec
	waiting                                           prometheus.Gauge
	waited                                            prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, results []result) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"})
		reg.MustRegister(v)
		for _, r := range results {
			v.WithLabelValues(r.label) // so that an alert finds every series before its first event
		}
		return v
	}
	m := &metrics{
		verifications: counter("wxgate_authn_verifications_total", "Bearer tokens judged, by result.", ofTokens()),
		logins:        counter("wxgate_authn_logins_total", "Logins with WeChat, by result.", ofLogins()),
		decryptions:   counter("wxgate_authn_decryptions_total", "Encrypted data of phones opened, by result.", ofDecryptions()),
		refreshes:     counter("wxgate_authn_refreshes_total", "Token refreshes, by result.", append(ofTokens(), result{token.ErrReused, "token_reused"})),
	}
	deletions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_authn_deletions_total", Help: "Deletions of users at their own request, by what became of them.",
	}, []string{"result"})
	reg.MustRegister(deletions)
	m.deletionsRequested, m.deletionsTakenBack, m.erasedOwn = deletions.WithLabelValues("requested"), deletions.WithLabelValues("taken_back"), deletions.WithLabelValues("erased")
	m.content = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_content_checks_total", Help: "Texts and avatars of users that WeChat was asked about, by result.",
	}, []string{"kind", "result"})
	reg.MustRegister(m.content)
	for _, kind := range []string{kindText, kindAvatar} {
		for _, result := range []wechat.ContentResult{wechat.ContentPass, wechat.ContentReview, wechat.ContentRisky, ""} {
			m.content.WithLabelValues(kind, contentLabel(result))
		}
	}
	m.withdrawn = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_authn_withdrawals_total", Help: "What was deleted because WeChat said that people withdrew it.",
	}, []string{"what"})
	reg.MustRegister(m.withdrawn)
	for _, what := range []string{withdrewNickname, withdrewAvatar, withdrewPhone, withdrewUser} {
		m.withdrawn.WithLabelValues(what)
	}
	m.waiting = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wxgate_wechat_waiting", Help: "Exchanges that wait until fewer than wechat.concurrency are under way.",
	})
	m.waited = prometheus.NewHistogram(histogram.Options(reg, prometheus.HistogramOpts{
		Name: "wxgate_wechat_wait_seconds", Help: "How long exchanges with WeChat waited for their turn.",
		Buckets: []float64{.001, .01, .05, .1, .25, .5, 1, 2, 5},
	}))
	reg.MustRegister(m.waiting, m.waited)
	m.resolveVerifications()
	cache := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_authn_token_cache_total", Help: "Look-ups in the cache of verified tokens, by result.",
	}, []string{"result"})
	reg.MustRegister(cache)
	m.cacheHits, m.cacheMisses = cache.WithLabelValues("hit"), cache.WithLabelValues("miss")
	return m
}

// contentChecked counts a result; "" is none.
func (m *metrics) contentChecked(kind string, result wechat.ContentResult) {
	m.content.WithLabelValues(kind, contentLabel(result)).Inc()
}

func contentLabel(result wechat.ContentResult) string {
	if result == "" {
		return "none"
	}
	return string(result)
}

// countRevocations registers the number of revocations in memory.
func (m *metrics) countRevocations(reg prometheus.Registerer, count func() int) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_authn_revocations", Help: "Revocations held in memory.",
	}, func() float64 { return float64(count()) }))
}

// measureCache registers the size of the cache of verified tokens.
func (m *metrics) measureCache(reg prometheus.Registerer, size func() int) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_authn_token_cache_bytes", Help: "Memory that the cache of verified tokens takes, about.",
	}, func() float64 { return float64(size()) }))
}

// refused counts a token that was refused.
func (m *metrics) refused(err error) {
	for _, r := range m.refusals {
		if errors.Is(err, r.err) {
			r.count.Inc()
			return
		}
	}
	m.failures.Inc()
}

// refusal is a reason to refuse tokens, and how many were refused for it.
type refusal struct {
	err   error
	count prometheus.Counter
}

// resolveVerifications resolves the counters of the outcomes of a verification: a flood of bad tokens asks for them too.
func (m *metrics) resolveVerifications() {
	for _, r := range ofTokens() {
		count := m.verifications.WithLabelValues(r.label)
		switch {
		case r.err == nil:
			m.verified = count
		case errors.Is(r.err, errOther):
			m.failures = count
		default:
			m.refusals = append(m.refusals, refusal{r.err, count})
		}
	}
}

// result is the label of an outcome: a closed set.
type result struct {
	err   error
	label string
}

// ofTokens are the outcomes of a verification.
func ofTokens() []result {
	return []result{
		{nil, "ok"},
		{token.ErrMissing, "token_missing"},
		{token.ErrMalformed, "token_malformed"},
		{token.ErrInvalid, "token_invalid"},
		{token.ErrExpired, "token_expired"},
		{token.ErrRevoked, "token_revoked"},
		{errOther, "error"},
	}
}

// ofLogins are the outcomes of a login.
func ofLogins() []result {
	return []result{
		{nil, "ok"},
		{ErrInvalidRequest, "invalid_request"},
		{ErrCloudIdentity, "cloud_identity_missing"},
		{ErrCodeInvalid, "wx_code_invalid"},
		{ErrCodeUsed, "wx_code_used"},
		{ErrUserBlocked, "wx_user_blocked"},
		{ErrSnapshotUser, "snapshot_user"},
		{ErrWebLogin, "web_login_invalid"},
		{ErrUserBanned, "user_banned"},
		{ErrUserService, "user_service_unavailable"},
		{ErrLimited, "rate_limited"},
		{ErrRateLimited, "wx_rate_limited"},
		{ErrMisconfigured, "wx_misconfigured"},
		{ErrBusy, "wx_busy"},
		{ErrTimeout, "wx_timeout"},
		{ErrUnreachable, "wx_unreachable"},
		{ErrBadResponse, "wx_bad_response"},
		{errOther, "error"},
	}
}

// ofDecryptions are the outcomes of opening encrypted data.
func ofDecryptions() []result {
	return []result{
		{nil, "ok"},
		{ErrInvalidRequest, "invalid_request"},
		{ErrNotOpened, "not_opened"},
		{ErrSessionKeyStale, "no_session_key"},
		{errOther, "error"},
	}
}

// errOther is any outcome without a row: most likely an error of the store.
var errOther = errors.New("other")

func resultOf(err error, among []result) string {
	for _, r := range among {
		if errors.Is(err, r.err) {
			return r.label
		}
	}
	return "error"
}
