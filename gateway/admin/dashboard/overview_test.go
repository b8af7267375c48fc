package dashboard_test

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/gateway/admin/dashboard"
)

// source is one with these metrics, and a clock that the test moves.
func source(reg prometheus.Gatherer, now *time.Time, routes ...dashboard.Route) dashboard.Source {
	return dashboard.Source{
		Metrics: reg, Process: func() dashboard.Process { return dashboard.Process{Reloads: []dashboard.Reload{}} },
		Routes: func() []dashboard.Route { return routes }, Now: func() time.Time { return *now },
		Health: func() dashboard.Health {
			return dashboard.Health{Ready: dashboard.Ready{OK: true, But: []dashboard.Fault{}}}
		},
	}
}

func TestAnOverviewIsMadeOnceASecond(t *testing.T) {
	t.Parallel()
	reg, now, read := prometheus.NewRegistry(), time.Unix(1_800_000_000, 0), 0.0
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "wxgate_connections"}, func() float64 { read++; return read }))
	all := dashboard.NewOverviews(source(reg, &now))
	for _, step := range []struct {
		ahead time.Duration
		want  float64
	}{{0, 1}, {999 * time.Millisecond, 1}, {time.Millisecond, 2}, {-time.Hour, 3}, {0, 3}} {
		now = now.Add(step.ahead)
		if got := all.Last().Traffic.Connections; got != step.want {
			t.Errorf("after %v: gathered %v times, want %v", step.ahead, got, step.want)
		}
	}
}

// TestAnOverviewThatTakesLongIsMadeLessOften: what a page costs is bounded however many routes there are, and its plots stay whole.
func TestAnOverviewThatTakesLongIsMadeLessOften(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ takes, keeps time.Duration }{
		{time.Millisecond, time.Second}, {20 * time.Millisecond, 3 * time.Second}, {time.Minute, 6 * time.Second},
	} {
		reg, now, read := prometheus.NewRegistry(), time.Unix(1_800_000_000, 0), 0.0
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "wxgate_connections"}, func() float64 {
			now, read = now.Add(row.takes), read+1
			return read
		}))
		all := dashboard.NewOverviews(source(reg, &now))
		for _, step := range []struct {
			ahead time.Duration
			want  float64
		}{{0, 1}, {row.keeps - 1, 1}, {1, 2}} {
			now = now.Add(step.ahead)
			if got := all.Last().Traffic.Connections; got != step.want {
				t.Errorf("%v each: gathered %v times, want %v before %v have passed", row.takes, got, step.want, row.keeps)
			}
		}
	}
}

