package authn

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of this package, resolved once.
type metrics struct {
	verified      prometheus.Counter
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
	return m
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
