package http1

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

// Request is a request during its exchange: what is wanted, how it went, and what is to be written, which is prefix and
// then the rest of the body. Reset may follow Release, so that the buffers are used again.
type Request struct {
	req      *fasthttp.Request
	Resp     *fasthttp.Response
	Deadline time.Time
	User     uint64 // whose it is; 0: nobody's
	Upgrade  bool   // it asks for another protocol

	TryTimeout time.Duration // how long an exchange waits before its policy is asked whether to end; 0: to the end
	Sent       int           // how often
	renewed    bool          // it met a dead connection before, and got a new one
	Tunnel     *Tunnel       // when the service switched to another protocol
	Body       *Body         // of an answer that is passed on as it arrives

	prefix     []byte    // the head, and a small body
	headLength int       // bytes of prefix that are the head
	host       string    // the Host that is ours, "" for the one that was asked for
	clientHost []byte    // that one
	body       io.Reader // nil: prefix is all
	remaining  int64     // bytes of body, -1: unknown, so chunked
	block      []byte    // room for a part of the body
	owned      bytes.Reader
	Replayable bool // the body is all in memory, so the request can be sent again

	content bool // there is a body, of whatever length
	share   bool // other requests may follow content on its connection
	last    bool // none may follow: it says Connection: close

	bodyDeadline time.Time     // when the body must be there; zero: no bound
	Waited       time.Duration // for the sender of the body
}

// Reset makes r the request req, which is answered into resp. Its body must arrive before the deadline, unless that is
// zero.
func (r *Request) Reset(req *fasthttp.Request, resp *fasthttp.Response, deadline time.Time, user uint64) {
	r.req, r.Resp, r.Deadline, r.User = req, resp, deadline, user
	r.bodyDeadline, r.clientHost = deadline, append(r.clientHost[:0], req.Header.Host()...)
}

// Release drops everything but the buffers.
func (r *Request) Release() {
	*r = Request{prefix: r.prefix[:0], clientHost: r.clientHost[:0], block: r.block}
}

// Prepare makes the head, and reads a small body, for a target called name. host is the Host that it gets; "" stands
// for the client's own, or name if that sent none (HTTP/1.0). share leaves the connection to other requests. The error
// is ErrRequestBody: the body could not be read, and nothing was sent.
func (r *Request) Prepare(host, name string, share bool) error {
	r.host, r.share, r.Waited = r.hostFor(host, name), share, 0
	r.body, r.remaining = r.bodyOf()
	r.content = r.remaining != 0
	if !r.req.IsBodyStream() { // it is there
		r.bodyDeadline = time.Time{}
	}
	r.Replayable = r.remaining >= 0 && r.remaining <= smallBody || !r.req.IsBodyStream()
	r.appendHead()
	if r.remaining < 0 || r.remaining > smallBody {
		return nil
	}
	return r.inline()
}

func (r *Request) hostFor(host, name string) string {
	if host == "" && len(r.clientHost) == 0 {
		return name
	}
	return host
}

// Idempotent reports whether the method is idempotent (RFC 9110 §9.2.2).
func (r *Request) Idempotent() bool {
	h := &r.req.Header
	return h.IsGet() || h.IsHead() || h.IsPut() || h.IsDelete() || h.IsOptions() || h.IsTrace()
}

// bodyOf gives the body as a stream and its size.
func (r *Request) bodyOf() (io.Reader, int64) {
	if r.req.IsBodyStream() {
		return r.req.BodyStream(), max(-1, int64(r.req.Header.ContentLength()))
	}
	body := r.req.Body()
	r.owned.Reset(body)
	return &r.owned, int64(len(body))
}

// Rewind is Prepare for another target, after an attempt. The body must be all in memory, or not read yet.
func (r *Request) Rewind(host, name string) {
	host = r.hostFor(host, name)
	if !r.req.IsBodyStream() && int64(len(r.req.Body())) > smallBody {
		r.body, r.remaining = r.bodyOf()
	}
	if r.host != host {
		r.host = host
		if host == "" {
			r.req.Header.SetBytesV(fasthttp.HeaderHost, r.clientHost)
		}
		r.rewrite()
	}
}

