package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"wxgate/gateway/answer"
	"wxgate/message"
	"wxgate/upstream/http1"
)

// limitedBody is the body of a request with an upper bound.
type limitedBody struct {
	stream     io.Reader // nil: the request has no body
	size       int64     // Content-Length in bytes, -1: chunked
	limit      int64     // in bytes
	read       int64     // bytes read so far
	complete   bool      // the whole body was read
	onComplete func()    // called once the whole body was read; may be nil

	clientWait time.Duration // how long reading ahead waited for the client
}

// Read returns answer.ErrBodyTooLarge as soon as the body exceeds its limit.
func (b *limitedBody) Read(p []byte) (int, error) {
	if b.stream == nil {
		return 0, io.EOF
	}
	n, err := b.stream.Read(p)
	b.read += int64(n)
	b.complete = errors.Is(err, io.EOF) || b.read == b.size
	if b.complete && b.onComplete != nil {
		b.onComplete()
		b.onComplete = nil
	}
	switch {
	case b.read > b.limit:
		return 0, answer.ErrBodyTooLarge
	case err != nil && !b.complete:
		return n, fmt.Errorf("%w: %w", errBodyIncomplete, err)
	}
	return n, err
}

// maxBufferedBody is the size in bytes up to which a body for a service is read before the request acquires a slot. It
// is what is sent in one write with the head.
const maxBufferedBody = 16 << 10

// bufferBody reads a body that is short, or that will be read whole here, before the request acquires a
// slot, so that slow senders keep no one out. A longer one is streamed.
func bufferBody(ex *Exchange) error {
	if b := &ex.body; b.stream == nil || !ex.conn.BodyRemaining() || ex.route.ours == "" && ex.route.precheck == nil && (b.size < 0 || b.size > maxBufferedBody) {
		return ex.next()
	}
	if err := ex.body.buffer(); err != nil {
		return err
	}
	if most := ex.route.timeout; most > 0 && ex.body.clientWait > most {
		return http1.ErrSlowBody
	}
	return ex.next()
}

// buffer reads the whole body into memory, to be read again from there.
func (b *limitedBody) buffer() error {
	began := time.Now()
	whole, err := io.ReadAll(b)
	b.clientWait = time.Since(began)
	if err != nil {
		return err
	}
	b.stream, b.read, b.complete = bytes.NewReader(whole), 0, false
	return nil
}

// errBodyIncomplete is a body that the client did not finish or framed wrongly.
var errBodyIncomplete = fmt.Errorf("%w: the body broke off", answer.ErrInvalidRequest)

// newLimitedBody is the body of a request. Nothing may be read of it until the route is known.
func newLimitedBody(req *message.Request) limitedBody {
	return limitedBody{stream: req.Body, size: req.Length}
}

// errContentOnGet is content where a service expects none: a service that does not read it parses it as the next
// request on the connection.
var errContentOnGet = fmt.Errorf("%w: content with GET or HEAD, which the route does not allow (get_body)", answer.ErrInvalidRequest)

// refuseContent refuses a forwarded GET or HEAD with content, unless the route allows it. Content-Length: 0 is none; a
// chunked body is one even when it is empty.
func refuseContent(ex *Exchange) error {
	route, bodiless := ex.route, ex.method == http.MethodGet || ex.method == http.MethodHead
	if route.endpoint == nil && !route.allowGetBody && bodiless && ex.body.size != 0 {
		return errContentOnGet
	}
	return ex.next()
}

// limitBody sets how much of the body may be read, and refuses a Content-Length above it.
func limitBody(ex *Exchange) error {
	ex.body.limit = ex.route.bodyLimit
	if ex.body.size > ex.body.limit {
		return answer.ErrBodyTooLarge
	}
	return ex.next()
}
