package gateway

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"wxgate/breaker"
	"wxgate/gateway/answer"
	"wxgate/gateway/api"
	"wxgate/gateway/limit"
	"wxgate/gateway/wire"
	"wxgate/lograte"
	"wxgate/message"
	"wxgate/upstream/http1"
)

// respondError answers with the error's row of the table. Only the row and WeChat's errcode reach the client; the error
// text goes to the log.
func (o *observer) respondError(ex *Exchange, err error) {
	f := o.failures.Lookup(err)
	if fault, malformed := errors.AsType[*wire.MalformedError](err); malformed {
		o.metrics.connections.CountMalformed(fault)
		f.Status = fault.Status() // 408 for a body that is too slow, 400 for broken framing
	}
	if after, known := retryAfter(err); known {
		f.RetryAfter = int(max(1, limit.WholeSeconds(after)))
	}
	ex.reason = f.Reason
	ex.response.Reset() // discards what an upstream had answered so far
	ex.abortTunnel()
	if f.Reason == "invalid_request" {
		ex.detail = err.Error()
	}
	if statusErr, ok := errors.AsType[*answer.StatusError](err); ok {
		f.Status = statusErr.Status
		for name, value := range statusErr.Fields {
			ex.response.Fields.Set(name, value)
		}
	}
	if f.Status >= 500 {
		o.limitedLog.Error(lograte.Kind{Message: "request failed", Reason: f.Reason, Upstream: ex.upstreamName()}, "request_id", ex.id, "error", err)
	}
	ex.refused = f.Status
	ex.answers().Refuse(&ex.response, &answer.Refusal{Failure: f, Message: f.MessageFor(err), RequestID: ex.id, Now: o.now(), KeepStatus: ex.keepsStatus()})
	if back, ok := errors.AsType[*api.PageError](err); ok && isNavigation(ex) {
		sendBack(&ex.response, back.Location(f.Reason))
	}
	if errors.Is(err, http1.ErrStopped) {
		ex.outcome = abandoned // the client has left: 499 is for the log and the metric only
	}
}

// isNavigation reports whether a browser asks for a page that somebody will look at.
func isNavigation(ex *Exchange) bool {
	return strings.Contains(ex.header("Accept"), "text/html") || ex.header("Sec-Fetch-Mode") == "navigate"
}

// sendBack makes a refusal an answer that leads a browser to its page, where the reason is told in words of its own.
func sendBack(resp *message.Response, to string) {
	resp.Status, resp.Body = http.StatusFound, resp.Body[:0]
	resp.Fields.Del("Content-Type")
	resp.Fields.Del("WWW-Authenticate")
	resp.Fields.Set("Location", to)
	resp.Fields.Set("Referrer-Policy", "no-referrer")
}

// retryAfter is when a retry may succeed, for errors that know better than their row.
func retryAfter(err error) (after time.Duration, known bool) {
	if limited, ok := errors.AsType[*rateLimitError](err); ok {
		return limited.retryAfter, true
	}
	if exceeded, ok := errors.AsType[*quotaError](err); ok {
		return exceeded.retryAfter, true
	}
	if overload, ok := errors.AsType[*overloadError](err); ok {
		return overload.retryAfter, true
	}
	if open, ok := errors.AsType[*breaker.OpenError](err); ok {
		return open.After, true
	}
	return 0, false
}

// refuseUnread answers a request that was refused before the chain ran.
func (o *observer) refuseUnread(c connection, shape *answer.Shape, fault *wire.MalformedError, resp *message.Response) {
	o.metrics.connections.CountMalformed(fault)
	f := o.failures.Lookup(answer.ErrInvalidRequest)
	f.Status = fault.Status()
	if f.Status == http.StatusMethodNotAllowed {
		resp.Fields.Set("Allow", allowHeader())
	}
	id := answer.NewRequestID()
	_, peer := c.Peer()
	o.metrics.countUnobserved(f)
	o.log.Info("refused request", "request_id", id, "status", f.Status, "detail", string(fault.Reason), "client_ip", cmp.Or(peer, unknownClient))
	shape.Refuse(resp, &answer.Refusal{Failure: f, Message: f.Message, RequestID: id, Now: o.now(), KeepStatus: true})
	setRequestID(resp, id)
}

// refuseUnobserved answers an error returned by the chain before observe ran.
func (o *observer) refuseUnobserved(ex *Exchange, shape *answer.Shape, err error) {
	f, id := o.failures.Lookup(err), answer.NewRequestID()
	if f.Status >= 500 {
		o.limitedLog.Error(lograte.Kind{Message: "request failed before it began", Reason: f.Reason}, "request_id", id, "error", err)
	}
	o.metrics.countUnobserved(f)
	ex.response.Reset()
	shape.Refuse(&ex.response, &answer.Refusal{Failure: f, Message: f.Message, RequestID: id, Now: o.now(), KeepStatus: true})
	setRequestID(&ex.response, id)
	ex.response.Close = true
}
