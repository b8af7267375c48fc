package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"wxgate/gateway/accesslog"
	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/gateway/listen"
	"wxgate/lograte"
	"wxgate/message"
	"wxgate/tracing"
	"wxgate/tracing/span"
	"wxgate/upstream/http1"
)

// observer measures, counts and logs requests, and turns errors into answers.
type observer struct {
	metrics    *metrics
	failures   answer.Table
	limitedLog *lograte.Log // for lines that clients can provoke
	log        *slog.Logger
	access     *accesslog.Log
	tracer     *tracing.Tracer
	now        func() time.Time
	drain      context.Context // ends when draining begins: every answer is the last of its connection
}

// openTrace finds the place of a request in its trace, and begins its span. Only a trusted proxy is believed that a trace is to be
// recorded; what 微信网关 passes on is the client's word.
func (o *observer) openTrace(ex *Exchange) {
	var parent tracing.Parent
	if ex.classes&header.ClassTrace != 0 {
		parent.Span, parent.Believed = span.ReadParent(&ex.request.Fields), ex.trusted && !ex.ingress
		if parent.Believed {
			parent.State = span.ReadState(&ex.request.Fields)
		}
	}
	ex.ctx, ex.trace = o.tracer.Begin(ex.ctx, parent, ex.start)
}

// endTrace ends the span of an exchange whose answer has ended at a time.
func (o *observer) endTrace(ex *Exchange, key seriesKey, at time.Time) {
	if !ex.trace.Recorded() {
		return
	}
	with := tracing.Result{
		RequestID: ex.id, Method: key.method, Scheme: ex.scheme(), Version: ex.request.Version, Status: key.status, Reason: key.reason, At: at,
	}
	if key.method == methodOther {
		with.Method = ""
	}
	if ex.route != nil {
		with.Route = ex.route.pattern
	}
	ex.trace.End(with)
}

// observe measures every request until its answer begins; record counts and logs it when the answer has ended. It handles
// the error first: until then the status is still 200.
func (o *observer) observe(ex *Exchange) error {
	o.metrics.inFlight.Inc()
	ex.observed = true
	switch err := ex.next(); {
	case err != nil:
		o.respondError(ex, err)
		setRequestID(&ex.response, ex.id)
	case ex.outcome == handedOver:
		return nil
	default:
		ex.response.Fields.DeleteFunc(isOurs)
		ex.response.Fields.Add(answer.HeaderRequestID, ex.id)
	}
	setRateLimitHeaders(ex)
	if ex.snapshot.crossOrigin {
		ex.snapshot.setCORS(ex)
	}
	ex.response.Close = ex.response.Close || o.drain.Err() != nil
	ex.series = o.metrics.seriesOf(ex, newSeriesKey(ex))
	ex.answeredAt = o.now()
	o.metrics.observeDuration(ex, ex.series, ex.upstreamTime+ex.body.clientWait)
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

// leave ends what observe began. It reports whether that was still to be done.
func (o *observer) leave(ex *Exchange) (observed bool) {
	if observed = ex.observed; observed {
		ex.observed = false
		o.metrics.inFlight.Dec()
	}
	return observed
}

// record counts and logs an exchange whose answer has ended, after bytes of its body. A streamed answer that was cut off
// is not the 200 that it began as. What another process answers is only not in flight any more.
func (o *observer) record(ex *Exchange, bytes int64, err error) {
	if !o.leave(ex) || ex.outcome == handedOver {
		return
	}
	s, began := ex.series, 0
	if err != nil && ex.response.Stream != nil {
		if errors.Is(err, listen.ErrClientLeft) {
			err = http1.ErrStopped
		}
		f := o.failures.Lookup(err)
		key := s.key
		began, key.status, key.reason, key.upstream = key.status, f.Status, f.Reason, false
		s = o.metrics.seriesFor(key)
	}
	s.requests.Inc()
	o.logEnd(ex, s.key, began, bytes)
}

// recordPanic ends, counts and logs an exchange whose answer ended in a panic: it is not the answer that it began as.
func (o *observer) recordPanic(ex *Exchange) {
	if !o.leave(ex) || ex.series == nil {
		return
	}
	key, f := ex.series.key, o.failures.Lookup(answer.ErrInternal)
	began := key.status
	key.status, key.reason, key.upstream = f.Status, f.Reason, false
	o.metrics.seriesFor(key).requests.Inc()
	o.logEnd(ex, key, began, 0)
}

// logEnd ends the span of an exchange, and writes its access line if there is to be one.
func (o *observer) logEnd(ex *Exchange, key seriesKey, began int, bytesOut int64) {
	ended := ex.answeredAt
	if ex.response.Stream != nil {
		ended = o.now()
	}
	o.endTrace(ex, key, ended)
	if ex.snapshot.cfg.Log.Access && ex.snapshot.access.Passes(key.status, ended.Sub(ex.start), key.reason != "") {
		o.logAccess(ex, key, began, bytesOut, ended)
	}
}

// logAccess writes the access line of an exchange that ended now. began is the status that the client received of an answer that was
// cut off, 0 for any other.
func (o *observer) logAccess(ex *Exchange, key seriesKey, began int, bytesOut int64, now time.Time) {
	e := accesslog.Entry{
		Time: now, RequestID: ex.id, TraceID: ex.trace.Span.TraceID(), Method: ex.method, Route: ex.routeLabel(), Path: ex.target.Path,
		BytesIn: ex.body.read, Client: ex.client, Detail: ex.detail, Began: began,
		Status: key.status, Reason: key.reason, BytesOut: bytesOut, Duration: now.Sub(ex.start),
	}
	if ex.request.Version != "1.1" {
		e.Version = ex.request.Version
	}
	if ex.route != nil && ex.route.upstream != nil {
		e.Upstream, e.UpstreamTime, e.Attempts = ex.route.upstreamID, ex.upstreamTime, ex.attempts
	}
	switch {
	case ex.subject != nil:
		e.UserID = ex.subject.UserID
	case ex.caller != nil:
		e.Issuer = ex.caller.Issuer
	}
	o.access.Log(&e)
}

// isOurs reports whether a field of an answer that is no refusal of ours says what only we can: a service's own is dropped.
func isOurs(name []byte) bool {
	return message.EqualFold(name, answer.HeaderRequestID) || message.EqualFold(name, answer.HeaderReason)
}

// setRequestID sets the request ID of an answer, instead of one that the service has set.
func setRequestID(resp *message.Response, id string) { resp.Fields.Set(answer.HeaderRequestID, id) }
