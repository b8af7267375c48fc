// Package tracingtest is a collector for tests: it takes OTLP over HTTP on a real socket, with the protocol's own types.
package tracingtest

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is a span as it arrived.
type Span struct {
	Trace, ID, Parent string // in hexadecimal; Parent is "" for the first of a trace
	Name              string
	Kind              traces.Span_SpanKind
	Failed            bool
	State             string // tracestate
	Attributes        map[string]any
	Resource          map[string]any // attributes of its process
	Began, Ended      time.Time
}

// Export is a request of an exporter.
type Export struct {
	Path   string
	Header http.Header
	Body   []byte // without compression
}

// Collector keeps what it gets.
type Collector struct {
	URL string

	mu      sync.Mutex
	spans   []Span
	exports []Export
	answer  http.HandlerFunc // nil: everything is taken
}

// New starts a collector, which ends with the test.
func New(tb testing.TB) *Collector {
	tb.Helper()
	c := new(Collector)
	server := httptest.NewServer(http.HandlerFunc(c.serve))
	tb.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Answer has every export answered so from now on, and its spans left out; nil takes them.
func (c *Collector) Answer(with http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = with
}

// Spans returns those that have arrived.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Exports returns the requests that have arrived.
func (c *Collector) Exports() []Export {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.exports)
}

func (c *Collector) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	export, spans, err := read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.exports, c.spans = append(c.exports, export), append(c.spans, spans...)
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// read decodes an export.
func read(r *http.Request) (e Export, spans []Span, err error) {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var unzipped *gzip.Reader
		if unzipped, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(unzipped)
		}
	}
	if err == nil && (r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf") {
		err = fmt.Errorf("%s of %s is not OTLP", r.Method, r.Header.Get("Content-Type"))
	}
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	for _, resource := range request.GetResourceSpans() {
		about := attributesOf(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				spans = append(spans, newSpan(s, about))
			}
		}
	}
	return Export{Path: r.URL.Path, Header: r.Header, Body: body}, spans, err
}

func newSpan(s *traces.Span, about map[string]any) Span {
	return Span{
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Name: s.GetName(), Kind: s.GetKind(), Failed: s.GetStatus().GetCode() == traces.Status_STATUS_CODE_ERROR, State: s.GetTraceState(),
		Attributes: attributesOf(s.GetAttributes()), Resource: about,
		Began: time.Unix(0, int64(s.GetStartTimeUnixNano())), Ended: time.Unix(0, int64(s.GetEndTimeUnixNano())),
	}
}

func attributesOf(all []*common.KeyValue) map[string]any {
	values := map[string]any{}
	for _, a := range all {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			values[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			values[a.GetKey()] = v.IntValue
		case *common.AnyValue_BoolValue:
			values[a.GetKey()] = v.BoolValue
		default:
			values[a.GetKey()] = a.GetValue().String()
		}
	}
	return values
}
