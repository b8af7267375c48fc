package tracing

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Tracer decides which requests are recorded, and has their spans exported. It is safe for concurrent use. A nil Tracer
// records nothing.
type Tracer struct {
	resource Resource
	metrics  *metrics
	log      *slog.Logger
	now      func() time.Time

	exporter atomic.Pointer[exporter] // nil: nothing is recorded
	sample   atomic.Uint64            // the bits of a float64

	endpoint Endpoint       // of exporter
	closing  sync.WaitGroup // of exporters that were replaced
}

// New returns a tracer that works by a valid configuration. It opens no connection before there is a span.
func New(cfg Config, about Resource, reg prometheus.Registerer, log *slog.Logger, now func() time.Time) (*Tracer, error) {
	t := &Tracer{resource: about, metrics: newMetrics(reg), log: log, now: now}
	apply, err := t.Prepare(cfg)
	if err != nil {
		return nil, err
	}
	apply()
	return t, nil
}

// Prepare prepares the change to another valid configuration; apply makes it for the requests that begin from then on. What
// was recorded before still goes to the collector that it was recorded for. One change is made at a time.
func (t *Tracer) Prepare(cfg Config) (apply func(), err error) {
	if cfg.OTLP == t.endpoint {
		return func() { t.setSample(cfg.Sample) }, nil
	}
	var next *exporter
	if cfg.OTLP != "" {
		if next, err = t.newExporter(cfg.OTLP); err != nil {
			return nil, err
		}
	}
	return func() {
		t.setSample(cfg.Sample)
		if next != nil {
			go next.run()
		}
		t.endpoint = cfg.OTLP
		if old := t.exporter.Swap(next); old != nil {
			t.closing.Go(old.close)
		}
	}, nil
}

func (t *Tracer) setSample(sample float64) { t.sample.Store(math.Float64bits(sample)) }

// Close exports what is left, for a few seconds at most. Later spans are dropped.
func (t *Tracer) Close() {
	if last := t.exporter.Swap(nil); last != nil {
		last.close()
	}
	t.closing.Wait()
}

// Parent is what a request says of its trace.
type Parent struct {
	Span  trace.SpanContext // invalid: nothing
	State trace.TraceState
	// Believed: a proxy of ours says it, and has decided whether the trace is recorded. Of others only the trace is
	// continued: what else they say could make us, and the services, record what they want.
	Believed bool
}

// Begin begins the span of a request. What is done for a request that is recorded gets the context that is returned, which
// is ctx for others.
func (t *Tracer) Begin(ctx context.Context, parent Parent, at time.Time) (context.Context, Request) {
	var to *exporter
	if t != nil {
		to = t.exporter.Load()
	}
	if to == nil {
		return ctx, Request{Span: parent.Span}
	}
	parent.Span = parent.Span.WithTraceState(parent.State)
	if t.records(parent) {
		return to.begin(ctx, parent.Span, at)
	}
	span := trace.SpanContextConfig{TraceID: parent.Span.TraceID(), SpanID: newSpanID(), TraceState: parent.Span.TraceState()}
	if !parent.Span.IsValid() {
		span.TraceID = newTraceID()
	}
	return ctx, Request{Span: trace.NewSpanContext(span), Ours: true}
}

// records decides whether a request is recorded. It asks no trace id: a client could have chosen that.
func (t *Tracer) records(parent Parent) bool {
	if parent.Believed && parent.Span.IsValid() {
		return parent.Span.IsSampled()
	}
	return rand.Float64() < math.Float64frombits(t.sample.Load())
}
