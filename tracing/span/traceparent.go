package span

import (
	"context"
	"encoding/hex"

	"go.opentelemetry.io/otel/trace"

	"wxgate/message"
)

// The fields of W3C Trace Context (https://www.w3.org/TR/trace-context/).
const (
	HeaderParent = "Traceparent"
	HeaderState  = "Tracestate"
)

// The lengths of a traceparent: 00-<trace id>-<parent id>-<flags>.
const (
	parentLength = 55
	traceIDAt    = 3
	parentIDAt   = 36
	flagsAt      = 53
)

// ReadParent returns the span that a request names as its parent. It is invalid if there is no traceparent, or not exactly
// one that is valid.
func ReadParent(fields *message.Fields) (none trace.SpanContext) {
	var line []byte
	for value := range fields.Values(HeaderParent) {
		if line != nil {
			return none
		}
		line = value
	}
	return parseParent(line)
}

// parseParent reads a traceparent of version 00, or the part of a later one that is as in 00 (§3.2.4).
func parseParent(line []byte) (none trace.SpanContext) {
	if len(line) < parentLength || line[2] != '-' || line[parentIDAt-1] != '-' || line[flagsAt-1] != '-' {
		return none
	}
	var version, flags [1]byte
	var traceID trace.TraceID
	var spanID trace.SpanID
	if !decode(version[:], line[:2]) || !decode(traceID[:], line[traceIDAt:parentIDAt-1]) ||
		!decode(spanID[:], line[parentIDAt:flagsAt-1]) || !decode(flags[:], line[flagsAt:parentLength]) {
		return none
	}
	longer := len(line) > parentLength
	if version[0] == 0xff || longer && (version[0] == 0 || line[parentLength] != '-') {
		return none
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true,
	})
}

// decode reads lower-case hexadecimal digits, which alone are allowed.
func decode(to, digits []byte) bool {
	for _, c := range digits {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	_, err := hex.Decode(to, digits)
	return err == nil
}

// AppendParent appends the traceparent that names a span as the parent.
func AppendParent(to []byte, span trace.SpanContext) []byte {
	traceID, spanID := span.TraceID(), span.SpanID()
	to = hex.AppendEncode(append(to, "00-"...), traceID[:])
	to = hex.AppendEncode(append(to, '-'), spanID[:])
	return hex.AppendEncode(append(to, '-'), []byte{byte(span.TraceFlags() & trace.FlagsSampled)})
}

// AppendFields adds the fields that name a span as the parent. It works in room, which it returns.
func AppendFields(to *message.Fields, parent trace.SpanContext, room []byte) []byte {
	room = AppendParent(room[:0], parent)
	to.AddBytes([]byte(HeaderParent), room)
	if state := parent.TraceState(); state.Len() > 0 {
		to.Add(HeaderState, state.String())
	}
	return room
}

// ReplaceParent names another span as the parent, if the fields name one.
func ReplaceParent(in *message.Fields, parent trace.SpanContext) {
	for i := range in.Len() {
		if name, _ := in.Line(i); message.EqualFold(name, HeaderParent) {
			in.SetValue(i, AppendParent(nil, parent))
			return
		}
	}
}

// Inject adds the fields that name the span of a context as the parent, if it has one.
func Inject(ctx context.Context, to *message.Fields) {
	if parent := trace.SpanContextFromContext(ctx); parent.IsValid() {
		AppendFields(to, parent, nil)
	}
}

// The length of a trace state that is passed on, in bytes (§3.3.1.5), and of an entry that goes first where it is longer.
const (
	maxState     = 512
	maxLongEntry = 128
)

// ReadState returns the trace state of a request, which counts only beside a valid traceparent (§3.3). It is empty if there is
// none, or not a valid one of at most 32 entries. If it is longer than everybody must pass on, the long entries are left
// out, and then the last ones (§3.3.1.5).
func ReadState(fields *message.Fields) trace.TraceState {
	var joined []byte
	for value := range fields.Values(HeaderState) {
		if joined != nil {
			joined = append(joined, ',')
		}
		joined = append(joined, value...)
	}
	state, err := trace.ParseTraceState(string(joined))
	if err != nil {
		return trace.TraceState{}
	}
	return shortened(state)
}

func shortened(state trace.TraceState) trace.TraceState {
	if len(state.String()) <= maxState {
		return state
	}
	var keys []string
	state.Walk(func(key, value string) bool {
		if len(key)+len("=")+len(value) > maxLongEntry {
			state = state.Delete(key)
		} else {
			keys = append(keys, key)
		}
		return true
	})
	for i := len(keys) - 1; len(state.String()) > maxState; i-- {
		state = state.Delete(keys[i])
	}
	return state
}
