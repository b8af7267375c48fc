package compress

import (
	"io"

	"wxgate/message"
)

// buffer is an encoder and what it has encoded. It is used again.
type buffer struct {
	encoder encoder
	bytes   []byte
}

// maxKeptBytes is the largest buffer that is used again.
const maxKeptBytes = 256 << 10

// begin starts a new body.
func (b *buffer) begin() {
	b.reset()
	b.encoder.Reset(b)
}

// reset empties the buffer.
func (b *buffer) reset() {
	if cap(b.bytes) > maxKeptBytes {
		b.bytes = nil
	}
	b.bytes = b.bytes[:0]
}

// Write is for the encoder.
func (b *buffer) Write(p []byte) (int, error) {
	b.bytes = append(b.bytes, p...)
	return len(p), nil
}

// whole returns a body that is there, encoded. It is valid until the next use.
func (b *buffer) whole(content []byte) []byte {
	b.begin()
	_, _ = b.encoder.Write(content) // the buffer takes everything
	_ = b.encoder.Close()           // likewise
	return b.bytes
}

// stream is a body that is encoded as it comes.
type stream struct {
	source  message.Stream
	buffer  *buffer // nil: it is closed
	release func(*buffer)
	ended   bool // the source has; what is in the buffer is the last of it
}

// Next returns the next part. What has come is flushed before it waits for more. Its errors are the source's.
func (s *stream) Next() ([]byte, error) {
	s.buffer.reset()
	for !s.ended && len(s.buffer.bytes) == 0 {
		if err := s.encodeNext(); err != nil {
			return nil, err
		}
	}
	if len(s.buffer.bytes) == 0 {
		return nil, io.EOF
	}
	return s.buffer.bytes, nil
}

// encodeNext encodes the next part of the source.
func (s *stream) encodeNext() error {
	part, err := s.source.Next()
	if err == io.EOF { //nolint:errorlint // a wrapped one is no end
		s.ended = true
		return s.buffer.encoder.Close()
	}
	if err != nil {
		return err
	}
	if _, err = s.buffer.encoder.Write(part); err == nil && !s.source.Ready() {
		err = s.buffer.encoder.Flush()
	}
	return err
}

// Ready reports whether Next returns without waiting.
func (s *stream) Ready() bool { return s.ended || s.source.Ready() }

// Close gives up the rest.
func (s *stream) Close() error {
	if s.buffer == nil {
		return nil
	}
	s.release(s.buffer)
	s.buffer = nil
	return s.source.Close()
}
