package limit

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the series of what clients hold.
type Metrics struct {
	tooMany map[Kind]map[string]prometheus.Counter // by the client's label
}

// NewMetrics declares them on reg.
func NewMetrics(reg prometheus.Registerer, ledger *Ledger) Metrics {
	tooMany := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_too_many_held_total", Help: "Requests refused because their client held too much at a time.",
	}, []string{"held", "client"})
	reg.MustRegister(tooMany, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_clients_holding", Help: "Clients that hold a request, a connection to a service or a WebSocket.",
	}, func() float64 { return float64(ledger.Clients()) }))
	m := Metrics{make(map[Kind]map[string]prometheus.Counter)}
	for _, kind := range Kinds() {
		m.tooMany[kind] = make(map[string]prometheus.Counter)
		for _, label := range labels() {
			m.tooMany[kind][label] = tooMany.WithLabelValues(kind.String(), label)
		}
	}
	return m
}

// CountRefusal counts a request that would have made its client hold too much.
func (m Metrics) CountRefusal(kind Kind, client Client) {
	m.tooMany[kind][client.label()].Inc()
}
