package gateway

import (
	"runtime/debug"

	"wxgate/gateway/listen"
	"wxgate/gateway/wire"
	"wxgate/lograte"
)

// server runs the requests of connections through a chain, and writes the answers.
type server struct {
	*pipeline
	steps []Step
}

// newServer is a server whose chain authenticates and serves with these two steps.
func (p *pipeline) newServer(authenticate, serve Step) *server {
	return &server{p, p.chain(authenticate, serve)}
}

// Serve serves the request that has come on c.
func (s *server) Serve(c *listen.Conn) {
	ex, _ := s.exchanges.Get().(*Exchange)
	defer s.recoverServing()
	ex.conn, ex.steps = c, s.steps
	c.ReadRequest(&ex.request)
	ex.method, ex.body = methodOf(ex.request.Method), newLimitedBody(&ex.request)
	if err := ex.next(); err != nil {
		s.observer.refuseUnobserved(ex, err)
	}
	switch ex.outcome {
	case answered:
		s.writeAnswer(ex)
	case abandoned:
		s.observer.record(ex, 0, nil)
	case handedOver:
		s.observer.record(ex, 0, nil)
		if err := c.Give(ex.partial); err != nil {
			s.deps.Log.Error("a request was lost: its connection could not be handed over", "request_id", ex.id, "error", err)
		}
	}
	tunnel := ex.tunnel
	ex.reset()
	s.exchanges.Put(ex)
	if tunnel != nil {
		c.Upgrade()
		tunnel.Run()
	}
}

// writeAnswer writes the answer of an exchange, and releases what was held until its end.
func (s *server) writeAnswer(ex *Exchange) {
	if ex.response.Stream != nil {
		defer s.watcher.unwatch(ex)
		defer ex.streaming.Close()
	}
	bytes, err := ex.conn.WriteResponse(&ex.response)
	s.observer.record(ex, bytes, err)
	if err != nil && ex.tunnel != nil {
		ex.tunnel.Abort()
		ex.tunnel = nil
	}
}

// Refuse answers a request whose head broke a rule.
func (s *server) Refuse(c *listen.Conn, fault *wire.MalformedError) {
	defer s.recoverServing()
	ex, _ := s.exchanges.Get().(*Exchange)
	s.observer.refuseUnread(c, fault, &ex.response)
	_, _ = c.WriteResponse(&ex.response) // the connection ends in any case
	ex.reset()
	s.exchanges.Put(ex)
}

// recoverServing ends a connection, and not the process, when serving it panics outside of its chain.
func (s *server) recoverServing() {
	if r := recover(); r != nil {
		s.observer.limitedLog.Error(lograte.Kind{Message: "panic"}, "value", r, "stack", string(debug.Stack()))
	}
}
