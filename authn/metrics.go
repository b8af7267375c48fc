package authn

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of this package, resolved once.
type metrics struct {
	verified      prometheus.Counter
	cacheHits     prometheus.Counter
	cacheMisses   prometheus.Counter
	verifications *prometheus.CounterVec
	logins        *prometheus.CounterVec
	refreshes     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"})
		reg.MustRegister(v)
		for _, r := range results() {
			v.WithLabelValues(r.label)
		}
		v.WithLabelValues("ok")
		return v
	}
	m := &metrics{
		verifications: counter("wxgate_authn_verifications_total", "Bearer tokens judged, by result."),
		logins:        counter("wxgate_authn_logins_total", "Logins with WeChat, by result."),
		refreshes:     counter("wxgate_authn_refreshes_total", "Token refreshes, by result."),
	}
	m.verified = m.verifications.WithLabelValues("ok")
	cache := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_authn_token_cache_total", Help: "Look-ups in the cache of verified tokens, by result.",
	}, []string{"result"})
	reg.MustRegister(cache)
	m.cacheHits, m.cacheMisses = cache.WithLabelValues("hit"), cache.WithLabelValues("miss")
	return m
}

// countRevocations publishes how many revocations are held in memory.
func (m *metrics) countRevocations(reg prometheus.Registerer, count func() int) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_authn_revocations", Help: "Revocations held in memory.",
	}, func() float64 { return float64(count()) }))
}

func (m *metrics) refused(err error) { m.verifications.WithLabelValues(resultOf(err)).Inc() }

// result is the label of an outcome: a closed set.
type result struct {
	err   error
	label string
}

func results() []result {
	return []result{
		{ErrTokenMissing, "token_missing"},
		{ErrTokenMalformed, "token_malformed"},
		{ErrTokenInvalid, "token_invalid"},
		{ErrTokenExpired, "token_expired"},
		{ErrTokenRevoked, "token_revoked"},
		{ErrTokenReused, "token_reused"},
		{ErrUserBanned, "user_banned"},
		{ErrInvalidRequest, "invalid_request"},
		{ErrCodeInvalid, "wx_code_invalid"},
		{ErrCodeUsed, "wx_code_used"},
		{ErrUserBlocked, "wx_user_blocked"},
		{ErrRateLimited, "wx_rate_limited"},
		{ErrMisconfigured, "wx_misconfigured"},
		{ErrBusy, "wx_busy"},
		{ErrTimeout, "wx_timeout"},
		{ErrBadResponse, "wx_bad_response"},
		{nil, "error"},
	}
}

func resultOf(err error) string {
	if err == nil {
		return "ok"
	}
	for _, r := range results() {
		if r.err != nil && errors.Is(err, r.err) {
			return r.label
		}
	}
	return "error"
}
