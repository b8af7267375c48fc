package message

import (
	"errors"
	"io"
)

// Request is a request with its body still to come.
type Request struct {
	Method  string // as it was written
	Target  []byte // the request target (RFC 9112 §3.2), as it was written
	Host    []byte // empty: none, as HTTP/1.0 allows
	Version string // of HTTP that it came in: 1.0, 1.1, 2.0 or 3.0
	Fields  Fields
	Body    io.Reader // nil: there is none, or it is Content
	Length  int64     // bytes of Body; -1: not known, so it comes in chunks
	Sized   bool      // it has a Content-Length, be it 0
	Secure  bool      // it came over TLS
	Head    []byte    // as it was received; nil: it was made here
	Content []byte    // the body, when all of it is in memory; Body is nil then
}

// Reset makes r empty and keeps its memory.
func (r *Request) Reset() {
	r.Fields.Reset()
	*r = Request{Fields: r.Fields}
}

// Response is an answer. Its body is one of three: Body, which is whole; Stream, which is still arriving; or none, when
// it is Bodiless.
type Response struct {
	Status   int
	Reason   []byte // empty: the status's own, unless it is Relayed
	Relayed  bool   // the reason is a service's, be it empty
	Fields   Fields // none of them frames the body or is about the connection, but for Sized and the two of an Upgrade
	Sized    bool   // there is a Content-Length among them, which says Length
	Body     []byte
	Stream   Stream // nil: the body is there
	Bodiless bool   // it ends with its head (RFC 9112 §6.3)
	Length   int64  // bytes of Stream, or what a Bodiless answer announces; -1: not known
	Upgrade  string // the protocol that a 101 switches to
	Close    bool   // no further request is answered on the connection
}

// Stream is a body that is still arriving. Whoever has it must read it to its end or close it.
type Stream interface {
	// Next returns the next part, of one byte or more, which is valid until the next call. io.EOF means that the body
	// was whole; after any other error it is not.
	Next() ([]byte, error)
	// Ready reports whether Next returns without waiting.
	Ready() bool
	// Close gives up the rest.
	Close() error
}

// ErrTooLong is a body that is longer than whoever reads it allows.
var ErrTooLong = errors.New("the body is too long")

// Whole returns the body, which is at most limit bytes long, also one that is still arriving. Longer ones are ErrTooLong.
func (r *Response) Whole(limit int) ([]byte, error) {
	body := r.Body
	for r.Stream != nil && len(body) <= limit {
		part, err := r.Stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		body = append(body, part...)
	}
	if len(body) > limit {
		return nil, ErrTooLong
	}
	return body, nil
}

// Reset makes r an empty 200 and keeps its memory. A Stream is closed.
func (r *Response) Reset() {
	if r.Stream != nil {
		_ = r.Stream.Close() // nobody reads the rest
	}
	r.Fields.Reset()
	*r = Response{Status: 200, Reason: r.Reason[:0], Fields: r.Fields, Body: r.Body[:0], Length: -1}
}
