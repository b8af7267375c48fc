package gateway

import (
	"io"
	"net"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/listen"
)

// endWithConnection delivers an answer of unknown length to an HTTP/1.0 client, who knows no chunks (RFC 9112 §6.1): the
// end of the connection is the end of the body (§6.3). fasthttp would send chunks, so the connection is taken from it.
func (g *Gateway) endWithConnection(ex *Exchange) {
	resp := ex.response
	if ex.request.Header.IsHTTP11() || ex.request.Header.IsHead() || !resp.IsBodyStream() || resp.Header.ContentLength() >= 0 {
		return
	}
	resp.SetConnectionClose()
	g.endWithout(ex, func(conn net.Conn) {
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
