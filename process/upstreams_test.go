package process

import (
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/upstream"
)

// service is a section of upstreams whose target nobody asks.
func service() upstream.Config {
	cfg := upstream.DefaultConfig()
	cfg.Targets = []upstream.Target{{URL: "http://127.0.0.1:9", Weight: 1}}
	return cfg
}

// withSeries are the upstreams that any series is of, in order.
func withSeries(tb testing.TB, reg prometheus.Gatherer) (names []string) {
	tb.Helper()
	families, err := reg.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "upstream" && !slices.Contains(names, label.GetValue()) {
					names = append(names, label.GetValue())
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// TestWhatIsLeftOfAnUpstreamThatAReloadRemoves is about alerts on a service that was removed because it is away.
func TestWhatIsLeftOfAnUpstreamThatAReloadRemoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		running, err := openUpstreams(map[string]upstream.Config{"goes": service(), "returns": service(), "stays": service()}, reg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = running.close() }()
		reload := func(names ...string) {
			cfgs := map[string]upstream.Config{}
			for _, name := range names {
				cfgs[name] = service()
			}
			next, err := running.next(cfgs)
			if err == nil {
				err = running.activate(next)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		want := func(when string, want ...string) {
			if got := withSeries(t, reg); !slices.Equal(got, want) {
				t.Errorf("%s there are series of %q, want %q", when, got, want)
			}
		}
		reload("stays")
		want("while requests may still turn to them", "goes", "returns", "stays")
		reload("returns", "stays")
		<-time.After(retireAfter + time.Second)
		synctest.Wait()
		want("a minute later", "returns", "stays")
		reload("stays")
		if err := running.close(); err != nil {
			t.Fatal(err)
		}
		want("at the end")
	})
}
