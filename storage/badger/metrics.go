package badger

import (
	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage/badger/disk"
)

type metrics struct {
	writable prometheus.Gauge
	all      []prometheus.Collector
}

// newMetrics registers the metrics of the store whose data lie in dir.
func newMetrics(reg prometheus.Registerer, dir string) (*metrics, error) {
	m := &metrics{writable: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wxgate_storage_writable",
		Help: "1 while the store takes writes; 0 with a full disk or after a failed write.",
	})}
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_storage_bytes",
		Help: "What the store takes on the disk.",
	}, func() float64 { return float64(disk.SizeOf(dir)) })
	m.all = []prometheus.Collector{m.writable, size}
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
