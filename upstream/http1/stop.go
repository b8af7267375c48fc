package http1

import (
	"io"
	"sync"
)

// Stop ends one exchange from outside: whoever asked for it has left. The zero value is ready, and serves one exchange.
// Its methods may be called from anywhere.
type Stop struct {
	// Flowed is told how a body stream ended, once: how many bytes of it were taken, and nil when that was all of it. It
	// is set between the return of Do and the first read, or not at all.
	Flowed func(bytes int64, err error)

	mu      sync.Mutex
	conn    *conn // nil: none yet, or given back
	stopped bool
	ended   bool
}

// Now closes the connection of the exchange. Do then returns ErrStopped, or the body that is being read breaks off.
// After the end of the exchange it does nothing.
func (s *Stop) Now() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

// Ended reports whether the exchange is over, its body included.
func (s *Stop) Ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// holds takes hold of a connection; it is false when the exchange was stopped before.
func (s *Stop) holds(c *conn) bool {
	if s == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.conn, c.stop, s.ended = c, s, false // an attempt before this one may have ended
	return true
}

// End is for an exchange that ends before it has an answer. A nil Stop is ended by nobody.
func (s *Stop) End() { s.leave(true) }

// leave lets go of the connection, before it can serve another exchange.
func (s *Stop) leave(ended bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.ended = nil, ended
}

// flowed passes on how the body ended. A broken end that the stop caused is ErrStopped.
func (s *Stop) flowed(bytes int64, err error) {
	switch {
	case s == nil || s.Flowed == nil:
	case err == io.EOF: //nolint:errorlint // a wrapped one is no end
		s.Flowed(bytes, nil)
	case s.Stopped():
		s.Flowed(bytes, ErrStopped)
	default:
		s.Flowed(bytes, err)
	}
}

// Stopped reports whether Now was called. Nobody has called it on a nil Stop.
func (s *Stop) Stopped() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}
