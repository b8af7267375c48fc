package http1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"wxgate/message"
)

// smallBody is the size in bytes up to which a body of known length goes out in one write with its head.
const smallBody = 16 << 10

// Request is a request during its exchange: what is wanted, how it went, and what is to be written, which is prefix and
// then the rest of the body. Reset may follow Release, so that the buffers are used again.
type Request struct {
	req      *message.Request
	Resp     *message.Response
	Deadline time.Time
	User     uint64 // whose it is; 0: nobody's
	Upgrade  bool   // it asks for another protocol

	TryTimeout time.Duration // how long an exchange waits before its policy is asked whether to end; 0: to the end
	Sent       int           // how often
	renewed    bool          // it met a dead connection before, and got a new one
	taken      time.Time     // when it got its kept connection
	Tunnel     *Tunnel       // when the service switched to another protocol

	prefix     []byte    // the head, and a small body
	headLength int       // bytes of prefix that are the head
	host       string    // the Host that is ours, "" for the one that was asked for
	rest       []byte    // of a body that is all in memory
	body       io.Reader // of one that is not; nil: prefix and rest are all
	remaining  int64     // bytes of either, -1: unknown, so chunked
	Replayable bool      // the body is all in memory, so the request can be sent again

	content bool // there is a body, of whatever length
	share   bool // other requests may follow content on its connection
	last    bool // none may follow: it says Connection: close

	bodyDeadline time.Time     // when the body must be there; zero: no bound
	Waited       time.Duration // for the sender of the body
	Queued       time.Duration // for a slot of ours, or a turn to dial
}

// Reset makes r the request req, which is answered into resp. Its body must arrive before the deadline, unless that is
// zero.
func (r *Request) Reset(req *message.Request, resp *message.Response, deadline time.Time, user uint64) {
	r.req, r.Resp, r.Deadline, r.User = req, resp, deadline, user
	r.bodyDeadline = deadline
}

// Release drops everything but the buffers.
func (r *Request) Release() {
	*r = Request{prefix: r.prefix[:0]}
}

// Prepare makes the head, and reads a small body, for a target called name. host is the Host that it gets; "" stands
// for the client's own, or name if that sent none (HTTP/1.0). share leaves the connection to other requests. The error
// is ErrRequestBody: the body could not be read, and nothing was sent.
func (r *Request) Prepare(host, name string, share bool) error {
	r.host, r.share, r.Waited = r.hostFor(host, name), share, 0
	inMemory := r.req.Body == nil
	if r.body, r.rest, r.remaining = r.req.Body, nil, max(-1, r.req.Length); inMemory {
		r.rest, r.remaining, r.bodyDeadline = r.req.Content, int64(len(r.req.Content)), time.Time{}
	}
	r.content = r.remaining != 0
	r.Replayable = r.remaining >= 0 && r.remaining <= smallBody || inMemory
	r.appendHead()
	if r.remaining < 0 || r.remaining > smallBody {
		return nil
	}
	return r.inline()
}

func (r *Request) hostFor(host, name string) string {
	if host == "" && len(r.req.Host) == 0 {
		return name
	}
	return host
}

// Idempotent reports whether the method is idempotent (RFC 9110 §9.2.2).
func (r *Request) Idempotent() bool {
	switch r.req.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// Rewind is Prepare for another target, or with other fields, after an attempt. The body must be all in memory, or not read yet.
func (r *Request) Rewind(host, name string) {
	host = r.hostFor(host, name)
	if r.req.Body == nil && len(r.req.Content) > smallBody {
		r.rest, r.remaining = r.req.Content, int64(len(r.req.Content))
	}
	r.host = host
	r.rewrite()
}

// rewrite makes the head anew, in front of the same body.
func (r *Request) rewrite() {
	body := append([]byte(nil), r.prefix[r.headLength:]...)
	r.appendHead()
	r.prefix = append(r.prefix, body...)
}

// appendHead writes the head, with framing of our own: RFC 9112 §6 leaves no room for a second opinion.
func (r *Request) appendHead() {
	q := r.req
	dropWritten(&q.Fields)
	b := append(append(r.prefix[:0], q.Method...), ' ')
	b = append(append(b, q.Target...), " HTTP/1.1\r\nHost: "...)
	if r.host != "" {
		b = append(b, r.host...)
	} else {
		b = append(b, q.Host...)
	}
	b = q.Fields.AppendTo(append(b, "\r\n"...))
	if r.last = r.content && (!r.share || !r.expectsBody()); r.last {
		b = append(b, "Connection: close\r\n"...)
	}
	switch {
	case r.remaining < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.remaining > 0 || q.Sized || r.expectsBody():
		b = appendLength(b, r.remaining)
	}
	r.prefix = append(b, "\r\n"...)
	r.headLength = len(r.prefix)
}

// dropWritten removes the fields that appendHead writes itself, which are rarely there.
func dropWritten(f *message.Fields) {
	for i := range f.Len() {
		if name, _ := f.Line(i); isWrittenHere(name) {
			f.DeleteFunc(isWrittenHere)
			return
		}
	}
}

// isWrittenHere reports whether appendHead writes the field itself.
func isWrittenHere(name []byte) bool {
	switch len(name) {
	case len("Host"):
		return message.EqualFold(name, "Host")
	case len("Content-Length"):
		return message.EqualFold(name, "Content-Length")
	case len("Transfer-Encoding"):
		return message.EqualFold(name, "Transfer-Encoding")
	}
	return false
}

// expectsBody reports whether a request without a body has to say so (RFC 9110 §8.6).
func (r *Request) expectsBody() bool {
	switch r.req.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return true
	}
	return false
}

