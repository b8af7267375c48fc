package upstream

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the metrics that all upstreams share.
type Metrics struct {
	duration *prometheus.HistogramVec
}

// NewMetrics declares wxgate_upstream_request_duration_seconds{upstream} on reg: seconds from the request to the head
// of its answer, or to the failure.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "wxgate_upstream_request_duration_seconds",
		Help:    "Time from sending a request to the head of the upstream's answer, or to the failure.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"upstream"})}
	reg.MustRegister(m.duration)
	return m
}
