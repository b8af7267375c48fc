package gateway

import (
	"bytes"
	"net"
	"net/http"

	"wxgate/gateway/listen"
	"wxgate/gateway/wire"
	"wxgate/message"
)

// redirector answers plain requests with the place of the same over TLS.
type redirector struct{ *pipeline }

// Redirector is the handler of server.http.
func (g *Gateway) Redirector() listen.Handler { return redirector{g.pipeline} }

// Serve answers 308, after which clients repeat method and body (RFC 9110 §15.4.9).
func (r redirector) Serve(c *listen.Conn) {
	var req message.Request
	var resp message.Response
	c.ReadRequest(&req)
	resp.Reset()
	if len(req.Host) == 0 || len(req.Target) == 0 || req.Target[0] != '/' {
		resp.Status, resp.Close = http.StatusBadRequest, true
	} else {
		resp.Status = http.StatusPermanentRedirect
		resp.Fields.AddBytes([]byte("Location"), r.securePlace(req.Host, req.Target))
	}
	_, _ = c.WriteResponse(&resp) // a client that has left is not told
}

// securePlace is the URL of a target over TLS.
func (r redirector) securePlace(host, target []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i > bytes.LastIndexByte(host, ']') {
		host = host[:i]
	}
	place := append([]byte("https://"), host...)
	if _, port, err := net.SplitHostPort(r.snapshot.Load().cfg.Server.Listen); err == nil && port != "443" {
		place = append(append(place, ':'), port...)
	}
	return append(place, target...)
}

// Refuse answers a request that broke a rule.
func (redirector) Refuse(c *listen.Conn, fault *wire.MalformedError) {
	var resp message.Response
	resp.Reset()
	resp.Status, resp.Close = http.StatusBadRequest, true
	_, _ = c.WriteResponse(&resp)
}