// TestTheSlowestRoutesAreThoseOfTheHighestP99 and none that nobody has asked for.
func TestTheSlowestRoutesAreThoseOfTheHighestP99(t *testing.T) {
	t.Parallel()
	reg, now := prometheus.NewRegistry(), time.Unix(1_800_000_000, 0)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "wxgate_requests_total"}, []string{"route", "method", "code", "source", "reason"})
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "wxgate_request_duration_seconds", Buckets: []float64{0.01, 0.1, 1}}, []string{"route"})
	reg.MustRegister(requests, durations)
	took := map[string][]float64{
		"/quick": {0.001}, "/half": {0.02, 0.02, 0.02, 0.02}, "/beyond": {7}, "/once": {0.001, 0.5}, "/slow": {0.5, 0.5}, "/tenth": {0.05}, "/none": nil,
	}
	var routes []dashboard.Route
	for _, path := range slices.Sorted(maps.Keys(took)) {
		routes = append(routes, dashboard.Route{Path: path})
		for _, seconds := range took[path] {
			requests.WithLabelValues(path, "GET", "200", "upstream", "").Inc()
			durations.WithLabelValues(path).Observe(seconds)
		}
	}
	var got []string
	for _, r := range dashboard.NewOverviews(source(reg, &now, routes...)).Last().Slowest {
		got = append(got, r.Path)
	}
	if want := []string{"/beyond", "/slow", "/once", "/half", "/tenth"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestASlowStoreIsAskedOnceForAllWhoWait: else each of those who wait for an overview would make another one, after the last.
func TestASlowStoreIsAskedOnceForAllWhoWait(t *testing.T) {
	t.Parallel()
	now, asked := time.Unix(1_800_000_000, 0), 0
	slow := source(prometheus.NewRegistry(), &now)
	slow.Health = func() dashboard.Health {
		asked++
		now = now.Add(2 * time.Second)
		return dashboard.Health{}
	}
	all := dashboard.NewOverviews(slow)
	for range 16 {
		all.Last()
	}
	if asked != 1 {
		t.Errorf("16 pages at once have asked %d times, want once", asked)
	}
}

// TestAnOverviewIsJSONWhateverTheMetricsHold: JSON has no NaN, and a page that expects a list meets no null.
func TestAnOverviewIsJSONWhateverTheMetricsHold(t *testing.T) {
	t.Parallel()
	reg, now := prometheus.NewRegistry(), time.Unix(1_800_000_000, 0)
	gauge := func(name string, value float64, labels prometheus.Labels) {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, ConstLabels: labels})
		g.Set(value)
		reg.MustRegister(g)
	}
	target := prometheus.Labels{"upstream": "a", "target": "http://10.0.0.1"}
	gauge("wxgate_upstream_up", 1, target)
	gauge("wxgate_upstream_latency_seconds", math.NaN(), target)
	gauge("wxgate_storage_bytes", math.Inf(1), nil)
	gauge("wxgate_tls_certificate_expiry_timestamp_seconds", 0, prometheus.Labels{"name": "a.example", "cert": "acme"})
	text, err := json.Marshal(dashboard.NewOverviews(source(reg, &now)).Last())
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("got %s, %v", text, err)
	}
	for _, want := range []string{
		`"upstreams":[{"name":"a","breaker_open":false,"queue":0,"targets":[{"url":"http://10.0.0.1","up":true,"in_flight":0,"latency_seconds":0,"ejections":0}]}]`,
		`"certificates":[{"name":"a.example","cert":"acme","expires_at":""}]`, `"backup":{"every_seconds":0,"last":"","failures":0}`, `"reasons":[],"slowest":[]`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("got no %s in %s", want, text)
		}
	}
}

// TestRequestsAreThoseOfTheRouteThatServesTheMethod: the label is the pattern, which several routes may share.
func TestRequestsAreThoseOfTheRouteThatServesTheMethod(t *testing.T) {
	t.Parallel()
	reg, now := prometheus.NewRegistry(), time.Unix(1_800_000_000, 0)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "wxgate_requests_total"}, []string{"route", "method", "code", "source", "reason"})
	reg.MustRegister(requests)
	for _, c := range []struct {
		route, method, code string
		count               float64
	}{{"/a", "GET", "200", 5}, {"/a", "POST", "200", 3}, {"/a", "POST", "503", 2}, {"b.example/a", "GET", "200", 7}, {"unmatched", "GET", "404", 11}} {
		requests.WithLabelValues(c.route, c.method, c.code, "upstream", "").Add(c.count)
	}
	all := dashboard.NewOverviews(source(reg, &now,
		dashboard.Route{Path: "/a", Methods: []string{"GET"}}, dashboard.Route{Path: "/a"}, dashboard.Route{Path: "/a", Host: "b.example"},
	))
	for i, want := range []struct{ requests, errors float64 }{{5, 0}, {5, 2}, {7, 0}} {
		if r := all.Routes().Routes[i]; r.Requests != want.requests || r.Errors != want.errors {
			t.Errorf("route %d: got %v requests and %v errors, want %v", i, r.Requests, r.Errors, want)
		}
	}
	if got := all.Last().Traffic; got.Requests != 28 || got.Errors != 2 {
		t.Errorf("in all: %+v", got)
	}
}
