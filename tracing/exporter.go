package tracing

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"wxgate/lograte"
	"wxgate/tracing/otlp"
)

const (
	maxWaiting    = 4096 // spans that wait for the collector, of about 2 KB each
	maxBatch      = 512  // spans of one export
	gatherSpans   = time.Second
	exportTimeout = 10 * time.Second // of one export, further attempts included
	flushTime     = 3 * time.Second  // for what is left when the exporter closes
	logEvery      = time.Minute      // of failures
)

// Resource is the process that spans are of.
type Resource struct {
	Version string
	Host    string
	PID     int
}

// exporter takes the spans that have ended and passes them to one collector. Nobody waits for it: spans that find too many
// waiting are dropped and counted.
type exporter struct {
	provider   *sdktrace.TracerProvider
	tracer     trace.Tracer
	client     *otlptrace.Exporter
	connection *http.Transport
	endpoint   Endpoint
	owner      *Tracer

	ctx     context.Context // of exports
	stop    context.CancelFunc
	more    chan struct{} // there are spans
	full    chan struct{} // there are enough for an export
	closing chan struct{}
	done    chan struct{} // closed after the last export

	failed   bool // the last failure was logged, and no success since
	failures lograte.Gate

	mu      sync.Mutex
	waiting []sdktrace.ReadOnlySpan
	closed  bool
}

// newExporter makes an exporter, which runs by run until close.
func (t *Tracer) newExporter(to Endpoint) (*exporter, error) {
	ctx, stop := context.WithCancel(context.Background())
	x := &exporter{
		endpoint: to, owner: t, ctx: ctx, stop: stop, connection: newTransport(),
		more: make(chan struct{}, 1), full: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	about, err := t.resource.describe(ctx)
	if err == nil {
		x.client, err = x.connect(ctx)
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("tracing.otlp: %w", err)
	}
	x.provider = sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithResource(about), sdktrace.WithSpanProcessor(x))
	x.tracer = x.provider.Tracer("wxgate")
	return x, nil
}

// describe is the resource of all spans. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES in the environment have the last word.
func (r Resource) describe(ctx context.Context) (*resource.Resource, error) {
	return resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "wxgate"), attribute.String("service.version", r.Version),
		attribute.String("service.instance.id", fmt.Sprintf("%s:%d", r.Host, r.PID)), attribute.String("host.name", r.Host),
	), resource.WithFromEnv())
}

// newTransport follows no proxy but that of the environment.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: exportTimeout / 2}).DialContext, TLSHandshakeTimeout: exportTimeout / 2,
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
	}
}

// connect makes the client, which has not dialed yet. A redirect is not followed: spans go where the operator has said.
func (x *exporter) connect(ctx context.Context) (*otlptrace.Exporter, error) {
	u, err := x.endpoint.url()
	if err != nil {
		return nil, err
	}
	return otlptrace.New(ctx, otlp.New(otlp.Config{
		URL: u.String(), UserAgent: "wxgate/" + x.owner.resource.Version, Getenv: os.Getenv, Wait: otlp.Wait, Log: x.owner.log,
		HTTP: &http.Client{
			Transport: x.connection, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}))
}

// OnStart implements sdktrace.SpanProcessor.
func (x *exporter) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd takes a span that has ended. It never waits.
func (x *exporter) OnEnd(s sdktrace.ReadOnlySpan) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.closed:
		x.owner.metrics.late.Inc()
		return
	case len(x.waiting) >= maxWaiting:
		x.owner.metrics.overflow.Inc()
		return
	}
	x.waiting = append(x.waiting, s)
	wake(x.more)
	if len(x.waiting) >= maxBatch {
		wake(x.full)
	}
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // awake already
	}
}

// ForceFlush implements sdktrace.SpanProcessor; nobody calls it.
func (x *exporter) ForceFlush(context.Context) error { return nil }

// Shutdown implements sdktrace.SpanProcessor; close does the work.
func (x *exporter) Shutdown(context.Context) error { return nil }

// run exports what has ended, a second after the first span of a batch, or as soon as there are enough.
func (x *exporter) run() {
	defer close(x.done)
	gather := time.NewTimer(0)
	defer gather.Stop()
	for closing := false; !closing; {
		select {
		case <-x.more:
		case <-x.closing:
		}
		gather.Reset(gatherSpans)
		select {
		case <-gather.C:
		case <-x.full:
		case <-x.closing:
			closing = true
		}
		for batch := x.take(); len(batch) > 0; batch = x.take() {
			x.export(batch)
		}
	}
}

// take returns spans for an export.
func (x *exporter) take() []sdktrace.ReadOnlySpan {
	x.mu.Lock()
	defer x.mu.Unlock()
	batch := x.waiting[:min(maxBatch, len(x.waiting))]
	if x.waiting = x.waiting[len(batch):]; len(x.waiting) == 0 {
		x.waiting = nil // the array goes with the batch
	}
	return batch
}

func (x *exporter) export(batch []sdktrace.ReadOnlySpan) {
	ctx, cancel := context.WithTimeout(x.ctx, exportTimeout)
	defer cancel()
	spans := float64(len(batch))
	if err := x.client.ExportSpans(ctx, batch); err != nil {
		x.owner.metrics.failed.Add(spans)
		if x.failures.Pass(x.owner.now(), logEvery) {
			x.failed = true
			x.owner.log.Warn("spans are lost, because the collector does not take them", "collector", x.endpoint.String(), "error", x.cause(err))
		}
		return
	}
	x.owner.metrics.exported.Add(spans)
	if x.failed {
		x.failed = false
		x.owner.log.Info("the collector takes spans again", "collector", x.endpoint.String())
	}
}

// cause is an error without the path of the collector, and not longer than a line of the log may be.
func (x *exporter) cause(err error) string {
	u, _ := x.endpoint.url() // it was read before
	text := strings.ReplaceAll(err.Error(), u.String(), x.endpoint.String())
	return lograte.Clip([]byte(text))
}

// close exports what is left, within flushTime. Spans that end later are dropped.
func (x *exporter) close() {
	x.mu.Lock()
	x.closed = true
	x.mu.Unlock()
	hurry := time.AfterFunc(flushTime, x.stop)
	defer hurry.Stop()
	close(x.closing)
	<-x.done
	x.stop()
	_ = x.client.Shutdown(context.Background()) // it waits for nothing any more
	x.connection.CloseIdleConnections()
}
