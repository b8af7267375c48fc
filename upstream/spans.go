package upstream

import (
	"net/http"
	"net/netip"
	"strconv"

	"go.opentelemetry.io/otel/attribute"

	"wxgate/tracing/span"
)

// startSpan begins the span of an attempt at e, if the request is recorded, and names it to the service instead of the span
// of the request.
func (t *roundTrip) startSpan(e *endpoint) {
	_, t.span = span.Start(t.ctx, span.Client, t.req.Method, t.up.name)
	if !t.span.Recorded() {
		return
	}
	at := e.target.origin
	t.span.Set(
		attribute.String("http.request.method", t.req.Method), attribute.String("network.protocol.version", "1.1"),
		attribute.String("wxgate.upstream", t.up.name), attribute.String("wxgate.target", at.String()),
	)
	if peer, err := netip.ParseAddrPort(e.address); err == nil {
		t.span.Set(attribute.String("network.peer.address", peer.Addr().String()), attribute.Int("network.peer.port", int(peer.Port())))
	}
	if port, err := strconv.Atoi(at.Port); err == nil {
		t.span.Set(attribute.String("server.address", at.Host), attribute.Int("server.port", port))
	}
	if resent := len(t.tried); resent > 0 {
		t.span.Set(attribute.Int("http.request.resend_count", resent))
	}
	span.ReplaceParent(&t.req.Fields, t.span.Context())
}

// endSpan ends the span of an attempt with its outcome.
func (t *roundTrip) endSpan() {
	if !t.span.Recorded() {
		return
	}
	status := t.Resp.Status
	switch {
	case t.outcome >= outcomeConnect:
		t.span.Fail(t.outcome.label())
	case status >= http.StatusBadRequest:
		t.span.Fail(strconv.Itoa(status))
	}
	if t.outcome < outcomeConnect {
		t.span.Set(attribute.Int("http.response.status_code", status))
	}
	t.span.End()
}
