package histogram_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/histogram"
)

func bounds() []float64 { return []float64{.1, 1} }

// observed is a histogram on a registry with exemplars, and what reads them by bucket.
func observed(tb testing.TB, reg *histogram.Registry) (observer *histogram.Observer, exemplars func() []string) {
	tb.Helper()
	h := prometheus.NewHistogram(histogram.Options(reg, prometheus.HistogramOpts{Name: "took", Help: "Seconds.", Buckets: bounds()}))
	reg.MustRegister(h)
	return histogram.NewObserver(h, bounds()), func() (ids []string) {
		families, err := reg.Gather()
		if err != nil {
			tb.Fatal(err)
		}
		for _, bucket := range families[0].GetMetric()[0].GetHistogram().GetBucket() {
			for _, label := range bucket.GetExemplar().GetLabel() {
				ids = append(ids, label.GetName()+"="+label.GetValue())
			}
		}
		return ids
	}
}

func TestABucketHasAnExemplarASecond(t *testing.T) {
	t.Parallel()
	observer, exemplars := observed(t, histogram.NewRegistry(histogram.Config{}))
	now := time.Unix(1000, 0)
	observer.Observe(.05, histogram.Request{ID: "first"}, now)
	observer.Observe(.06, histogram.Request{ID: "second"}, now.Add(999*time.Millisecond))
	observer.Observe(.5, histogram.Request{ID: "slow"}, now)
	observer.Observe(5, histogram.Request{ID: "slowest"}, now)
	if got := strings.Join(exemplars(), " "); got != "request_id=first request_id=slow request_id=slowest" {
		t.Errorf("within a second the exemplars are %s", got)
	}
	observer.Observe(.1, histogram.Request{ID: "third"}, now.Add(time.Second)) // the bound belongs to its bucket
	if got := exemplars()[0]; got != "request_id=third" {
		t.Errorf("a second later the first bucket has %s", got)
	}
}

func TestAnExemplarThatDoesNotFitIsLeftOut(t *testing.T) {
	t.Parallel()
	observer, exemplars := observed(t, histogram.NewRegistry(histogram.Config{}))
	for _, id := range []string{"", strings.Repeat("x", 119), "\xff"} {
		observer.Observe(.5, histogram.Request{ID: id}, time.Unix(1000, 0))
	}
	if got := exemplars(); got != nil {
		t.Errorf("got the exemplars %q, want none", got)
	}
	observer.Observe(.5, histogram.Request{ID: strings.Repeat("x", 118)}, time.Unix(1000, 0))
	if got := exemplars(); len(got) != 1 {
		t.Errorf("got the exemplars %q, want the one that just fits", got)
	}
}

func TestAnExemplarNamesTheTraceThatIsRecorded(t *testing.T) {
	t.Parallel()
	observer, exemplars := observed(t, histogram.NewRegistry(histogram.Config{}))
	traced := histogram.Request{ID: "an-id", TraceID: [16]byte{0x4b, 15: 1}}
	observer.Observe(.5, traced, time.Unix(1000, 0))
	got := exemplars()
	slices.Sort(got)
	if want := "request_id=an-id trace_id=4b000000000000000000000000000001"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
	traced.ID = strings.Repeat("x", 79) // without room for both
	observer.Observe(.5, traced, time.Unix(1001, 0))
	if got := exemplars(); len(got) != 1 || got[0] != "request_id="+traced.ID {
		t.Errorf("got %q, want the ID alone", got)
	}
}

func TestAnExemplarOutlivesTheMemoryOfItsRequest(t *testing.T) {
	t.Parallel()
	observer, exemplars := observed(t, histogram.NewRegistry(histogram.Config{}))
	memory := []byte("alice")
	observer.Observe(.5, histogram.Request{ID: unsafe.String(&memory[0], len(memory))}, time.Unix(1000, 0))
	copy(memory, "bobby")
	if got := exemplars(); len(got) != 1 || got[0] != "request_id=alice" {
		t.Errorf("got %q, want the ID that was observed", got)
	}
}

func TestRequestsDoNotPayForExemplars(t *testing.T) { // not in parallel: AllocsPerRun counts those of the whole process
	observer, _ := observed(t, histogram.NewRegistry(histogram.Config{}))
	now := time.Unix(1000, 0)
	if n := testing.AllocsPerRun(1000, func() { observer.Observe(.5, histogram.Request{ID: "an-id"}, now) }); n != 0 {
		t.Errorf("a value allocates %v times, want never", n)
	}
}

func TestHistogramsHaveNativeBucketsWhereTheyAreWanted(t *testing.T) {
	t.Parallel()
	for _, native := range []bool{false, true} {
		reg := histogram.NewRegistry(histogram.Config{NativeHistograms: native})
		observer, _ := observed(t, reg)
		observer.Observe(.5, histogram.Request{ID: "an-id"}, time.Unix(1000, 0))
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := families[0].GetMetric()[0].GetHistogram()
		if (len(got.GetPositiveSpan()) > 0) != native || len(got.GetBucket()) != 2 {
			t.Errorf("with native_histograms %v there are %d spans and %d classic buckets, want 2", native, len(got.GetPositiveSpan()), len(got.GetBucket()))
		}
	}
}

// BenchmarkObserve is a value with and without the exemplars of its bucket.
func BenchmarkObserve(b *testing.B) {
	plain := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "took", Help: "Seconds.", Buckets: bounds()})
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			plain.Observe(.5)
		}
	})
	b.Run("exemplars", func(b *testing.B) {
		observer, _ := observed(b, histogram.NewRegistry(histogram.Config{}))
		b.ReportAllocs()
		now := time.Now()
		for b.Loop() {
			observer.Observe(.5, histogram.Request{ID: "an-id"}, now)
		}
	})
	b.Run("native", func(b *testing.B) {
		observer, _ := observed(b, histogram.NewRegistry(histogram.Config{NativeHistograms: true}))
		b.ReportAllocs()
		now := time.Now()
		for b.Loop() {
			observer.Observe(.5, histogram.Request{ID: "an-id"}, now)
		}
	})
}
