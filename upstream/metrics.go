package upstream

import (
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/histogram"
	"wxgate/upstream/http1"
)

// Metrics holds the metrics of all upstreams. Their labels are the names of upstreams and the host:port of targets as
// written in gateway.yaml, never a resolved address, or their unix:/path.
type Metrics struct {
	duration    *prometheus.HistogramVec
	requests    *prometheus.CounterVec
	retries     *prometheus.CounterVec
	exhausted   *prometheus.CounterVec
	ejections   *prometheus.CounterVec
	queued      *prometheus.CounterVec
	dials       *prometheus.CounterVec
	dns         *prometheus.CounterVec
	unsolicited *prometheus.CounterVec
	gauges      *gauges
}

const (
	labelUpstream = "upstream"
	labelTarget   = "target"
)

// NewMetrics declares wxgate_upstream_* on reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{labelUpstream}, labels...))
	}
	m := &Metrics{
		duration: prometheus.NewHistogramVec(histogram.Options(reg, prometheus.HistogramOpts{
			Name:    "wxgate_upstream_request_duration_seconds",
			Help:    "Time from sending a request to the head of the upstream's answer, or to the failure.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}), []string{labelUpstream}),
		requests:    counter("wxgate_upstream_requests_total", "Attempts to send a request, by result.", labelTarget, "result"),
		retries:     counter("wxgate_upstream_retries_total", "Requests sent again to another address, by what became of the attempt before.", "reason"),
		exhausted:   counter("wxgate_upstream_retry_budget_exhausted_total", "Retries that the budget did not allow."),
		ejections:   counter("wxgate_upstream_ejections_total", "Addresses ejected because their requests failed.", labelTarget),
		queued:      counter("wxgate_upstream_queued_total", "Requests that found all connections busy, by result and by the key that sets how many there are.", "result", "limit"),
		dials:       counter("wxgate_upstream_dials_total", "Dialed connections, by result.", "result"),
		dns:         counter("wxgate_upstream_dns_failures_total", "Failed lookups of a target's name; its previous addresses stay in use.", labelTarget),
		unsolicited: counter("wxgate_upstream_unasked_bytes_total", "Connections on which bytes that answer no request came after content.", labelTarget),
		gauges:      newGauges(),
	}
	reg.MustRegister(m.duration, m.requests, m.retries, m.exhausted, m.ejections, m.queued, m.dials, m.dns, m.unsolicited, m.gauges)
	return m
}

// upstreamMetrics are the metrics of one upstream.
type upstreamMetrics struct {
	duration  prometheus.Observer
	exhausted prometheus.Counter
	queued    [http1.LimitCount]queuedMetrics
	retries   map[string]prometheus.Counter
	dials     map[string]prometheus.Counter
}

// queuedMetrics count how the waits for the slots of a limit ended.
type queuedMetrics struct{ served, expired, refused prometheus.Counter }

func (m *Metrics) of(upstream string) upstreamMetrics {
	own := upstreamMetrics{
		duration:  m.duration.WithLabelValues(upstream),
		exhausted: m.exhausted.WithLabelValues(upstream),
		retries:   make(map[string]prometheus.Counter),
		dials:     make(map[string]prometheus.Counter),
	}
	for l := range http1.LimitCount {
		count := func(result string) prometheus.Counter { return m.queued.WithLabelValues(upstream, result, l.String()) }
		own.queued[l] = queuedMetrics{count("served"), count("expired"), count("refused")}
	}
	for _, result := range []string{"connected", "failed", "lacking", "expired"} {
		own.dials[result] = m.dials.WithLabelValues(upstream, result)
	}
	for _, reason := range retryReasons() {
		own.retries[reason] = m.retries.WithLabelValues(upstream, reason)
	}
	return own
}

func (m *upstreamMetrics) dialed(result string) { m.dials[result].Inc() }

func (m *Metrics) ofTarget(upstream, target string) targetMetrics {
	own := targetMetrics{
		ejections:   m.ejections.WithLabelValues(upstream, target),
		dnsFailures: m.dns.WithLabelValues(upstream, target),
		unsolicited: m.unsolicited.WithLabelValues(upstream, target),
	}
	for f := range outcomeCount {
		if f != outcomeNone {
			own.results[f] = m.requests.WithLabelValues(upstream, target, f.label())
		}
	}
	return own
}

// forgetTarget removes the series of a target that is gone.
func (m *Metrics) forgetTarget(upstream, target string) {
	labels := prometheus.Labels{labelUpstream: upstream, labelTarget: target}
	m.requests.DeletePartialMatch(labels)
	m.ejections.DeletePartialMatch(labels)
	m.dns.DeletePartialMatch(labels)
	m.unsolicited.DeletePartialMatch(labels)
}

// register makes the series of an upstream, which takes over those of another one of its name that is still open.
func (m *Metrics) register(u *Upstream) upstreamMetrics {
	m.gauges.mu.Lock()
	defer m.gauges.mu.Unlock()
	m.gauges.of[u.name] = u
	return m.of(u.name)
}

// unregister removes the series of an upstream that closes, unless another one has taken them over.
func (m *Metrics) unregister(u *Upstream) {
	m.gauges.mu.Lock()
	defer m.gauges.mu.Unlock()
	if m.gauges.of[u.name] != u {
		return
	}
	delete(m.gauges.of, u.name)
	own := prometheus.Labels{labelUpstream: u.name}
	m.duration.DeletePartialMatch(own)
	for _, c := range []*prometheus.CounterVec{m.requests, m.retries, m.exhausted, m.ejections, m.queued, m.dials, m.dns, m.unsolicited} {
		c.DeletePartialMatch(own)
	}
}

// gauges reads the state of all upstreams when it is asked for, so that requests need not keep it up to date.
type gauges struct {
	up, inFlight, latency, breaker, queue, dialLine, undrained *prometheus.Desc

	mu sync.Mutex
	of map[string]*Upstream
}

func newGauges() *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{labelUpstream}, labels...), nil)
	}
	return &gauges{
		up:        desc("wxgate_upstream_up", "1 while at least one address of the target takes part; 0 when all are ejected, unhealthy or unknown.", labelTarget),
		inFlight:  desc("wxgate_upstream_in_flight", "Connections to the target that are in use.", labelTarget),
		latency:   desc("wxgate_upstream_latency_seconds", "The target's latency as p2c sees it: a peak-sensitive moving average.", labelTarget),
		breaker:   desc("wxgate_upstream_breaker_open", "1 while the circuit breaker refuses requests or lets only a few through."),
		queue:     desc("wxgate_upstream_queue_length", "Requests waiting for a connection."),
		undrained: desc("wxgate_upstream_undrained", "1 once the service has taken content that it did not read for a request."),
		dialLine:  desc("wxgate_upstream_dials_waiting", "Requests waiting to dial."),
		of:        make(map[string]*Upstream),
	}
}

