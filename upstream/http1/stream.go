package http1

import (
	"context"
	"fmt"
	"io"
	"time"
)

// stream is the body of an answer that is passed on as it comes. It owns its connection until the body has ended, has
// failed or is closed. Its end is io.EOF only if the body was whole; everything else must show at the client as a body
// that is unfinished.
type stream struct {
	ctx      context.Context
	pool     *Pool
	conn     *conn // nil: given back
	idle     time.Duration
	keep     bool   // the connection may be used again
	buffered []byte // what was read before the stream was made
	body     framing
	err      error // what the stream ended with
}

// Next returns the next part of the body. Its errors are io.EOF, ErrReset, ErrTimeout, ErrInvalid and, when the context
// of the exchange was cancelled, ErrStopped.
func (s *stream) Next() ([]byte, error) {
	if part := s.buffered; len(part) > 0 {
		s.buffered = nil
		return part, nil
	}
	if s.err != nil {
		return nil, s.err
	}
	if err := s.conn.until(time.Now().Add(s.idle)); err != nil {
		return nil, s.finish(ioError("reading the body", err))
	}
	part, err := s.body.next(&s.conn.in)
	if err != nil {
		return nil, s.finish(err)
	}
	return part, nil
}

// Ready reports whether Next returns without waiting. At the end of a body it does: the connection is given back before
// the client has the last byte, and can serve its next request.
func (s *stream) Ready() bool {
	return len(s.buffered) > 0 || s.err != nil || s.body.ready(&s.conn.in)
}

// Close gives up the rest of the body, and with it the connection.
func (s *stream) Close() error {
	if s.buffered = nil; s.err == nil {
		_ = s.finish(errClosed) // what Next would have said; nobody reads any more
	}
	return nil
}

var errClosed = fmt.Errorf("%w: the body was given up", ErrStopped)

// finish ends the stream and gives the connection back, for use after a whole body and to be closed after any other. It
// returns why the body ended.
func (s *stream) finish(err error) error {
	whole := err == io.EOF //nolint:errorlint // a wrapped one is no end
	s.pool.put(s.conn, s.keep && whole)
	s.conn = nil
	if !whole {
		err = causeOf(s.ctx, err)
	}
	s.err = err
	return err
}
