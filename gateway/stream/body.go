package stream

import (
	"errors"
	"io"
	"os"
	"time"

	"wxgate/gateway/wire"
)

// maxEmptyReads are the frames of data without a byte in one body. HTTP/2 counts them among its others; the library of HTTP/3
// hands each of them on.
const maxEmptyReads = idleBurst

// readSource reads from the library.
func (s *Stream) readSource(p []byte) (n int, err error) {
	if n, err = s.source.Body.Read(p); n > 0 || err != nil {
		return n, err
	}
	if s.empty++; s.empty > maxEmptyReads {
		return 0, &wire.MalformedError{Reason: wire.ReasonSlowBody}
	}
	return 0, nil
}

// body is the body of a request.
type body struct{ s *Stream }

// Read returns a *wire.MalformedError when the body comes too slowly, and io.ErrUnexpectedEOF when it ends early.
func (b body) Read(p []byte) (n int, err error) {
	s := b.s
	if s.left == 0 {
		return 0, io.EOF
	}
	if s.left > 0 {
		p = p[:min(int64(len(p)), s.left)]
	}
	clock := &s.read
	asked := clock.move(s.control.SetReadDeadline, s.client.cfg.BodyWait(clock.bytes, clock.waited))
	if len(s.first) > 0 {
		n = copy(p, s.first)
		s.first = s.first[n:]
	} else {
		n, err = s.readSource(p)
	}
	clock.waited += time.Since(asked)
	clock.bytes += int64(n)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, &wire.MalformedError{Reason: wire.ReasonSlowBody}
	case errors.Is(err, io.EOF) && s.left > int64(n):
		return n, io.ErrUnexpectedEOF
	case errors.Is(err, io.EOF):
		s.left = 0
	case s.left > 0:
		s.left -= int64(n)
	}
	return n, err
}
