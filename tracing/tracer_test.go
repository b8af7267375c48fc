package tracing_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"wxgate/tracing"
	"wxgate/tracing/span"
	"wxgate/tracing/tracingtest"
)

// traced is a tracer with what it counts and logs.
type traced struct {
	*tracing.Tracer
	metrics *prometheus.Registry
	log     *strings.Builder
}

func newTracer(tb testing.TB, cfg tracing.Config) traced {
	tb.Helper()
	t := traced{metrics: prometheus.NewRegistry(), log: new(strings.Builder)}
	if faults := cfg.Validate(); len(faults) > 0 {
		tb.Fatal(faults)
	}
	var err error
	t.Tracer, err = tracing.New(cfg, tracing.Resource{Version: "v1", Host: "here", PID: 7}, t.metrics, slog.New(slog.NewTextHandler(t.log, nil)), time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(t.Close)
	return t
}

// counted are the spans by what became of them.
func (t traced) counted(tb testing.TB) map[string]int {
	tb.Helper()
	families, err := t.metrics.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	counts := map[string]int{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			what := "exported"
			for _, label := range m.GetLabel() {
				what = label.GetValue()
			}
			counts[what] = int(m.GetCounter().GetValue())
		}
	}
	return counts
}

// request records a request, and something that is done for it.
func (t traced) request() {
	ctx, r := t.Begin(context.Background(), tracing.Parent{}, time.Now())
	_, part := span.Start(ctx, span.Internal, "storage", "login")
	part.End()
	r.End(tracing.Result{Method: http.MethodGet, Route: "/x", Status: http.StatusOK, At: time.Now()})
}

// TestACollectorThatStallsTakesNoMemoryAndNoTime has one that takes a connection and never answers.
func TestACollectorThatStallsTakesNoMemoryAndNoTime(t *testing.T) {
	t.Parallel()
	c, stalled, release := tracingtest.New(t), make(chan struct{}), make(chan struct{})
	var once sync.Once
	c.Answer(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(stalled) })
		<-release
	})
	tracer := newTracer(t, tracing.Config{OTLP: tracing.Endpoint(c.URL), Sample: 1})
	tracer.request()
	<-stalled
	const spans = 20_000
	for range spans / 2 {
		tracer.request()
	}
	if got := tracer.counted(t)["queue_full"]; got < spans-4096-512 || got > spans {
		t.Errorf("%d of %d spans found no room, want all beyond 4096", got, spans)
	}
	c.Answer(nil)
	close(release)
	tracer.Close()
	tracer.request() // records nothing any more
	if got := tracer.counted(t); got["exported"]+got["queue_full"]+got["export_failed"]+got["closed"] != spans+2 || got["exported"] < 4096 {
		t.Errorf("got %v, want what became of each of %d spans", got, spans+2)
	}
}

func TestACloseEndsThoughTheCollectorStalls(t *testing.T) {
	t.Parallel()
	c, release := tracingtest.New(t), make(chan struct{})
	defer close(release)
	c.Answer(func(http.ResponseWriter, *http.Request) { <-release })
	tracer := newTracer(t, tracing.Config{OTLP: tracing.Endpoint(c.URL), Sample: 1})
	tracer.request()
	tracer.Close()
	if got := tracer.counted(t)["export_failed"]; got != 2 {
		t.Errorf("%d spans are counted as lost, want 2", got)
	}
}

func TestWhatACollectorRefusesIsCountedAndSaidOnceAMinute(t *testing.T) {
	t.Parallel()
	c := tracingtest.New(t)
	asked := make(chan struct{})
	c.Answer(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		http.Error(w, "no such tenant\x1b[2J "+strings.Repeat("x", 5000), http.StatusForbidden)
	})
	tracer := newTracer(t, tracing.Config{OTLP: tracing.Endpoint(c.URL + "/secret-token/v1/traces"), Sample: 1})
	for range 3 {
		tracer.request()
		<-asked
	}
	c.Answer(nil)
	tracer.request()
	tracer.Close()
	if got := tracer.counted(t); got["export_failed"] != 6 || got["exported"] != 2 {
		t.Errorf("got %v, want 6 spans lost and 2 exported", got)
	}
	log := tracer.log.String()
	if strings.Count(log, "spans are lost") != 1 || strings.Count(log, "takes spans again") != 1 || !strings.Contains(log, "no such tenant") ||
		strings.Contains(log, "secret-token") || strings.Contains(log, "\x1b") || len(log) > 3000 {
		t.Errorf("the log says\n%s", log)
	}
}

