package otlp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"wxgate/tracing/otlp"
	"wxgate/tracing/tracingtest"
)

// sender is a client with what it waited for and logged.
type sender struct {
	client otlptrace.Client
	waited *[]time.Duration
	log    *strings.Builder
}

// newSender makes a client of a collector that waits for nothing. Environment is NAME=VALUE.
func newSender(url string, transport http.RoundTripper, environment ...string) sender {
	s := sender{waited: new([]time.Duration), log: new(strings.Builder)}
	s.client = otlp.New(otlp.Config{
		URL: url + "/v1/traces", UserAgent: "wxgate/v1", HTTP: &http.Client{Transport: transport}, Log: slog.New(slog.NewTextHandler(s.log, nil)),
		Getenv: func(name string) string {
			for _, variable := range environment {
				if value, ok := strings.CutPrefix(variable, name+"="); ok {
					return value
				}
			}
			return ""
		},
		Wait: func(ctx context.Context, d time.Duration) error {
			*s.waited = append(*s.waited, d)
			return ctx.Err()
		},
	})
	return s
}

// upload sends one span.
func (s sender) upload(ctx context.Context) error {
	return s.client.UploadTraces(ctx, []*traces.ResourceSpans{{ScopeSpans: []*traces.ScopeSpans{{Spans: []*traces.Span{{Name: "GET /x"}}}}}})
}

// answers has the collector answer so, one after the other, and then take what comes. The bodies that it refused are appended to got.
func answers(c *tracingtest.Collector, got *[]string, each ...http.HandlerFunc) {
	c.Answer(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*got = append(*got, string(body))
		if each[len(*got)-1](w, r); len(*got) == len(each) {
			c.Answer(nil)
		}
	})
}

func status(code int, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", retryAfter)
		http.Error(w, "no room", code)
	}
}

func TestSpansThatACollectorMayTakeLaterAreSentAgain(t *testing.T) {
	t.Parallel()
	c := tracingtest.New(t)
	var refused []string
	date := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	answers(c, &refused, status(429, "7"), status(503, ""), status(502, "soon"), status(504, date), status(503, "-1"), status(503, "1"))
	s := newSender(c.URL, nil)
	if err := s.upload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exports := c.Exports(); len(exports) != 1 || len(c.Spans()) != 1 || c.Spans()[0].Name != "GET /x" {
		t.Errorf("got %v, want the span once", exports)
	}
	for _, body := range refused {
		if body != string(c.Exports()[0].Body) {
			t.Errorf("an attempt sent %q, the last one %q", body, c.Exports()[0].Body)
		}
	}
	bounds := [][2]time.Duration{ // from Retry-After, or half as much to one and a half times as much as 1 s, 1.5 s, 2.25 s, … up to 5 s
		{7 * time.Second, 7 * time.Second},
		{750 * time.Millisecond, 2250 * time.Millisecond},
		{1125 * time.Millisecond, 3375 * time.Millisecond},
		{50 * time.Minute, time.Hour},
		{2500 * time.Millisecond, 7500 * time.Millisecond},
		{2500 * time.Millisecond, 7500 * time.Millisecond},
	}
	if len(*s.waited) != len(bounds) {
		t.Fatalf("it waited %v, want %d pauses", *s.waited, len(bounds))
	}
	for i, d := range *s.waited {
		if d < bounds[i][0] || d > bounds[i][1] {
			t.Errorf("before attempt %d it waited %v, want between %v and %v", i+2, d, bounds[i][0], bounds[i][1])
		}
	}
}

// once fails once as an attempt that took too long does.
type once struct {
	http.RoundTripper
	failed bool
}

// RoundTrip implements http.RoundTripper.
func (o *once) RoundTrip(r *http.Request) (*http.Response, error) {
	if !o.failed {
		o.failed = true
		return nil, os.ErrDeadlineExceeded
	}
	return o.RoundTripper.RoundTrip(r)
}

func TestAnAttemptThatTakesTooLongIsRepeated(t *testing.T) {
	t.Parallel()
	c := tracingtest.New(t)
	s := newSender(c.URL, &once{RoundTripper: http.DefaultTransport})
	if err := s.upload(t.Context()); err != nil || len(c.Spans()) != 1 || len(*s.waited) != 1 {
		t.Errorf("got %v, %d spans after the pauses %v, want a span after one", err, len(c.Spans()), *s.waited)
	}
}

func TestWhatAnotherAttemptCannotChangeIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	for code, retryAfter := range map[int]string{400: "", 401: "", 404: "1", 413: "", 500: "1", 302: ""} {
		c := tracingtest.New(t)
		var refused []string
		answers(c, &refused, status(code, retryAfter))
		s := newSender(c.URL, nil)
		err := s.upload(t.Context())
		if err == nil || !strings.Contains(err.Error(), http.StatusText(code)+": no room") || len(*s.waited) > 0 || len(c.Spans()) > 0 {
			t.Errorf("%d: got %v after the pauses %v, want the status and the text, without a pause", code, err, *s.waited)
		}
	}
	s := newSender("http://127.0.0.1:1", nil) // nobody listens
	if err := s.upload(t.Context()); err == nil || len(*s.waited) > 0 {
		t.Errorf("got %v after the pauses %v, want an error without one", err, *s.waited)
	}
}

