package badger

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gathered returns the metric of that name: the value of a gauge, or how often a histogram was observed.
func gathered(t *testing.T, s *Store, name string) float64 {
	t.Helper()
	families, err := s.driver.registerer.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		sum := 0.0
		for _, m := range family.GetMetric() {
			sum += m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
		return sum
	}
	t.Fatalf("got no metric %s", name)
	return 0
}

func TestEveryMetricIsGathered(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	login(t, s, "oABC", "s1")
	for name, atLeast := range map[string]float64{
		"wxgate_storage_operation_duration_seconds": 1,
		"wxgate_storage_writable":                   1,
		"wxgate_storage_bytes":                      1000,
	} {
		if got := gathered(t, s, name); got < atLeast {
			t.Errorf("%s: got %v, want at least %v", name, got, atLeast)
		}
	}
}

func TestOneRegistryTakesTheStoreAgainAfterClose(t *testing.T) {
	t.Parallel()
	reg, dir := prometheus.NewRegistry(), t.TempDir()
	for range 2 {
		s, err := openFree(configIn(dir), reg, quiet(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
