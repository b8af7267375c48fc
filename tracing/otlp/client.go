// Package otlp sends spans to a collector by OTLP over HTTP, in binary protobuf (OTLP specification, OTLP/HTTP).
package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	contentType  = "application/x-protobuf"
	firstPause   = time.Second     // before the second attempt; each further pause is half as long again
	longestPause = 5 * time.Second // without a Retry-After
	maxAnswer    = 64 << 10        // bytes that are read of an answer
)

// Config is how spans reach a collector.
type Config struct {
	URL       string // with its path
	UserAgent string
	HTTP      *http.Client
	Getenv    func(name string) string                         // of the process: headers and compression, in the variables of OpenTelemetry
	Wait      func(ctx context.Context, d time.Duration) error // between attempts; returns early with an error if ctx ends
	Log       *slog.Logger
}

// Client sends spans to one collector. It is safe for concurrent use.
type Client struct {
	cfg    Config
	header http.Header
	gzip   bool
}

var _ otlptrace.Client = (*Client)(nil)

// New returns a client, which has opened no connection. What it cannot read of the environment it logs, and leaves out.
func New(cfg Config) *Client {
	c := &Client{cfg: cfg, header: http.Header{"User-Agent": {cfg.UserAgent}}}
	name, headers := variable(cfg.Getenv, "HEADERS")
	c.addHeaders(name, headers)
	c.header.Set("Content-Type", contentType)
	if _, compression := variable(cfg.Getenv, "COMPRESSION"); compression == "gzip" {
		c.gzip = true
		c.header.Set("Content-Encoding", "gzip")
	}
	return c
}

// Start implements otlptrace.Client; the first export connects.
func (c *Client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client; the contexts of exports end them.
func (c *Client) Stop(context.Context) error { return nil }

// UploadTraces implements otlptrace.Client. What a collector may take later is sent again until ctx ends; an error says what
// became of the last attempt, or which spans a collector rejected.
func (c *Client) UploadTraces(ctx context.Context, spans []*traces.ResourceSpans) error {
	// The same bytes as ExportTraceServiceRequest, whose package brings gRPC.
	body, err := proto.Marshal(&traces.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encoding spans: %w", err)
	}
	if c.gzip {
		body = zipped(body)
	}
	for pause := firstPause; ; pause = min(pause*3/2, longestPause) {
		err := c.send(ctx, body)
		again, ok := errors.AsType[retryable](err)
		if !ok {
			return err
		}
		delay := max(again.after, pause/2+rand.N(pause)) // so that gateways do not come all at once
		if deadline, bounded := ctx.Deadline(); bounded && time.Until(deadline) < delay {
			return err
		}
		if ended := c.cfg.Wait(ctx, delay); ended != nil {
			return fmt.Errorf("%w: %w", ended, err)
		}
	}
}

func zipped(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// retryable is an error that a later attempt may not have.
type retryable struct {
	error
	after time.Duration // at least
}

// send makes one attempt.
func (c *Client) send(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = c.header.Clone()
	answer, err := c.cfg.HTTP.Do(request)
	if timeout, ok := errors.AsType[*url.Error](err); ok && timeout.Timeout() && ctx.Err() == nil {
		return retryable{error: err}
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return outcome(answer, text)
}

// outcome is nil if the collector took all spans (OTLP specification, OTLP/HTTP Response).
func outcome(answer *http.Response, text []byte) error {
	refused := fmt.Errorf("it answers %s: %s", answer.Status, bytes.TrimSpace(text))
	switch answer.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return retryable{refused, retryAfter(answer.Header.Get("Retry-After"))}
	}
	switch {
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return refused
	case answer.Header.Get("Content-Type") == contentType:
		return rejection(text)
	}
	return nil
}

// retryAfter is how long a Retry-After asks to wait: seconds, or until a date (RFC 9110, section 10.2.3).
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return time.Until(at)
	}
	return 0
}

// Wait waits for d, or until ctx ends.
func Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
