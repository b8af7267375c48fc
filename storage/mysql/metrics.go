package mysql

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	retries   [classes]prometheus.Counter
	uncertain prometheus.Counter
	all       []prometheus.Collector
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	retries := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_mysql_retries_total",
		Help: "Operations that were run again, by cause: a conflict with another writer, a lost connection, or a server that cannot take part.",
	}, []string{"cause"})
	m := &metrics{uncertain: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "wxgate_mysql_uncertain_commits_total",
		Help: "Commits whose answer was lost and then looked up.",
	})}
	for c, name := range class(0).names() {
		if class(c) != fatal {
			m.retries[c] = retries.WithLabelValues(name)
		}
	}
	m.all = []prometheus.Collector{retries, m.uncertain}
	for _, c := range m.all {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// unregister lets the same process open the store again.
func (m *metrics) unregister(reg prometheus.Registerer) {
	for _, c := range m.all {
		reg.Unregister(c)
	}
}
