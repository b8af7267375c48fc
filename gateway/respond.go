package gateway

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/breaker"
	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/lograte"
	"wxgate/upstream/http1"
)

// respondError answers with the error's row. Only the row and what WeChat calls its errcode reach the client; the error's own
// text goes to the log.
func (o *observer) respondError(ex *Exchange, err error) {
	f := o.failures.Lookup(err)
	if fault := listen.Fault(ex.server.Conn(), err); fault != nil {
		o.metrics.connections.CountMalformed(fault)
		f.Status = fault.Status() // a body that came too slowly is 408, one with broken framing 400
	}
	if after, known := retryAfter(err); known {
		f.RetryAfter = int(max(1, limit.WholeSeconds(after)))
	}
	ex.reason, ex.streamed = f.Reason, nil
	ex.response.Reset() // an upstream's half answer must not shine through
	if f.Reason == "invalid_request" {
		ex.detail = err.Error()
	}
	var odd *answer.StatusError
	if errors.As(err, &odd) {
		f.Status = odd.Status
		for name, value := range odd.Fields {
			ex.response.Header.Set(name, value)
		}
	}
	if f.Status >= 500 {
		o.limitedLog.Error(lograte.Kind{Message: "request failed", Reason: f.Reason, Upstream: ex.upstreamName()}, "request_id", ex.id, "error", err)
	}
	f.Refusal(f.MessageFor(err), "", ex.id, o.now()).Fill(ex.response)
	if errors.Is(err, http1.ErrStopped) {
		ex.hijackWithoutResponse(func(net.Conn) {}, func() {}) // the client has left: what log and metric say is no status of HTTP
	}
}

// retryAfter is when it is worth to try again, for errors that know it better than their row.
func retryAfter(err error) (after time.Duration, known bool) {
	var limited *rateLimitError
	if errors.As(err, &limited) {
		return limited.retryAfter, true
	}
	var tooMuch *overloadError
	if errors.As(err, &tooMuch) {
		return tooMuch.retryAfter, true
	}
	var open *breaker.OpenError
	if errors.As(err, &open) {
		return open.After, true
	}
	return 0, false
}

// refuseUnread answers what the strict reader or fasthttp refused before our chain saw it, and ends the connection.
func (o *observer) refuseUnread(ctx *fasthttp.RequestCtx, err error) {
	f := o.failures.Lookup(answer.ErrInvalidRequest)
	detail := slog.String("detail", "unreadable")
	if fault := listen.Fault(ctx.Conn(), err); fault != nil {
		o.metrics.connections.CountMalformed(fault)
		f.Status = fault.Status()
		detail = slog.String("detail", string(fault.Reason))
	}
	if f.Status == http.StatusMethodNotAllowed {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, allowHeader())
	}
	id := answer.NewRequestID()
	o.metrics.countUnobserved(f)
	o.log.Info("refused request", "request_id", id, "status", f.Status, detail, "client_ip", formatClient(peerAddress(ctx)))
	f.Refusal(f.Message, "", id, o.now()).Fill(&ctx.Response)
	ctx.Response.SetConnectionClose()
}

// refuseUnobserved answers an error that the chain was left with, before there was anybody to observe the exchange.
func (o *observer) refuseUnobserved(ex *Exchange, err error) {
	f, id := o.failures.Lookup(err), answer.NewRequestID()
	if f.Status >= 500 {
		o.limitedLog.Error(lograte.Kind{Message: "request failed before it began", Reason: f.Reason}, "request_id", id, "error", err)
	}
	o.metrics.countUnobserved(f)
	f.Refusal(f.Message, "", id, o.now()).Fill(ex.response)
	ex.response.SetConnectionClose()
}
