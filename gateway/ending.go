package gateway

import (
	"io"
	"log/slog"
	"net"
	"strings"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
)

// ending is the end of a body that still flows when its handler is through. The answer is counted and logged then, as
// what it has become: one that broke off is not the 200 that it began as.
type ending struct {
	over  bool
	bytes int64
	err   error  // how it broke off
	then  func() // nil: the handler is not through
	held  limit.Hold
}

// after calls then when the body has ended, which may be now.
func (e *ending) after(then func()) {
	if e.then = then; e.over {
		then()
	}
}

// report counts and logs an answer, now or when its body has ended. What it then says of the request is copied: the
// buffers serve another one by that time.
func (o *observer) report(ex *Exchange, key seriesKey) {
	var line []slog.Attr
	if ex.snapshot.cfg.Log.Access {
		line = accessLine(ex)
	}
	start, e := ex.start, ex.ending
	if e == nil {
		o.metrics.count(key)
		o.logAccess(line, key, int64(len(ex.response.Body())), o.now().Sub(start))
		return
	}
	key.method = strings.Clone(key.method)
	o.metrics.inFlight.Inc()
	e.after(func() {
		o.metrics.inFlight.Dec()
		if e.err != nil {
			line = append(line, slog.Int("began", key.status)) // what the client has seen
			f := o.failures.Of(e.err)
			key.status, key.reason, key.upstream = f.Status, f.Reason, false
		}
		o.metrics.count(key)
		o.logAccess(line, key, e.bytes, o.now().Sub(start))
	})
}

// endWithConnection delivers an answer of unknown length to an HTTP/1.0 client, who knows no chunks (RFC 9112 §6.1): the
// end of the connection is the end of the body (§6.3). fasthttp would send chunks, so the connection is taken from it.
func endWithConnection(ex *Exchange) {
	resp := ex.response
	if ex.request.Header.IsHTTP11() || ex.request.Header.IsHead() || !resp.IsBodyStream() || resp.Header.ContentLength() >= 0 {
		return
	}
	resp.SetConnectionClose()
	ex.endWithout(func(conn net.Conn) {
		if err := writeUntilClose(conn, resp); err != nil {
			reset(conn)
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

// reset makes the end of a connection an error to the client: without a length, an orderly end would pass for the end
// of the body.
func reset(conn net.Conn) {
	if hijacked, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		conn = hijacked.UnsafeConn()
	}
	if client, ok := conn.(*listen.Conn); ok {
		client.Reset()
	}
}
