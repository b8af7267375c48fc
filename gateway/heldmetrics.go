package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"wxgate/gateway/limit"
)

// heldMetrics are the series of what clients hold.
type heldMetrics struct {
	tooMany map[limit.Kind]map[string]prometheus.Counter // by the client's label
}

// newHeldMetrics declares them on reg.
func newHeldMetrics(reg prometheus.Registerer, ledger *limit.Ledger) heldMetrics {
	tooMany := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_too_many_held_total", Help: "Requests refused because their client held too much at a time.",
	}, []string{"held", "client"})
	reg.MustRegister(tooMany, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_clients_holding", Help: "Clients that hold a request, a connection to a service or a WebSocket.",
	}, func() float64 { return float64(ledger.Clients()) }))
	m := heldMetrics{make(map[limit.Kind]map[string]prometheus.Counter)}
	for _, kind := range limit.Kinds() {
		m.tooMany[kind] = make(map[string]prometheus.Counter)
		for _, label := range limit.Labels() {
			m.tooMany[kind][label] = tooMany.WithLabelValues(kind.String(), label)
		}
	}
	return m
}

// refused counts a refusal.
func (m heldMetrics) refused(kind limit.Kind, client limit.Client) {
	m.tooMany[kind][client.Label()].Inc()
}
