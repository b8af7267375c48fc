package tracing

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Request is a request in its trace.
type Request struct {
	Span trace.SpanContext // ours if Ours, and else the one that the client named; invalid: there is no trace
	Ours bool              // services are told that the span is their parent

	recorded trace.Span // nil: it is not recorded
}

// begin begins the span of a request that is recorded.
func (x *exporter) begin(ctx context.Context, parent trace.SpanContext, at time.Time) (context.Context, Request) {
	if parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	ctx, s := x.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(at))
	return ctx, Request{Span: s.SpanContext(), Ours: true, recorded: s}
}

// Context is ctx with the span of the request, so that services which are asked with it are told the span although the
// request is not recorded.
func (r Request) Context(ctx context.Context) context.Context {
	if !r.Ours || r.recorded != nil {
		return ctx
	}
	return trace.ContextWithSpanContext(ctx, r.Span)
}

// Recorded reports whether the request is recorded: a collector gets its trace.
func (r Request) Recorded() bool { return r.recorded != nil }

// Result is what became of a request. There is no path in it, whose segments may be secrets of a service: the line of the
// access log has it.
type Result struct {
	RequestID string
	Method    string // "": one that is not known
	Route     string // the pattern; "": none matched
	Scheme    string
	Version   string // of HTTP
	Status    int
	Reason    string // of the error table; "": none
	At        time.Time
}

// End ends the span of a request, if it is recorded.
func (r Request) End(with Result) {
	if r.recorded == nil {
		return
	}
	name, method := cmp.Or(with.Method, "HTTP"), cmp.Or(with.Method, "_OTHER")
	if with.Route != "" {
		name += " " + with.Route
		r.recorded.SetAttributes(attribute.String("http.route", with.Route))
	}
	r.recorded.SetName(name)
	r.recorded.SetAttributes(
		attribute.String("http.request.method", method), attribute.Int("http.response.status_code", with.Status),
		attribute.String("url.scheme", with.Scheme), attribute.String("network.protocol.version", with.Version),
		attribute.String("wxgate.request_id", with.RequestID),
	)
	if with.Reason != "" {
		r.recorded.SetAttributes(attribute.String("wxgate.reason", with.Reason))
	}
	if with.Status >= http.StatusInternalServerError {
		r.recorded.SetAttributes(attribute.String("error.type", cmp.Or(with.Reason, strconv.Itoa(with.Status))))
		r.recorded.SetStatus(codes.Error, "")
	}
	r.recorded.End(trace.WithTimestamp(with.At))
}