// inline moves a small body behind the head.
func (r *Request) inline() error {
	body := r.body
	r.prefix, r.rest, r.body = append(r.prefix, r.rest...), nil, nil
	if body == nil {
		return nil
	}
	n := len(r.prefix)
	r.prefix = slices.Grow(r.prefix, int(r.remaining))[:n+int(r.remaining)]
	for read := r.prefix[n:]; len(read) > 0; {
		m, err := r.read(body, read)
		if read = read[m:]; err != nil && len(read) > 0 {
			return bodyError(unexpected(err))
		}
	}
	return nil
}

// whole reports whether the request is one write.
func (r *Request) whole() bool { return r.body == nil && len(r.rest) == 0 }

// read reads from a body. What it waits for is the sender's time: the error is ErrSlowBody when a part came after the
// body must be there.
func (r *Request) read(body io.Reader, p []byte) (int, error) {
	asked := time.Now()
	n, err := body.Read(p)
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

// nextPart reads a part of the body into block, if it is not in memory, and frames it; io.EOF means that there is no
// more, and that what came with it is the last.
func (r *Request) nextPart(block []byte) ([]byte, error) {
	switch {
	case r.body == nil:
		return r.nextRest()
	case r.remaining < 0:
		return r.nextChunk(block)
	}
	n, err := r.read(r.body, block[:min(int64(len(block)), r.remaining)])
	r.remaining -= int64(n)
	switch {
	case errors.Is(err, ErrSlowBody):
		return nil, err
	case r.remaining == 0:
		return block[:n], io.EOF
	case err != nil:
		return nil, bodyError(unexpected(err))
	}
	return block[:n], nil
}

// nextRest takes a part of a body that is in memory.
func (r *Request) nextRest() (part []byte, err error) {
	part, r.rest = r.rest[:min(len(r.rest), largeBuffer)], r.rest[min(len(r.rest), largeBuffer):]
	if r.remaining -= int64(len(part)); r.remaining == 0 {
		err = io.EOF
	}
	return part, err
}

// nextChunk leaves room before the data for the size of the chunk, in four digits or more, and after it for the line
// ends and the last chunk (RFC 9112 §7.1).
func (r *Request) nextChunk(block []byte) ([]byte, error) {
	const before, after = len("1ffff\r\n"), len("\r\n" + lastChunk)
	n, err := r.read(r.body, block[before:len(block)-after])
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, bodyError(err)
	}
	chunk := block[:0]
	if n > 0 {
		from := putSize(block[:before], n)
		chunk = append(block[from:before+n], "\r\n"...)
	}
	if err != nil {
		return append(chunk, lastChunk...), io.EOF
	}
	return chunk, nil
}

// lastChunk ends a chunked body that has no trailers.
const lastChunk = "0\r\n\r\n"

// putSize writes the size of a chunk and its line end to the end of b, and returns where it begins.
func putSize(b []byte, n int) (from int) {
	const digits = "0123456789abcdef"
	from = len(b) - copy(b[len(b)-len("\r\n"):], "\r\n")
	for least := 4; n > 0 || least > 0; least-- {
		from--
		b[from] = digits[n&15]
		n >>= 4
	}
	return from
}

// bodyError is the failure of the request's own body.
func bodyError(err error) error { return fmt.Errorf("%w: %w", ErrRequestBody, err) }

// appendLength appends a Content-Length line.
func appendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	return append(strconv.AppendInt(dst, n, 10), "\r\n"...)
}