// rewrite makes the head anew, in front of the same body.
func (r *Request) rewrite() {
	body := append([]byte(nil), r.prefix[r.headLength:]...)
	r.appendHead()
	r.prefix = append(r.prefix, body...)
}

// appendHead writes the head as r.req has it, with framing of our own: RFC 9112 §6 leaves no room for a second opinion.
func (r *Request) appendHead() {
	h := &r.req.Header
	h.SetNoDefaultContentType(true)
	h.SetProtocol("HTTP/1.1")
	if r.host != "" {
		h.Set(fasthttp.HeaderHost, r.host) // SetHost would not count in a header without special fields
	}
	h.Del(fasthttp.HeaderContentLength)
	h.Del(fasthttp.HeaderTransferEncoding)
	r.prefix = append(r.prefix[:0], h.Header()...)
	r.prefix = r.prefix[:len(r.prefix)-len("\r\n")]
	if r.last = r.content && (!r.share || !expectsBody(h)); r.last {
		r.prefix = append(r.prefix, "Connection: close\r\n"...)
	}
	switch {
	case r.remaining < 0:
		r.prefix = append(r.prefix, "Transfer-Encoding: chunked\r\n"...)
	case r.remaining > 0 || expectsBody(h):
		r.prefix = appendLength(r.prefix, r.remaining)
	}
	r.prefix = append(r.prefix, "\r\n"...)
	r.headLength = len(r.prefix)
}

// expectsBody reports whether a request without a body has to say so (RFC 9110 §8.6).
func expectsBody(h *fasthttp.RequestHeader) bool { return h.IsPost() || h.IsPut() || h.IsPatch() }

// inline moves a small body behind the head.
func (r *Request) inline() error {
	n := len(r.prefix)
	r.prefix = append(r.prefix, make([]byte, r.remaining)...)
	defer func() { r.body = nil }()
	for read := r.prefix[n:]; len(read) > 0; {
		m, err := r.read(read)
		if read = read[m:]; err != nil && len(read) > 0 {
			return bodyError(unexpected(err))
		}
	}
	return nil
}

// read reads from the body. What it waits for is the sender's time: the error is ErrSlowBody when a part came after the
// body must be there.
func (r *Request) read(p []byte) (int, error) {
	asked := time.Now()
	n, err := r.body.Read(p)
	now := time.Now()
	r.Waited += now.Sub(asked)
	if (err == nil || errors.Is(err, io.EOF)) && n > 0 && !r.bodyDeadline.IsZero() && now.After(r.bodyDeadline) {
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

// nextPart reads a part of the body and frames it; io.EOF means that there is no more, and that what came with it is
// the last.
func (r *Request) nextPart() ([]byte, error) {
	if r.block == nil {
		r.block = make([]byte, 32<<10)
	}
	if r.remaining < 0 {
		return r.nextChunk()
	}
	n, err := r.read(r.block[:min(int64(len(r.block)), r.remaining)])
	r.remaining -= int64(n)
	switch {
	case errors.Is(err, ErrSlowBody):
		return nil, err
	case r.remaining == 0:
		return r.block[:n], io.EOF
	case err != nil:
		return nil, bodyError(unexpected(err))
	}
	return r.block[:n], nil
}

// nextChunk leaves room before the data for the size of the chunk, in four digits, and after it for the line ends and
// the last chunk (RFC 9112 §7.1).
func (r *Request) nextChunk() ([]byte, error) {
	const before, after = len("7fff\r\n"), len("\r\n" + lastChunk)
	n, err := r.read(r.block[before : len(r.block)-after])
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, bodyError(err)
	}
	chunk := r.block[:0]
	if n > 0 {
		putSize(r.block, n)
		chunk = append(r.block[:before+n], "\r\n"...)
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
