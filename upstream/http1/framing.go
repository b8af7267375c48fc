package http1

import (
	"bytes"
	"errors"
	"io"
	"math"
)

// framing finds the bytes of a body in what comes on a connection (RFC 9112 §6.3).
type framing struct {
	kind      framingKind
	remaining int64 // of the body when it is sized, of the present chunk when it is chunked
	taken     int64 // bytes of the body
	started   bool  // a chunk came before: its line end is still to be read
	ended     bool  // the last chunk and the trailer section were read
}

type framingKind uint8

const (
	sized      framingKind = iota // it has a Content-Length
	chunked                       // it is in chunks (RFC 9112 §7.1); a connection that ends between two is not its end
	untilClose                    // it ends with its connection; a lost connection is not its end
)

// next takes the next bytes of the body, at least one, which are valid until the next call; io.EOF means that the body
// was whole.
func (f *framing) next(r *reader) ([]byte, error) {
	most := f.remaining
	switch {
	case f.kind == untilClose:
		most = math.MaxInt64
	case f.kind == chunked && f.remaining == 0 && !f.ended:
		if err := f.nextChunk(r); err != nil {
			return nil, err
		}
		most = f.remaining
	}
	if most == 0 {
		return nil, io.EOF
	}
	part, err := r.some(most, f.long())
	if err != nil {
		return nil, f.failed(err)
	}
	f.taken += int64(len(part))
	f.remaining -= int64(len(part))
	return part, nil
}

// long reports whether there may be more to come than a small buffer holds.
func (f *framing) long() bool {
	return f.taken > smallAnswer || f.kind != untilClose && f.remaining > smallBuffer
}

func (f *framing) failed(err error) error {
	switch {
	case f.kind == untilClose && errors.Is(err, io.EOF):
		return io.EOF
	case f.kind == chunked:
		return ioError("reading a chunk", err)
	}
	return ioError("reading the body", err)
}

// ready reports whether next returns without waiting. In chunks, all must have come that stands before the next byte of
// data, or behind the last one.
func (f *framing) ready(r *reader) bool {
	come := r.buffered()
	switch {
	case f.ended, f.kind == sized && f.remaining == 0:
		return true
	case f.kind != chunked, f.remaining > 0:
		return len(come) > 0
	}
	if f.started {
		if len(come) >= 2 && !bytes.HasPrefix(come, []byte("\r\n")) {
			return true // next refuses it
		}
		come = come[min(2, len(come)):]
	}
	line, data, whole := bytes.Cut(come, []byte("\n"))
	if size, err := chunkSize(bytes.TrimSuffix(line, []byte("\r"))); err == nil && size == 0 {
		return bytes.HasPrefix(data, []byte("\r\n")) || bytes.Contains(data, []byte("\r\n\r\n"))
	}
	return whole && len(data) > 0
}

// nextChunk reads up to the data of the next chunk, or up to the end of the trailer section.
func (f *framing) nextChunk(r *reader) error {
	if f.started {
		if line, err := r.line(maxLine, "reading the end of a chunk"); err != nil || len(line) > 0 {
			return orInvalid(err, "a chunk is longer than its size")
		}
	}
	line, err := r.line(maxLine, "reading the size of a chunk")
	if err != nil {
		return err
	}
	if f.remaining, err = chunkSize(line); err != nil {
		return err
	}
	f.started = true
	if f.remaining == 0 {
		f.ended = true
		return skipTrailers(r)
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
func skipTrailers(r *reader) error {
	for n, size := 0, 0; ; n++ {
		line, err := r.line(maxLine, "reading the trailers")
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
