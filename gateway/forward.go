package gateway

import (
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/gateway/websocket"
	"wxgate/upstream/http1"
)

// forwarder sends requests to services and returns their answers.
type forwarder struct {
	admission *admission
	store     storeGate
	watcher   *watcher
	sockets   *websocket.Tunnels
}

// forward sends the request to the upstream of its route and returns its answer. The inbound request is never sent: a
// new one is built from what may pass, and identity is set last.
func (f *forwarder) forward(ex *Exchange) error {
	f.store.release(ex)
	if isWebSocketUpgrade(&ex.request.Header) {
		return f.openWebSocket(ex)
	}
	if err := f.admission.acquireForClient(ex, limit.Connections); err != nil {
		return err
	}
	req := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(req)
	if err := buildRequest(ex, req); err != nil {
		return err
	}
	waiting := f.watcher.watch(ex)
	defer f.watcher.unwatchUnlessStreaming(waiting, ex)
	exchanged, err := ex.route.upstream.Do(waiting, req, ex.response, userKey(ex))
	ex.recordResult(exchanged)
	if err != nil {
		return err
	}
	f.trackBody(ex, exchanged.Body, waiting)
	delimitByClose(ex)
	return nil
}

// trackBody lets the exchange learn of the end of a streamed answer. Its client is watched until then. body is nil for
// an answer that is complete.
func (f *forwarder) trackBody(ex *Exchange, body *http1.Body, waiting *clientContext) {
	if body == nil {
		return
	}
	e := &streamedBody{hold: ex.hold.Move(limit.Connections)}
	ex.streamed = e
	body.Ended = func(bytes int64, err error) {
		f.watcher.unwatch(waiting)
		e.hold.Close()
		e.ended, e.bytes, e.err = true, bytes, err
		if e.onEnd != nil {
			e.onEnd()
		}
	}
}

// userKey is the user of a request as a number for balancing, 0 for none.
func userKey(ex *Exchange) uint64 {
	if ex.subject == nil {
		return 0
	}
	return uint64(ex.subject.UserID) // IDs are positive, and any bits will do
}

// checkFields refuses a request with header fields that a service could interpret differently than we do.
func checkFields(ex *Exchange) error {
	if err := header.CheckSingle(&ex.request.Header); err != nil {
		return fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	return ex.next()
}

// buildRequest builds the outbound request. The order matters: end-to-end headers first, then the forwarding headers,
// then identity, so that nothing inbound can override it.
func buildRequest(ex *Exchange, req *fasthttp.Request) error {
	in := &ex.request.Header
	out := &req.Header
	out.DisableNormalizing()
	out.DisableSpecialHeader() // what we add is sent as is: fasthttp would parse cookies and keep one Content-Type
	out.SetMethodBytes(in.Method())
	out.SetRequestURIBytes(ex.upstreamTarget())
	if host := in.Host(); len(host) > 0 { // HTTP/1.0 may have none; the service's own is set then
		out.SetBytesV(fasthttp.HeaderHost, host)
	}
	ex.copyEndToEnd(in, out)
	ex.route.changes.Apply(out)
	setForwarded(ex, out)
	header.SetVia(in, out)
	out.Set(answer.HeaderRequestID, ex.id)
	if subject := ex.subject; subject != nil {
		if err := ex.injectIdentity(req, subject); err != nil {
			return err
		}
	}
	ex.body.attach(req)
	return nil
}

// copyEndToEnd copies the headers meant for the service as they were written: not those of this connection (RFC 9110
// §7.6.1) or those that Connection names, none that a service could take for one that we set, and none that the route
// sets or removes.
func (ex *Exchange) copyEndToEnd(in, out *fasthttp.RequestHeader) {
	r, named, cookies := ex.snapshot, header.ConnectionOptions(in), header.JoinedCookies(in)
	for name, value := range header.Lines(in) {
		if header.HopByHop(name) || header.Owned(name) || r.reserved.contains(name) || named.Contain(name) || ex.route.changes.Hold(name) {
			continue
		}
		if claim := r.reserved.claims.Of(name); claim == header.IdentityClaim || claim == header.ForwardingClaim && !ex.trusted {
			continue
		}
		if !r.cfg.Identity.ForwardAuthorization && header.Folded(name, "authorization") {
			continue
		}
		if hops, counted := maxForwards(in, name, value); counted {
			value = strconv.AppendUint(nil, hops-1, 10)
		}
		if header.IsCookie(name) {
			value, cookies = cookies, nil
			if value == nil {
				continue
			}
		}
		out.AddBytesKV(name, value)
	}
}

// upstreamTarget is the request target for the service: the bytes as received, unless the route rewrites them.
func (ex *Exchange) upstreamTarget() []byte {
	if ex.route.rewrite == nil {
		return ex.target.Raw
	}
	return ex.route.rewrite.Apply(ex.target.Raw)
}

// delimitByClose sends an answer of unknown length to an HTTP/1.0 client, which does not know chunks (RFC 9112 §6.1):
// closing the connection ends the body (§6.3). fasthttp would send chunks, so the connection is hijacked.
func delimitByClose(ex *Exchange) {
	resp := ex.response
	if ex.request.Header.IsHTTP11() || ex.request.Header.IsHead() || !resp.IsBodyStream() || resp.Header.ContentLength() >= 0 {
		return
	}
	resp.SetConnectionClose()
	ex.hijackWithoutResponse(func(conn net.Conn) {
		if err := writeUntilClose(conn, resp); err != nil {
			resetConnection(conn)
		}
	}, func() { _ = resp.CloseBodyStream() })
}

func writeUntilClose(conn net.Conn, resp *fasthttp.Response) error {
	resp.Header.SetContentLength(0) // also removes Transfer-Encoding
	resp.Header.Del(fasthttp.HeaderContentLength)
	if _, err := conn.Write(resp.Header.Header()); err != nil {
		return err
	}
	_, err := io.Copy(conn, resp.BodyStream())
	return err
}

// resetConnection makes the client see an error: for an answer without a length, an orderly close would mean that the
// body is complete.
func resetConnection(conn net.Conn) {
	if hijacked, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		conn = hijacked.UnsafeConn()
	}
	if client, ok := conn.(*listen.Conn); ok {
		client.Reset()
	}
}
