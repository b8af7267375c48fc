package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/lograte"
	"wxgate/upstream/http1"
)

// observer measures, counts and logs requests, and turns errors into answers.
type observer struct {
	metrics    *metrics
	failures   answer.Table
	limitedLog *lograte.Log // for lines that clients can provoke
	log        *slog.Logger
	access     *slog.Logger
	now        func() time.Time
	drain      context.Context // ends when draining begins: every answer is the last of its connection
}

// observe measures, counts and logs every request. It handles the error first: until then the status is still 200.
func (o *observer) observe(ex *Exchange) error {
	o.metrics.inFlight.Inc()
	defer o.metrics.inFlight.Dec()
	if err := ex.next(); err != nil {
		o.respondError(ex, err)
	} else if ex.outcome != answered {
		return nil // the request itself is answered later, here or in another process
	}
	setRequestID(ex.response, ex.id)
	setRateLimitHeaders(ex.response, ex.decisions)
	if o.drain.Err() != nil {
		ex.response.SetConnectionClose()
	}
	key := newSeriesKey(ex)
	o.metrics.observeDuration(key, o.now().Sub(ex.start), ex.upstreamTime+ex.body.clientWait)
	o.recordAnswer(ex, key)
	return nil
}

// recoverPanic turns a panic of a handler into a 500; the process goes on.
func (o *observer) recoverPanic(ex *Exchange) (err error) {
	defer func() {
		if r := recover(); r != nil {
			o.limitedLog.Error(lograte.Kind{Message: "panic"}, "request_id", ex.id, "value", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = answer.ErrInternal
		}
	}()
	return ex.next()
}

// streamedBody is the body of an answer that is still being sent when its handler returns. The answer is counted and
// logged when it ends, by its outcome: one that was cut off is not the 200 that it began as.
type streamedBody struct {
	ended bool
	bytes int64
	err   error  // why it was cut off
	onEnd func() // nil: the handler has not returned
	hold  limit.Hold
}

// whenEnded calls onEnd once the body has ended, which may be at once.
func (e *streamedBody) whenEnded(onEnd func()) {
	if e.onEnd = onEnd; e.ended {
		onEnd()
	}
}

// recordAnswer counts and logs an answer, now or when its body has ended. What is then logged of the request is copied:
// its buffers serve another one by that time.
func (o *observer) recordAnswer(ex *Exchange, key seriesKey) {
	var line []slog.Attr
	if ex.snapshot.cfg.Log.Access {
		line = accessAttrs(ex)
	}
	start, e := ex.start, ex.streamed
	if e == nil {
		o.metrics.countAnswer(key)
		o.logAccess(line, key, int64(len(ex.response.Body())), o.now().Sub(start))
		return
	}
	key.method = strings.Clone(key.method)
	o.metrics.inFlight.Inc()
	e.whenEnded(func() {
		o.metrics.inFlight.Dec()
		if e.err != nil {
			line = append(line, slog.Int("began", key.status)) // the status that the client received
			f := o.failures.Lookup(e.err)
			key.status, key.reason, key.upstream = f.Status, f.Reason, false
		}
		o.metrics.countAnswer(key)
		o.logAccess(line, key, e.bytes, o.now().Sub(start))
	})
}

// accessAttrs are the attributes of the access line that are known when the handler returns. Strings are copies.
func accessAttrs(ex *Exchange) []slog.Attr {
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("request_id", ex.id),
		slog.String("method", strings.Clone(ex.method)),
		slog.String("route", ex.routeLabel()),
		slog.String("path", lograte.Clip(ex.target.Path)),
		slog.Int64("bytes_in", ex.body.read),
		slog.String("client_ip", formatClient(ex.client)),
	)
	if ex.route != nil && ex.route.upstream != nil {
		attrs = append(attrs, slog.String("upstream", ex.route.upstreamID),
			slog.Float64("upstream_ms", milliseconds(ex.upstreamTime)), slog.Int("attempts", ex.attempts))
	}
	if subject := ex.subject; subject != nil {
		attrs = append(attrs, slog.Int64("user_id", subject.UserID))
	}
	if ex.detail != "" {
		attrs = append(attrs, slog.String("detail", ex.detail))
	}
	return attrs
}

// logAccess writes the access line of a request, unless it is nil.
func (o *observer) logAccess(line []slog.Attr, key seriesKey, bytesOut int64, took time.Duration) {
	if line == nil {
		return
	}
	line = append(line, slog.Int("status", key.status), slog.Int64("bytes_out", bytesOut), slog.Float64("duration_ms", milliseconds(took)))
	if key.reason != "" {
		line = append(line, slog.String("reason", key.reason))
	}
	o.access.LogAttrs(context.Background(), slog.LevelInfo, "request", line...)
}

// setRequestID sets the request ID of an answer. Header names of a service keep their spelling, so its own ID is
// removed in any spelling first.
func setRequestID(resp *fasthttp.Response, id string) {
	http1.DropFields(&resp.Header, func(name []byte) bool {
		return len(name) == len(answer.HeaderRequestID) && strings.EqualFold(string(name), answer.HeaderRequestID)
	})
	resp.Header.Set(answer.HeaderRequestID, id)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
