package issuer

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/token"
)

// metrics are the metrics of this package. The names of issuers are from the configuration.
type metrics struct {
	verifications *prometheus.CounterVec
	fetches       *prometheus.CounterVec
	keys          *prometheus.GaugeVec
	lastFetch     *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		verifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wxgate_issuer_verifications_total", Help: "Tokens of other issuers judged, by result.",
		}, []string{"issuer", "result"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wxgate_issuer_fetches_total", Help: "Fetches of the keys of other issuers, by result.",
		}, []string{"issuer", "result"}),
		keys: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "wxgate_issuer_keys", Help: "Keys of other issuers that are known.",
		}, []string{"issuer"}),
		lastFetch: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "wxgate_issuer_fetched_timestamp_seconds", Help: "When the keys of an issuer were last fetched.",
		}, []string{"issuer"}),
	}
	reg.MustRegister(m.verifications, m.fetches, m.keys, m.lastFetch)
	return m
}

// verified counts the outcome of a verification.
func (m *metrics) verified(issuer string, err error) {
	result := "error"
	for _, r := range []struct {
		err   error
		label string
	}{
		{nil, "ok"},
		{token.ErrMissing, "token_missing"},
		{token.ErrMalformed, "token_malformed"},
		{token.ErrInvalid, "token_invalid"},
		{token.ErrExpired, "token_expired"},
		{ErrUnavailable, "issuer_unavailable"},
	} {
		if errors.Is(err, r.err) {
			result = r.label
			break
		}
	}
	m.verifications.WithLabelValues(issuer, result).Inc()
}

// fetched counts a fetch of keys.
func (m *metrics) fetched(issuer string, err error, now time.Time) {
	if err != nil {
		m.fetches.WithLabelValues(issuer, "error").Inc()
		return
	}
	m.fetches.WithLabelValues(issuer, "ok").Inc()
	m.lastFetch.WithLabelValues(issuer).Set(float64(now.Unix()))
}

// forget drops the series of an issuer that is gone.
func (m *metrics) forget(issuer string) {
	of := prometheus.Labels{"issuer": issuer}
	m.verifications.DeletePartialMatch(of)
	m.fetches.DeletePartialMatch(of)
	m.keys.DeletePartialMatch(of)
	m.lastFetch.DeletePartialMatch(of)
}
