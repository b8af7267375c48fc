package gateway

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/accesslog"
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
	access     *accesslog.Log
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
	logged := ex.snapshot.cfg.Log.Access
	entry, e := accessEntry(ex), ex.streamed
	if e == nil {
		o.metrics.countAnswer(key)
		if logged {
			o.logAccess(&entry, key, int64(len(ex.response.Body())), ex.start)
		}
		return
	}
	start := ex.start
	key.method = strings.Clone(key.method)
	entry.Method, entry.Path = key.method, bytes.Clone(entry.Path)
	o.metrics.inFlight.Inc()
	e.whenEnded(func() {
		o.metrics.inFlight.Dec()
		if e.err != nil {
			entry.Began = key.status
			f := o.failures.Lookup(e.err)
			key.status, key.reason, key.upstream = f.Status, f.Reason, false
		}
		o.metrics.countAnswer(key)
		if logged {
			o.logAccess(&entry, key, e.bytes, start)
		}
	})
}

// accessEntry is what is known of the access line when the handler returns. Its texts are in the memory of the request.
func accessEntry(ex *Exchange) accesslog.Entry {
	e := accesslog.Entry{
		RequestID: ex.id, Method: ex.method, Route: ex.routeLabel(), Path: ex.target.Path,
		BytesIn: ex.body.read, Client: ex.client, Detail: ex.detail,
	}
	if ex.route != nil && ex.route.upstream != nil {
		e.Upstream, e.UpstreamTime, e.Attempts = ex.route.upstreamID, ex.upstreamTime, ex.attempts
	}
	if ex.subject != nil {
		e.UserID = ex.subject.UserID
	}
	return e
}

// logAccess writes the access line of a request that began at start.
func (o *observer) logAccess(e *accesslog.Entry, key seriesKey, bytesOut int64, start time.Time) {
	e.Time = o.now()
	e.Status, e.Reason, e.BytesOut, e.Duration = key.status, key.reason, bytesOut, e.Time.Sub(start)
	o.access.Log(e)
}

// setRequestID sets the request ID of an answer. Header names of a service keep their spelling, so its own ID is
// removed in any spelling first.
func setRequestID(resp *fasthttp.Response, id string) {
	http1.DropFields(&resp.Header, func(name []byte) bool {
		return len(name) == len(answer.HeaderRequestID) && strings.EqualFold(string(name), answer.HeaderRequestID)
	})
	resp.Header.Set(answer.HeaderRequestID, id)
}
