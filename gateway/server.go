package gateway

import (
	"fmt"
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
	ex.conn, ex.steps = c, s.steps
	s.run(ex)
	s.watcher.unwatch(ex)
	ex.streaming.Close()
	tunnel := ex.tunnel
	ex.reset()
	s.exchanges.Put(ex)
	if tunnel != nil {
		c.Upgrade()
		tunnel.Run()
	}
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
		bytes, err := ex.conn.WriteResponse(&ex.response)
		s.observer.record(ex, bytes, err)
		if err != nil {
			ex.abortTunnel()
		}
	case abandoned:
		s.observer.record(ex, 0, nil)
	case handedOver:
		s.observer.record(ex, 0, nil)
		if err := ex.conn.Give(ex.partial); err != nil {
			s.deps.Log.Error("a request was lost: its connection could not be handed over", "request_id", ex.id, "error", err)
		}
	}
}

// Refuse answers a request whose head broke a rule.
func (s *server) Refuse(c *listen.Conn, fault *wire.MalformedError) {
	ex, _ := s.exchanges.Get().(*Exchange)
	defer s.recoverServing(ex)
	s.observer.refuseUnread(c, s.snapshot.Load().answers, fault, &ex.response)
	_, _ = c.WriteResponse(&ex.response) // the connection ends in any case
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
