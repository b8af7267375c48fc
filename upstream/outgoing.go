package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/valyala/fasthttp"
)

// smallBody is the size in bytes up to which a body of known length goes out in one write with its head.
const smallBody = 16 << 10

// outgoing is a request as it is written: begin, then what is left of the body. It is pooled for its buffers.
type outgoing struct {
	begin []byte    // the head, and a small body
	head  int       // bytes of begin that are the head
	host  string    // the Host that is ours, "" when the request has its own
	body  io.Reader // nil: begin is all
	left  int64     // bytes of body, -1: unknown, so chunked
	block []byte    // room for a part of the body
	owned bytes.Reader
	whole bool // the body is all in memory, so the request can be sent again
}

// load takes req. An error is ErrRequestBody: a small body could not be read, and nothing has been sent.
func (o *outgoing) load(req *fasthttp.Request, host string) error {
	o.host = ""
	if len(req.Header.Host()) == 0 {
		o.host = host
	}
	o.body, o.left = o.bodyOf(req)
	o.whole = o.left >= 0 && o.left <= smallBody || !req.IsBodyStream()
	o.appendHead(req, host)
	if o.left < 0 || o.left > smallBody {
		return nil
	}
	return o.inline()
}

// bodyOf gives the body as a stream and its size.
func (o *outgoing) bodyOf(req *fasthttp.Request) (io.Reader, int64) {
	if req.IsBodyStream() {
		return req.BodyStream(), max(-1, int64(req.Header.ContentLength()))
	}
	body := req.Body()
	o.owned.Reset(body)
	return &o.owned, int64(len(body))
}

// again makes o as it was when it was loaded, for a target called host. The body must be whole, or untouched.
func (o *outgoing) again(req *fasthttp.Request, host string) {
	if !req.IsBodyStream() && int64(len(req.Body())) > smallBody {
		o.body, o.left = o.bodyOf(req)
	}
	if o.host == "" || o.host == host {
		return
	}
	o.host = host
	body := append([]byte(nil), o.begin[o.head:]...)
	req.Header.Set(fasthttp.HeaderHost, host)
	o.appendHead(req, host)
	o.begin = append(o.begin, body...)
}

// unload lets go of the request.
func (o *outgoing) unload() {
	o.body = nil
	o.owned.Reset(nil)
}

// appendHead writes the head as req has it, with framing of our own: RFC 9112 §6 leaves no room for a second opinion.
func (o *outgoing) appendHead(req *fasthttp.Request, host string) {
	h := &req.Header
	h.SetNoDefaultContentType(true)
	h.SetProtocol("HTTP/1.1")
	if len(h.Host()) == 0 {
		h.Set(fasthttp.HeaderHost, host) // SetHost would not count in a header without special fields
	}
	h.Del(fasthttp.HeaderContentLength)
	h.Del(fasthttp.HeaderTransferEncoding)
	o.begin = append(o.begin[:0], h.Header()...)
	o.begin = o.begin[:len(o.begin)-len("\r\n")]
	switch {
	case o.left < 0:
		o.begin = append(o.begin, "Transfer-Encoding: chunked\r\n"...)
	case o.left > 0 || expectsBody(h):
		o.begin = appendLength(o.begin, o.left)
	}
	o.begin = append(o.begin, "\r\n"...)
	o.head = len(o.begin)
}

// expectsBody says whether a request without a body has to say so (RFC 9110 §8.6).
func expectsBody(h *fasthttp.RequestHeader) bool { return h.IsPost() || h.IsPut() || h.IsPatch() }

// inline moves a small body behind the head.
func (o *outgoing) inline() error {
	n := len(o.begin)
	o.begin = append(o.begin, make([]byte, o.left)...)
	_, err := io.ReadFull(o.body, o.begin[n:])
	o.body = nil
	if err != nil {
		return bodyError(err)
	}
	return nil
}

// next reads a part of the body and frames it; io.EOF means that there is no more, and that what came with it is the
// last.
func (o *outgoing) next() ([]byte, error) {
	if o.block == nil {
		o.block = make([]byte, 32<<10)
	}
	if o.left < 0 {
		return o.nextChunk()
	}
	n, err := o.body.Read(o.block[:min(int64(len(o.block)), o.left)])
	o.left -= int64(n)
	switch {
	case o.left == 0:
		return o.block[:n], io.EOF
	case errors.Is(err, io.EOF):
		return nil, bodyError(io.ErrUnexpectedEOF)
	case err != nil:
		return nil, bodyError(err)
	}
	return o.block[:n], nil
}

// nextChunk leaves room before the data for the size of the chunk, in four digits, and after it for the line ends and
// the last chunk (RFC 9112 §7.1).
func (o *outgoing) nextChunk() ([]byte, error) {
	const before, after = len("7fff\r\n"), len("\r\n" + lastChunk)
	n, err := o.body.Read(o.block[before : len(o.block)-after])
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, bodyError(err)
	}
	chunk := o.block[:0]
	if n > 0 {
		putSize(o.block, n)
		chunk = append(o.block[:before+n], "\r\n"...)
	}
	if err != nil {
		return append(chunk, lastChunk...), io.EOF
	}
	return chunk, nil
}

// lastChunk ends a chunked body that has no trailers.
const lastChunk = "0\r\n\r\n"

// putSize writes the size of a chunk, below 1<<16, and its line end to the first six bytes of b.
func putSize(b []byte, n int) {
	const digits = "0123456789abcdef"
	for i := range 4 {
		b[i] = digits[n>>(12-4*i)&15]
	}
	copy(b[4:], "\r\n")
}

// bodyError is the failure of the request's own body.
func bodyError(err error) error { return fmt.Errorf("%w: %w", ErrRequestBody, err) }

// appendLength appends a Content-Length line.
func appendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	return append(strconv.AppendInt(dst, n, 10), "\r\n"...)
}
