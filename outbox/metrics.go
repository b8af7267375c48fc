package outbox

import "github.com/prometheus/client_golang/prometheus"

// metrics are the metrics of this package, resolved once.
type metrics struct {
	told, refused, unavailable prometheus.Counter
	pending                    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_user_events_total", Help: "Events about users that authn.on_user was sent, by result.",
	}, []string{"result"})
	m := &metrics{
		told: attempts.WithLabelValues("ok"), refused: attempts.WithLabelValues("refused"), unavailable: attempts.WithLabelValues("unavailable"),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wxgate_user_events_pending", Help: "Users about whom authn.on_user must still be told, as of the last round of at least one a minute.",
		}),
	}
	reg.MustRegister(attempts, m.pending)
	return m
}
