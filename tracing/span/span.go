// Package span records what a traced request does: calls of WeChat, operations of the store, attempts at services. It knows
// a recorded request by its context. Where nothing is recorded it does nothing, and allocates nothing. It also reads and
// writes how a trace is named to others (W3C Trace Context).
package span

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// scope is the instrumentation scope of all spans.
const scope = "wxgate"

// The kinds of spans that there are within a request.
const (
	Client   = trace.SpanKindClient   // it waits for another process
	Internal = trace.SpanKindInternal // it does not
)

// Span is a part of a request. The zero value is one that is not recorded, whose methods do nothing.
type Span struct{ recorded trace.Span }

// Start begins a part of the request of a context, if that is recorded, whose name is two words. What belongs to the part
// gets the context that is returned.
func Start(ctx context.Context, kind trace.SpanKind, what, which string) (context.Context, Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Span{}
	}
	ctx, begun := parent.TracerProvider().Tracer(scope).Start(ctx, what+" "+which, trace.WithSpanKind(kind))
	return ctx, Span{begun}
}

// Recorded reports whether the span is recorded, so that attributes are worth making.
func (s Span) Recorded() bool { return s.recorded != nil }

// Context names the span to others; it is invalid unless the span is recorded.
func (s Span) Context() trace.SpanContext {
	if s.recorded == nil {
		return trace.SpanContext{}
	}
	return s.recorded.SpanContext()
}

// Set adds attributes. Their texts must not be in memory that is used again.
func (s Span) Set(attributes ...attribute.KeyValue) {
	if s.recorded != nil {
		s.recorded.SetAttributes(attributes...)
	}
}

// Fail says why the part failed, in a word of a closed set.
func (s Span) Fail(errorType string) {
	if s.recorded != nil {
		s.recorded.SetAttributes(attribute.String("error.type", errorType))
		s.recorded.SetStatus(codes.Error, "")
	}
}

// End ends the part.
func (s Span) End() {
	if s.recorded != nil {
		s.recorded.End()
	}
}