func TestAStrangersTraceIDDecidesNothing(t *testing.T) {
	t.Parallel()
	c := tracingtest.New(t)
	tracer := newTracer(t, tracing.Config{OTLP: tracing.Endpoint(c.URL), Sample: 0.2})
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 1}, TraceFlags: trace.FlagsSampled, Remote: true})
	recorded := 0
	const requests = 20_000
	for range requests {
		_, r := tracer.Begin(context.Background(), tracing.Parent{Span: parent}, time.Now())
		if r.Recorded() != r.Span.IsSampled() || r.Span.TraceID() != parent.TraceID() || r.Span.SpanID() == parent.SpanID() || !r.Ours {
			t.Fatalf("got %+v", r)
		}
		if r.Recorded() {
			recorded++
		}
	}
	if mean := requests / 5; recorded < mean-300 || recorded > mean+300 { // five standard deviations
		t.Errorf("%d of %d are recorded, want %d or so", recorded, requests, mean)
	}
}

func TestWithoutACollectorNothingIsRecorded(t *testing.T) {
	t.Parallel()
	off := newTracer(t, tracing.Config{Sample: 1})
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 1}})
	for name, tracer := range map[string]*tracing.Tracer{"off": off.Tracer, "nil": nil} {
		for _, in := range []trace.SpanContext{{}, parent} {
			ctx, r := tracer.Begin(t.Context(), tracing.Parent{Span: in}, time.Now())
			if ctx != t.Context() || r.Recorded() || r.Ours || !r.Span.Equal(in) {
				t.Errorf("%s: got %+v of %+v", name, r, in)
			}
		}
	}
}

func TestWhatIsNotRecordedAllocatesNothing(t *testing.T) {
	off, on := newTracer(t, tracing.Config{}), newTracer(t, tracing.Config{OTLP: "http://127.0.0.1:9"})
	for name, tracer := range map[string]*tracing.Tracer{"off": off.Tracer, "on": on.Tracer} {
		at := time.Now()
		n := testing.AllocsPerRun(1000, func() {
			ctx, r := tracer.Begin(context.Background(), tracing.Parent{}, at)
			_, part := span.Start(ctx, span.Client, "storage", "login")
			part.Fail("unavailable")
			part.End()
			r.End(tracing.Result{Method: http.MethodGet, Route: "/x", Status: http.StatusOK, At: at})
		})
		if n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestAnEndpointIsShownWithoutItsPath(t *testing.T) {
	t.Parallel()
	for e, want := range map[tracing.Endpoint]string{
		"": "", "http://c:4318": "http://c:4318/v1/traces", "https://c/": "https://c/v1/traces", "https://c/adapt_token@x/api/otlp/traces": "https://c/***", "http://a b": "***",
	} {
		text, err := json.Marshal(map[string]any{"e": e})
		if got := fmt.Sprintf("%v %+v %s %q %x", e, e, e, e, e); got != strings.Repeat(want+" ", 4)+want || err != nil || string(text) != fmt.Sprintf(`{"e":%q}`, want) {
			t.Errorf("%q is shown as %q and %s, want %q", string(e), got, text, want)
		}
	}
}

func TestMistakesInTheSectionAreSaid(t *testing.T) {
	t.Parallel()
	for e, want := range map[tracing.Endpoint]string{
		"127.0.0.1:4318": "http", "grpc://c:4317": "begins with http://", "http://": "no host", "http://u:secret@c": "OTEL_EXPORTER_OTLP_HEADERS", "http://c?token=secret": "query", "http://c#x": "fragment", "http://a b": "not a URL",
	} {
		faults := tracing.Config{OTLP: e}.Validate()
		if len(faults) != 1 || faults[0].Path != "otlp" || !strings.Contains(faults[0].Message, want) || strings.Contains(faults[0].Message, "secret") {
			t.Errorf("%q: got %v, want one about %s", string(e), faults, want)
		}
	}
	for _, sample := range []float64{-0.1, 1.1} {
		if faults := (tracing.Config{Sample: sample}).Validate(); len(faults) != 1 || faults[0].Path != "sample" {
			t.Errorf("sample %v: got %v", sample, faults)
		}
	}
}

func BenchmarkBegin(b *testing.B) {
	for name, cfg := range map[string]tracing.Config{"off": {}, "unsampled": {OTLP: "http://127.0.0.1:9"}, "sampled": {OTLP: "http://127.0.0.1:9", Sample: 1}} {
		b.Run(name, func(b *testing.B) {
			tracer, err := tracing.New(cfg, tracing.Resource{}, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(io.Discard, nil)), time.Now)
			if err != nil {
				b.Fatal(err)
			}
			defer tracer.Close()
			at := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				_, r := tracer.Begin(context.Background(), tracing.Parent{}, at)
				r.End(tracing.Result{Method: http.MethodGet, Route: "/x", Status: http.StatusOK, At: at})
			}
		})
	}
}
