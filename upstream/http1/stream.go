package http1

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Body is the body of an answer that is passed on as it arrives: Exchange returns before it has ended.
type Body struct {
	// Ended is called once, when the body has ended, with the number of bytes that were passed on and the reason why it
	// broke off, nil if it is complete. It may be set between the return of Exchange and the first read.
	Ended func(bytes int64, err error)
}

// stream is a Body that is passed on as it comes. It owns its connection until the body has ended, has
// failed or is closed. Its end is io.EOF only if the body was whole; everything else makes fasthttp close the client's
// connection with the body visibly unfinished.
type stream struct {
	Body
	ctx      context.Context
	pool     *Pool
	conn     *conn // nil: given back
	idle     time.Duration
	keep     bool   // the connection may be used again
	buffered []byte // what was read before the stream was made
	body     framing
	read     int64 // bytes that were taken
	err      error // what the stream ended with
}

// Read reads from the body. Its errors are io.EOF, ErrReset, ErrTimeout and ErrInvalid.
func (s *stream) Read(p []byte) (int, error) {
	part, err := s.peek()
	if err != nil {
		return 0, err
	}
	n := copy(p, part)
	s.skip(n)
	return n, nil
}

// WriteTo writes the body to w. Whatever has come is flushed before it waits for more.
func (s *stream) WriteTo(w io.Writer) (int64, error) {
	flusher, _ := w.(interface{ Flush() error })
	var written int64
	for {
		if flusher != nil && !s.ready() {
			if err := flusher.Flush(); err != nil {
				return written, err
			}
		}
		part, err := s.peek()
		if err == io.EOF { //nolint:errorlint // a wrapped one is no end
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(part)
		written += int64(n)
		if err != nil {
			return written, err
		}
		s.skip(n)
	}
}

// SupportsBodyWriteTo tells fasthttp that WriteTo writes the same bytes as Read reads.
func (s *stream) SupportsBodyWriteTo() bool { return true }

// Close gives up the rest of the body, and with it the connection.
func (s *stream) Close() error {
	if s.err == nil {
		_ = s.finish(errClosed) // what Read would have said; nobody reads any more
	}
	return nil
}

var errClosed = fmt.Errorf("%w: the body was given up", ErrStopped)

// ready reports whether there is something to look at without waiting. The end of a body is: the connection is given
// back before the client has the last byte, and can serve its next request.
func (s *stream) ready() bool {
	return s.err != nil || len(s.buffered) > 0 || s.conn.br.Buffered() > 0 || s.body.done()
}

// peek returns the next bytes of the body, at least one.
func (s *stream) peek() ([]byte, error) {
	if len(s.buffered) > 0 || s.err != nil {
		return s.buffered, s.errUnless(len(s.buffered) > 0)
	}
	if err := s.conn.until(time.Now().Add(s.idle)); err != nil {
		return nil, s.finish(ioError("reading the body", err))
	}
	part, err := s.body.peek(s.conn.br)
	if err != nil {
		return nil, s.finish(err)
	}
	return part, nil
}

func (s *stream) errUnless(more bool) error {
	if more {
		return nil
	}
	return s.err
}

// skip takes n bytes that peek gave.
func (s *stream) skip(n int) {
	s.read += int64(n)
	if len(s.buffered) > 0 {
		s.buffered = s.buffered[n:]
		return
	}
	s.body.skip(s.conn.br, n)
}

// finish ends the stream and gives the connection back, for use after a whole body and to be closed after any other.
func (s *stream) finish(err error) error {
	s.err = err
	s.buffered = nil
	s.pool.put(s.conn, s.keep && err == io.EOF) //nolint:errorlint // a wrapped one is no end
	s.conn = nil
	switch {
	case s.Ended == nil:
	case err == io.EOF: //nolint:errorlint // a wrapped one is no end
		s.Ended(s.read, nil)
	default:
		s.Ended(s.read, causeOf(s.ctx, err))
	}
	return err
}
