package limit

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the series of what was refused because too much was held.
type Metrics struct {
	tooMany    map[Kind]map[string]prometheus.Counter // by the client's label
	overloaded [bounds]prometheus.Counter             // Unbounded: nil
}

// NewMetrics declares them on reg.
func NewMetrics(reg prometheus.Registerer, ledger *Ledger) Metrics {
	tooMany := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_too_many_held_total", Help: "Requests refused because their client held too much at a time.",
	}, []string{"held", "client"})
	reg.MustRegister(tooMany, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_clients_holding", Help: "Clients that hold a request, a connection to a service or a WebSocket.",
	}, func() float64 { return float64(ledger.Clients()) }))
	overloaded := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_overloaded_total", Help: "Requests refused because there were too many of all clients, by what they exceeded.",
	}, []string{"limit"})
	reg.MustRegister(overloaded)
	m := Metrics{tooMany: make(map[Kind]map[string]prometheus.Counter)}
	for b := Unbounded + 1; b < bounds; b++ {
		m.overloaded[b] = overloaded.WithLabelValues(b.label())
	}
	for _, kind := range allKinds() {
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

// CountOverload counts a request that exceeded a Bound.
func (m Metrics) CountOverload(b Bound) { m.overloaded[b].Inc() }

// gauges show how many slots there are and how many are taken, whenever they are asked for.
type gauges struct {
	load    *Load
	inForce func() (most int64, isConfigured func(upstream string) bool)

	slots, used, ofService, usedOfService *prometheus.Desc
}

// RegisterGauges declares on reg what a load lets in at a time. inForce returns limits.in_flight, and what says whether an
// upstream is still one of gateway.yaml.
func RegisterGauges(reg prometheus.Registerer, load *Load, inForce func() (most int64, isConfigured func(upstream string) bool)) {
	reg.MustRegister(&gauges{
		load: load, inForce: inForce,
		slots:         prometheus.NewDesc("wxgate_slots", "limits.in_flight; 0: there is no limit, and no service has a learned one either.", nil, nil),
		used:          prometheus.NewDesc("wxgate_slots_used", "Slots of limits.in_flight that are taken, by what their requests do.", []string{"state"}, nil),
		ofService:     prometheus.NewDesc("wxgate_upstream_slots", "How many requests a service is given at a time, as learned from its answers; 0: the limit is off.", []string{"upstream"}, nil),
		usedOfService: prometheus.NewDesc("wxgate_upstream_slots_used", "Slots of a service that are taken.", []string{"upstream"}, nil),
	})
}

// Describe is for Prometheus.
func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.slots, g.used, g.ofService, g.usedOfService} {
		to <- d
	}
}

// Collect is for Prometheus.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	most, isConfigured := g.inForce()
	all, uploads := g.load.Taken()
	gauge(g.slots, most)
	gauge(g.used, max(0, all-uploads), "working") // they are read one after the other
	gauge(g.used, uploads, "uploading")
	for upstream, service := range g.load.known() {
		if isConfigured(upstream) {
			taken, _ := service.Taken()
			gauge(g.ofService, service.slotsOf(most), upstream)
			gauge(g.usedOfService, taken, upstream)
		}
	}
}

// known returns the adaptive limits by upstream, also those of upstreams that a reload removed.
func (l *Load) known() map[string]*Adaptive {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.services)
}

// slotsOf returns how many requests are let in at a time if there can be most; 0: any number.
func (p *Adaptive) slotsOf(most int64) int64 {
	if slots := p.slots.Load(); slots > 0 {
		return min(slots, most)
	}
	return most
}
