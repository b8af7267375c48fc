package tracing

import "github.com/prometheus/client_golang/prometheus"

// metrics count what became of the spans that were recorded.
type metrics struct {
	exported prometheus.Counter
	overflow prometheus.Counter // dropped, because too many were waiting
	failed   prometheus.Counter // dropped, because the collector did not take them
	late     prometheus.Counter // dropped, because the exporter had been closed
}

func newMetrics(reg prometheus.Registerer) *metrics {
	exported := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "wxgate_tracing_spans_exported_total", Help: "Spans that the collector has taken.",
	})
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_tracing_spans_dropped_total", Help: "Spans that were recorded and are lost, by why.",
	}, []string{"reason"})
	reg.MustRegister(exported, dropped)
	return &metrics{
		exported: exported, overflow: dropped.WithLabelValues("queue_full"), failed: dropped.WithLabelValues("export_failed"),
		late: dropped.WithLabelValues("closed"),
	}
}