func TestNobodyWaitsBeyondTheDeadlineOfAnExport(t *testing.T) {
	t.Parallel()
	c := tracingtest.New(t)
	var refused []string
	answers(c, &refused, status(503, "7200"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	s := newSender(c.URL, nil)
	if err := s.upload(ctx); err == nil || !strings.Contains(err.Error(), "503") || len(*s.waited) > 0 {
		t.Errorf("got %v after the pauses %v, want 503 and none", err, *s.waited)
	}
}

func TestAnExportEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := tracingtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	c.Answer(status(503, "3600"))
	client := otlp.New(otlp.Config{URL: c.URL, HTTP: new(http.Client), Getenv: func(string) string { return "" }, Wait: func(ctx context.Context, d time.Duration) error {
		cancel()
		return otlp.Wait(ctx, d)
	}})
	if err := (sender{client: client}).upload(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "503") {
		t.Errorf("got %v, want that it was canceled, and the last answer", err)
	}
}

func TestSpansThatACollectorRejectsAreAnError(t *testing.T) {
	t.Parallel()
	const protobuf = "application/x-protobuf"
	response := func(p *collector.ExportTracePartialSuccess) string {
		body, err := proto.Marshal(&collector.ExportTraceServiceResponse{PartialSuccess: p})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for name, row := range map[string]struct{ contentType, body, want string }{
		"nothing is said":           {protobuf, "", ""},
		"an empty response":         {protobuf, response(nil), ""},
		"an empty partial success":  {protobuf, response(&collector.ExportTracePartialSuccess{}), ""},
		"rejected":                  {protobuf, response(&collector.ExportTracePartialSuccess{RejectedSpans: 3, ErrorMessage: "too old"}), `it rejected 3 spans: "too old"`},
		"a warning":                 {protobuf, response(&collector.ExportTracePartialSuccess{ErrorMessage: "use v2"}), `it rejected 0 spans: "use v2"`},
		"fields of a later version": {protobuf, "\x10\x05\x1d\x01\x02\x03\x04\x2a\x01x" + response(&collector.ExportTracePartialSuccess{RejectedSpans: 1}), `it rejected 1 spans: ""`},
		"half a response":           {protobuf, "\x0a\x7f", "reading the answer"},
		"no field":                  {protobuf, "\xff", "reading the answer"},
		"half a varint":             {protobuf, "\x0a\x02\x08\xff", "reading the answer"},
		"another type":              {"text/plain", "thank you", ""},
	} {
		c := tracingtest.New(t)
		c.Answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", row.contentType)
			_, _ = io.WriteString(w, row.body)
		})
		err := newSender(c.URL, nil).upload(t.Context())
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}

func TestHeadersAndCompressionComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		environment []string
		want        http.Header
		warned      int
	}{
		"nothing":             {nil, http.Header{"User-Agent": {"wxgate/v1"}}, 0},
		"headers":             {[]string{"OTEL_EXPORTER_OTLP_HEADERS= Authentication = token==, X-Tenant=a%2Cb%20c "}, http.Header{"Authentication": {"token=="}, "X-Tenant": {"a,b c"}}, 0},
		"those for traces":    {[]string{"OTEL_EXPORTER_OTLP_HEADERS=A=all,B=all", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=A=traces"}, http.Header{"A": {"traces"}, "B": nil}, 0},
		"nonsense":            {[]string{"OTEL_EXPORTER_OTLP_HEADERS=secret,sec ret=1,A=secret%,B=secret%0ax,=secret,C=1"}, http.Header{"A": nil, "B": nil, "C": {"1"}}, 5},
		"not the type":        {[]string{"OTEL_EXPORTER_OTLP_HEADERS=content-type=text/plain,user-agent=me"}, http.Header{"User-Agent": {"me"}, "Content-Type": {"application/x-protobuf"}}, 0},
		"gzip":                {[]string{"OTEL_EXPORTER_OTLP_COMPRESSION=gzip"}, http.Header{"Content-Encoding": {"gzip"}}, 0},
		"gzip for traces":     {[]string{"OTEL_EXPORTER_OTLP_COMPRESSION=none", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=gzip"}, http.Header{"Content-Encoding": {"gzip"}}, 0},
		"gzip but for traces": {[]string{"OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=none"}, http.Header{"Content-Encoding": nil}, 0},
	} {
		c := tracingtest.New(t)
		s := newSender(c.URL, nil, row.environment...)
		if err := s.upload(t.Context()); err != nil || len(c.Spans()) != 1 {
			t.Errorf("%s: got %v and %d spans", name, err, len(c.Spans()))
			continue
		}
		for key, want := range row.want {
			if got := c.Exports()[0].Header[key]; !slices.Equal(got, want) {
				t.Errorf("%s: %s is %q, want %q", name, key, got, want)
			}
		}
		if log := s.log.String(); strings.Count(log, "level=WARN") != row.warned || strings.Contains(log, "secret") {
			t.Errorf("%s: the log says %q, want %d lines without what is in the variable", name, log, row.warned)
		}
		if !bytes.Contains(c.Exports()[0].Body, []byte("GET /x")) {
			t.Errorf("%s: the body is %q", name, c.Exports()[0].Body)
		}
	}
}
