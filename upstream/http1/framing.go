package http1

import (
	"bufio"
	"errors"
	"io"
)

// framing finds the bytes of a body in what comes on a connection.
type framing interface {
	// peek returns the next bytes of the body, at least one; io.EOF means that the body was whole.
	peek(br *bufio.Reader) ([]byte, error)
	// skip takes n of the bytes that peek gave.
	skip(br *bufio.Reader, n int)
	// done reports whether the end is already known: peek would give io.EOF without waiting.
	done() bool
}

// peekSome gives up to n of the bytes that have come, waiting for the first. n is at least 1.
func peekSome(br *bufio.Reader, n int64) ([]byte, error) {
	if br.Buffered() == 0 {
		if _, err := br.Peek(1); err != nil {
			return nil, err
		}
	}
	return br.Peek(int(min(n, int64(br.Buffered()))))
}

// sized is a body with a Content-Length.
type sized struct{ remaining int64 }

func (s *sized) peek(br *bufio.Reader) ([]byte, error) {
	if s.remaining == 0 {
		return nil, io.EOF
	}
	part, err := peekSome(br, s.remaining)
	if err != nil {
		return nil, ioError("reading the body", err)
	}
	return part, nil
}

func (s *sized) skip(br *bufio.Reader, n int) {
	s.remaining -= int64(n)
	_, _ = br.Discard(n)
}

func (s *sized) done() bool { return s.remaining == 0 }

// untilClose is a body that ends with its connection. A lost connection is not its end.
type untilClose struct{}

func (untilClose) peek(br *bufio.Reader) ([]byte, error) {
	part, err := peekSome(br, readBufferSize)
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, ioError("reading the body", err)
	}
	return part, nil
}

func (untilClose) skip(br *bufio.Reader, n int) { _, _ = br.Discard(n) }

func (untilClose) done() bool { return false }

// chunked is a body in chunks (RFC 9112 §7.1). fasthttp's own reader takes a connection that ends between two chunks
// for the end of the body; this one does not.
type chunked struct {
	remaining int64 // of the present chunk
	started   bool  // a chunk came before: its line end is still to be read
	ended     bool  // the last chunk and the trailer section were read
}

func (c *chunked) peek(br *bufio.Reader) ([]byte, error) {
	if c.remaining == 0 && !c.ended {
		if err := c.nextChunk(br); err != nil {
			return nil, err
		}
	}
	if c.ended {
		return nil, io.EOF
	}
	part, err := peekSome(br, c.remaining)
	if err != nil {
		return nil, ioError("reading a chunk", err)
	}
	return part, nil
}

func (c *chunked) skip(br *bufio.Reader, n int) {
	c.remaining -= int64(n)
	_, _ = br.Discard(n)
}

func (c *chunked) done() bool { return c.ended }

// nextChunk reads up to the data of the next chunk, or up to the end of the trailer section.
func (c *chunked) nextChunk(br *bufio.Reader) error {
	if c.started {
		if line, err := readLine(br, "reading the end of a chunk"); err != nil || len(line) > 0 {
			return orInvalid(err, "a chunk is longer than its size")
		}
	}
	line, err := readLine(br, "reading the size of a chunk")
	if err != nil {
		return err
	}
	if c.remaining, err = chunkSize(line); err != nil {
		return err
	}
	c.started = true
	if c.remaining == 0 {
		c.ended = true
		return skipTrailers(br)
	}
	return nil
}

func orInvalid(err error, rule string) error {
	if err != nil {
		return err
	}
	return invalid(rule)
}

// chunkSize reads the size of a chunk, up to 15 hex digits, and passes over extensions.
func chunkSize(line []byte) (int64, error) {
	var size int64
	n := 0
	for ; n < len(line); n++ {
		digit, ok := hexDigit(line[n])
		if !ok {
			break
		}
		size = size<<4 | digit
		if n >= 15 {
			return 0, invalid("a chunk is too large")
		}
	}
	if n == 0 || n < len(line) && line[n] != ';' && line[n] != ' ' && line[n] != '\t' || !clean(line) {
		return 0, invalid("malformed chunk size")
	}
	return size, nil
}

// skipTrailers reads the trailer section and drops it: it was written without knowledge of who reads it.
func skipTrailers(br *bufio.Reader) error {
	for n, size := 0, 0; ; n++ {
		line, err := readLine(br, "reading the trailers")
		if err != nil || len(line) == 0 {
			return err
		}
		if size += len(line); size > maxHeadBytes || n == maxFields {
			return invalid("the trailer section is too large")
		}
		if _, _, err := splitField(line); err != nil {
			return err
		}
	}
}
