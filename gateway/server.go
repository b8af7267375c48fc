package gateway

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"

	"wxgate/gateway/certificate/acme"
	"wxgate/gateway/listen"
	"wxgate/gateway/stream"
	"wxgate/gateway/websocket"
	"wxgate/gateway/wire"
	"wxgate/lograte"
	"wxgate/message"
)

// server runs the requests of connections through a chain, and writes the answers.
type server struct {
	*pipeline
	steps   []Step
	streams *stream.Server // announced in answers; nil: none is
}

// newServer is a server whose chain authenticates and serves with these two steps.
func (p *pipeline) newServer(authenticate, serve Step) *server {
	return &server{pipeline: p, steps: p.chain(authenticate, serve)}
}

// Serve serves the request that has come on c.
func (s *server) Serve(c *listen.Conn) {
	if tunnel := s.exchange(c, c); tunnel != nil {
		c.Upgrade()
		tunnel.Run()
	}
}

// ServeStream serves the request of a stream.
func (s *server) ServeStream(st *stream.Stream) { _ = s.exchange(st, nil) }

// exchange runs an exchange on c, which is whole unless that is nil. The tunnel, unless it is nil, begins after it.
func (s *server) exchange(c connection, whole *listen.Conn) (tunnel *websocket.Tunnel) {
	ex, _ := s.exchanges.Get().(*Exchange)
	ex.conn, ex.whole, ex.steps = c, whole, s.steps
	s.run(ex)
	s.watcher.unwatch(ex)
	ex.streaming.Close()
	tunnel = ex.tunnel
	ex.reset()
	s.exchanges.Put(ex)
	return tunnel
}

// run runs the chain on an exchange, and ends it as the chain has decided.
func (s *server) run(ex *Exchange) {
	defer s.recoverServing(ex)
	ex.conn.ReadRequest(&ex.request)
	ex.method, ex.body = methodOf(ex.request.Method), newLimitedBody(&ex.request)
	if err := ex.next(); err != nil {
		s.observer.refuseUnobserved(ex, s.snapshot.Load().answers, err)
	}
	switch ex.outcome {
	case answered:
		s.announce(ex)
		s.setHSTS(&ex.response)
		bytes, err := ex.conn.WriteResponse(&ex.response)
		s.observer.record(ex, bytes, err)
		if err != nil {
			ex.abortTunnel()
		}
	case abandoned:
		s.observer.record(ex, 0, nil)
	case handedOver:
		s.observer.record(ex, 0, nil)
		if err := ex.whole.Give(ex.partial); err != nil {
			s.deps.Log.Error("a request was lost: its connection could not be handed over", "request_id", ex.id, "error", err)
		}
	}
}

// announce adds to an answer over TLS that there is HTTP/3.
func (s *server) announce(ex *Exchange) {
	if !ex.request.Secure || s.streams == nil {
		return
	}
	if announcement := s.streams.Announcement(); announcement != "" {
		ex.response.Fields.Set("Alt-Svc", announcement)
	}
}

// setHSTS tells browsers that there is TLS, if they are to know (RFC 6797).
func (s *server) setHSTS(resp *message.Response) {
	if value := s.snapshot.Load().hsts; value != "" {
		resp.Fields.Set("Strict-Transport-Security", value)
	}
}

// Refuse answers a request whose head broke a rule.
func (s *server) Refuse(c *listen.Conn, fault *wire.MalformedError) { s.refuse(c, fault) }

// RefuseStream answers a request on a stream whose head broke a rule.
func (s *server) RefuseStream(st *stream.Stream, fault *wire.MalformedError) { s.refuse(st, fault) }

func (s *server) refuse(c connection, fault *wire.MalformedError) {
	ex, _ := s.exchanges.Get().(*Exchange)
	defer s.recoverServing(ex)
	s.observer.refuseUnread(c, s.snapshot.Load().answers, fault, &ex.response)
	s.setHSTS(&ex.response)
	_, _ = c.WriteResponse(&ex.response) // a client that has left is not told
	ex.reset()
	s.exchanges.Put(ex)
}

// recoverServing ends a connection, and not the process, when serving it panics outside of its chain.
func (s *server) recoverServing(ex *Exchange) {
	if r := recover(); r != nil {
		s.observer.limitedLog.Error(lograte.Kind{Message: "panic outside the chain"}, "request_id", ex.id, "value", fmt.Sprint(r), "stack", string(debug.Stack()))
		s.observer.recordPanic(ex)
		ex.abortTunnel()
	}
}

// redirector answers plain requests with the place of the same over TLS.
type redirector struct{ *pipeline }

// Redirector is the handler of server.http.
func (g *Gateway) Redirector() listen.Handler { return redirector{g.pipeline} }

// Serve answers an authority that looks at a domain, and everybody else with 308, after which clients repeat method and body
// (RFC 9110 §15.4.9).
func (r redirector) Serve(c *listen.Conn) {
	var req message.Request
	var resp message.Response
	c.ReadRequest(&req)
	resp.Reset()
	if text, found := r.challenge(&req); found {
		resp.Fields.AddBytes([]byte("Content-Type"), []byte("text/plain"))
		resp.Body = []byte(text)
	} else if len(req.Host) == 0 || len(req.Target) == 0 || req.Target[0] != '/' {
		resp.Status, resp.Close = http.StatusBadRequest, true
	} else {
		resp.Status = http.StatusPermanentRedirect
		resp.Fields.AddBytes([]byte("Location"), r.securePlace(req.Host, req.Target))
	}
	_, _ = c.WriteResponse(&resp) // a client that has left is not told
}

// challenge is what an authority wants to read (RFC 8555 §8.3).
func (r redirector) challenge(req *message.Request) (text string, found bool) {
	m := r.snapshot.Load().acme
	if m == nil || string(req.Method) != http.MethodGet || !bytes.HasPrefix(req.Target, []byte(acme.ChallengePath)) {
		return "", false
	}
	return m.Answer(r.drain, string(withoutPort(req.Host)), string(req.Target))
}

func withoutPort(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i > bytes.LastIndexByte(host, ']') {
		return host[:i]
	}
	return host
}

// securePlace is the URL of a target over TLS.
func (r redirector) securePlace(host, target []byte) []byte {
	place := append([]byte("https://"), withoutPort(host)...)
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