// Describe is for Prometheus.
func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.up, g.inFlight, g.latency, g.breaker, g.queue, g.dialLine, g.undrained} {
		to <- d
	}
}

// Collect is for Prometheus.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	g.mu.Lock()
	all := slices.Collect(maps.Values(g.of))
	g.mu.Unlock()
	for _, u := range all {
		if u.cluster.Load() == nil {
			continue // it is being opened
		}
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{u.name}, labels...)...)
		}
		gauge(g.undrained, number(u.undrained.Load()))
		gauge(g.breaker, number(u.breaker.IsOpen()))
		gauge(g.queue, float64(u.queue.waiting.Load()))
		waiting := int64(0)
		for _, t := range u.states() {
			waiting += t.waiting
			gauge(g.up, number(t.up), t.name)
			gauge(g.inFlight, float64(t.inFlight), t.name)
			gauge(g.latency, t.latency, t.name)
		}
		gauge(g.dialLine, float64(waiting))
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// state is a target as its gauges show it.
type state struct {
	name     string
	up       bool
	inFlight int
	latency  float64 // of its fastest address that is up, in seconds
	waiting  int64   // for a dial
}

func (u *Upstream) states() []state {
	u.mu.Lock()
	defer u.mu.Unlock()
	cfg, now := &u.cluster.Load().cfg, u.deps.now()
	all := make([]state, 0, len(u.targets))
	for _, t := range u.targets {
		s := state{name: t.origin.Address}
		for _, e := range t.endpoints {
			is := e.scoreAt(now, cfg)
			busy, _ := e.usage()
			s.inFlight += busy
			s.waiting += e.pool.DialsWaiting()
			if is.rank != rankUnhealthy && (!s.up || is.latency < s.latency) {
				s.up, s.latency = true, is.latency
			}
		}
		all = append(all, s)
	}
	return all
}
