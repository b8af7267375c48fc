package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// smallBody is the size in bytes up to which a body of known length goes out in one write with its head.
const smallBody = 16 << 10

// outgoing is a request as it is written: begin, then what is left of the body. It is pooled for its buffers.
type outgoing struct {
	begin []byte    // the head, and a small body
	head  int       // bytes of begin that are the head
	host  string    // the Host that is ours, "" for the one that was asked for
	asked []byte    // that one
	body  io.Reader // nil: begin is all
	left  int64     // bytes of body, -1: unknown, so chunked
	block []byte    // room for a part of the body
	owned bytes.Reader
	whole bool // the body is all in memory, so the request can be sent again

	content bool // there is a body, of whatever length
	share   bool // other requests may follow content on its connection
	last    bool // none may follow: it says Connection: close

	until  time.Time     // when the body must be there; zero: no bound
	waited time.Duration // for the sender of the body
}

// load takes req for a target that gets host as Host, or what the request has when that is empty. An error is
// ErrRequestBody: a small body could not be read, and nothing has been sent.
func (o *outgoing) load(req *fasthttp.Request, host string) error {
	o.host, o.waited = host, 0
	o.body, o.left = o.bodyOf(req)
	o.content = o.left != 0
	if !req.IsBodyStream() { // it is there
		o.until = time.Time{}
	}
	o.whole = o.left >= 0 && o.left <= smallBody || !req.IsBodyStream()
	o.appendHead(req)
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
	if o.host != host {
		o.host = host
		if host == "" {
			req.Header.SetBytesV(fasthttp.HeaderHost, o.asked)
		}
		o.rewrite(req)
	}
}

// rewrite makes the head anew, in front of the same body.
func (o *outgoing) rewrite(req *fasthttp.Request) {
	body := append([]byte(nil), o.begin[o.head:]...)
	o.appendHead(req)
	o.begin = append(o.begin, body...)
}

// unload lets go of the request.
func (o *outgoing) unload() {
	o.body = nil
	o.owned.Reset(nil)
}

// appendHead writes the head as req has it, with framing of our own: RFC 9112 §6 leaves no room for a second opinion.
func (o *outgoing) appendHead(req *fasthttp.Request) {
	h := &req.Header
	h.SetNoDefaultContentType(true)
	h.SetProtocol("HTTP/1.1")
	if o.host != "" {
		h.Set(fasthttp.HeaderHost, o.host) // SetHost would not count in a header without special fields
	}
	h.Del(fasthttp.HeaderContentLength)
	h.Del(fasthttp.HeaderTransferEncoding)
	o.begin = append(o.begin[:0], h.Header()...)
	o.begin = o.begin[:len(o.begin)-len("\r\n")]
	if o.last = o.content && (!o.share || !expectsBody(h)); o.last {
		o.begin = append(o.begin, "Connection: close\r\n"...)
	}
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
	defer func() { o.body = nil }()
	for read := o.begin[n:]; len(read) > 0; {
		m, err := o.read(read)
		if read = read[m:]; err != nil && len(read) > 0 {
			return bodyError(unexpected(err))
		}
	}
	return nil
}

// read reads from the body. What it waits for is the sender's time: the error is ErrSlowBody when a part came after the
// body must be there.
func (o *outgoing) read(p []byte) (int, error) {
	asked := time.Now()
	n, err := o.body.Read(p)
	now := time.Now()
	o.waited += now.Sub(asked)
	if (err == nil || errors.Is(err, io.EOF)) && n > 0 && !o.until.IsZero() && now.After(o.until) {
		return 0, ErrSlowBody
	}
	return n, err
}

// unexpected is what the end of a body is when there should be more.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
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
	n, err := o.read(o.block[:min(int64(len(o.block)), o.left)])
	o.left -= int64(n)
	switch {
	case errors.Is(err, ErrSlowBody):
		return nil, err
	case o.left == 0:
		return o.block[:n], io.EOF
	case err != nil:
		return nil, bodyError(unexpected(err))
	}
	return o.block[:n], nil
}

// nextChunk leaves room before the data for the size of the chunk, in four digits, and after it for the line ends and
// the last chunk (RFC 9112 §7.1).
func (o *outgoing) nextChunk() ([]byte, error) {
	const before, after = len("7fff\r\n"), len("\r\n" + lastChunk)
	n, err := o.read(o.block[before : len(o.block)-after])
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
