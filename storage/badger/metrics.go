package badger

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage/badger/disk"
)

// opName is the label operation of a metric, one per method.
type opName int

// The operations, in the order of opNames.
const (
	opLogin opName = iota
	opUser
	opUpdateUser
	opSessionKeys
	opSession
	opSessions
	opUpdateSession
	opEndSession
	opEndSessions
	opRevoke
	opRevocations
	opUsers
	opImportUser
	opEraseUser
	opBeginSession
	opSetPhone
	opPhone
	opUserByOpenID
	opUsersByUnionID
	opSaveServerToken
	opServerToken
	opIssued
	opForget
	opCount
)

func opNames() [opCount]string {
	return [opCount]string{
		"login", "user", "update_user", "session_keys", "session", "sessions", "update_session",
		"end_session", "end_sessions", "revoke", "revocations",
		"users", "import_user", "erase_user", "begin_session",
		"set_phone", "phone", "user_by_openid", "users_by_unionid", "save_server_token", "server_token", "issued", "forget",
	}
}

type metrics struct {
	durations [opCount]prometheus.Observer
	writable  prometheus.Gauge
	all       []prometheus.Collector
}

// newMetrics registers the metrics of the store whose data lie in dir.
func newMetrics(reg prometheus.Registerer, dir string) (*metrics, error) {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "wxgate_storage_operation_duration_seconds",
		Help:    "How long an operation of the store took, waiting included.",
		Buckets: []float64{.00001, .00005, .0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
	}, []string{"operation"})
	m := &metrics{writable: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wxgate_storage_writable",
		Help: "1 while the store takes writes; 0 with a full disk or after a failed write.",
	})}
	for op, name := range opNames() {
		m.durations[op] = durations.WithLabelValues(name)
	}
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_storage_bytes",
		Help: "What the store takes on the disk.",
	}, func() float64 { return float64(disk.SizeOf(dir)) })
	m.all = []prometheus.Collector{durations, m.writable, size}
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

func (m *metrics) observe(op opName, since time.Time) {
	m.durations[op].Observe(time.Since(since).Seconds())
}
