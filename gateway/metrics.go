package gateway

import (
	"cmp"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/histogram"
)

// unmatchedRoute is the route label of requests that match no route.
const unmatchedRoute = "unmatched"

// metrics are the series of this package. Every label comes from a closed set: patterns of routes, known methods,
// statuses, reasons of the error table.
type metrics struct {
	requests     *prometheus.CounterVec
	duration     *prometheus.HistogramVec
	overhead     prometheus.Histogram
	inFlight     prometheus.Gauge
	stripped     prometheus.Counter
	rateLimited  *prometheus.CounterVec
	webSockets   *prometheus.GaugeVec
	connections  *listen.Public
	perClient    limit.Metrics
	earlyRetries prometheus.Counter

	mu        sync.RWMutex
	resolved  map[seriesKey]*series             // by the combinations seen so far
	durations map[[2]string]*histogram.Observer // by the labels of duration
}

// seriesKey are the label values of a request.
type seriesKey struct {
	route, method, reason string
	status                int
	upstream              bool
}

// series are the metrics of a combination of labels.
type series struct {
	key      seriesKey
	requests prometheus.Counter
	duration *histogram.Observer
}

func newMetrics(reg prometheus.Registerer, ledger *limit.Ledger) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wxgate_requests_total", Help: "Requests answered, by who answered (source) and why one was refused (reason).",
		}, []string{"route", "method", "code", "source", "reason"}),
		duration: prometheus.NewHistogramVec(histogram.Options(reg, prometheus.HistogramOpts{
			Name: "wxgate_request_duration_seconds", Help: "Time from a request's head to its answer's head.",
			Buckets: durationBuckets(),
		}), []string{"route", "code_class"}),
		overhead: prometheus.NewHistogram(histogram.Options(reg, prometheus.HistogramOpts{
			Name: "wxgate_overhead_seconds", Help: "The gateway's own part of a forwarded request's time.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 12),
		})),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wxgate_requests_in_flight", Help: "Requests being worked on.",
		}),
		stripped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wxgate_identity_headers_stripped_total", Help: "Inbound headers removed because a service could read them as identity.",
		}),
		earlyRetries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wxgate_early_retries_total", Help: "Requests that came before the Retry-After of an overloaded answer was over, and waited.",
		}),
		rateLimited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wxgate_rate_limited_total", Help: "Requests refused by a rate limit.",
		}, []string{"route", "per"}),
	}
	m.webSockets = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "wxgate_websockets", Help: "WebSockets that are open.",
	}, []string{"route"})
	m.connections = listen.NewPublic(reg)
	m.perClient = limit.NewMetrics(reg, ledger)
	m.resolved, m.durations = map[seriesKey]*series{}, map[[2]string]*histogram.Observer{}
	reg.MustRegister(m.requests, m.duration, m.overhead, m.inFlight, m.stripped, m.earlyRetries, m.rateLimited, m.webSockets)
	return m
}

// registerBuckets publishes how many clients the rate limits remember.
func (m *metrics) registerBuckets(reg prometheus.Registerer, held func() int) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_rate_limit_keys", Help: "Clients whose buckets are not full, of all rate limits.",
	}, func() float64 { return float64(held()) }))
}

// newSeriesKey is what an exchange is counted under.
func newSeriesKey(ex *Exchange) seriesKey {
	return seriesKey{
		route: ex.routeLabel(), method: ex.method, reason: ex.reason, status: cmp.Or(ex.refused, ex.response.Status),
		upstream: ex.reason == "" && ex.route != nil && ex.route.upstream != nil,
	}
}

// observeDuration records the time until the head of an answer. others is how much of it the service and the sender of
// the body took.
func (m *metrics) observeDuration(ex *Exchange, s *series, others time.Duration) {
	took := ex.answeredAt.Sub(ex.start)
	of := histogram.Request{ID: ex.id}
	if ex.trace.Recorded() {
		of.TraceID = ex.trace.Span.TraceID()
	}
	s.duration.Observe(took.Seconds(), of, ex.answeredAt)
	if s.key.upstream {
		m.overhead.Observe((took - others).Seconds())
	}
}

// countUnobserved counts a request that was refused before the chain ran.
func (m *metrics) countUnobserved(f answer.Failure) {
	m.seriesFor(seriesKey{route: unmatchedRoute, method: methodOther, reason: f.Reason, status: f.Status}).requests.Inc()
}

// seriesOf returns the series of an exchange. Most requests of a route are counted under the same one.
func (m *metrics) seriesOf(ex *Exchange, key seriesKey) *series {
	if ex.route == nil {
		return m.seriesFor(key)
	}
	last := ex.route.series.Load()
	if last == nil || last.key != key {
		last = m.seriesFor(key)
		ex.route.series.Store(last)
	}
	return last
}

// seriesFor returns the series of a combination of labels. Combinations are few and soon all known, so that requests
// read them side by side.
func (m *metrics) seriesFor(key seriesKey) *series {
	m.mu.RLock()
	known := m.resolved[key]
	m.mu.RUnlock()
	if known != nil {
		return known
	}
	source := "gateway"
	if key.upstream {
		source = "upstream"
	}
	s := &series{
		key:      key,
		requests: m.requests.WithLabelValues(key.route, key.method, strconv.Itoa(key.status), source, key.reason),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.duration = m.durationOf(key.route, strconv.Itoa(key.status/100)+"xx")
	m.resolved[key] = s
	return s
}

// durationOf returns the histogram of its labels, one for all the series that it is of. The caller holds mu.
func (m *metrics) durationOf(labels ...string) *histogram.Observer {
	key := [2]string(labels)
	if m.durations[key] == nil {
		m.durations[key] = histogram.NewObserver(m.duration.WithLabelValues(labels...), durationBuckets())
	}
	return m.durations[key]
}

// durationBuckets are those of wxgate_request_duration_seconds.
func durationBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}
