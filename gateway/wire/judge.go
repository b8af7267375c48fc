// Package wire is the strict parser of HTTP/1.1 requests (RFC 9112): bytes in, a request or a verdict out. It does no
// I/O and copies nothing; the same bytes get the same verdict in whatever pieces they come.
package wire

import "wxgate/message"

// phase is the part of a message that the next byte belongs to.
type phase uint8

const (
	inHead phase = iota
	inBody
	inTrailers
)

// Limits bound the sections of a request.
type Limits struct {
	MaxHeadBytes int // of a request line with its fields, and of a trailer section
	MaxFields    int // field lines in a head or a trailer section
}

// Judge judges one request after the other: head, body, trailers, next head. One goroutine at a time uses it.
type Judge struct {
	limits  *Limits
	phase   phase
	section section // of the head or the trailers
	left    int64   // of a body with Content-Length
	chunked chunked
}

// NewJudge returns a Judge of a connection that begins. The limits must stay as they are.
func NewJudge(limits *Limits) Judge { return Judge{limits: limits} }

// Lend gives the judge memory for the places of field lines. It keeps it until a head is complete.
func (j *Judge) Lend(lines []message.Line) { j.section.lines = lines[:0] }

// Head judges b, all bytes of a head so far, and returns its length once it is complete, 0 while more is needed. With a
// reason the request is refused, and nothing more may be read. A later minor version is made HTTP/1.1 in b.
func (j *Judge) Head(b []byte) (n int, reason Reason) {
	n, reason = j.section.judge(b, j.limits)
	if n == 0 || reason != "" {
		return 0, reason
	}
	if j.left = j.head().length; j.hasBody() {
		j.phase = inBody
	}
	return n, ""
}

// Request returns what the head says that Head has just found complete in b. req has views of b.
func (j *Judge) Request(b []byte, req *message.Request) Connection {
	h := j.head()
	req.Method, req.Target, req.Host, req.Version = methodName(h.method.Of(b)), h.target.Of(b), h.host.Of(b), "1.1"
	if h.old {
		req.Version = "1.0"
	}
	req.Fields.View(b, j.section.lines)
	req.Body, req.Length, req.Content, req.Sized = nil, h.length, nil, h.hasLength
	if h.chunked {
		req.Length = -1
	}
	c := Connection{Persistent: !h.close && (!h.old || h.keepAlive), ExpectsContinue: h.expectsContinue && !h.old && j.hasBody()}
	j.section = section{head: head{chunked: h.chunked}}
	return c
}

// Connection is what a head says of its connection and not of its request.
type Connection struct {
	Persistent      bool // another request may follow (RFC 9112 §9.3)
	ExpectsContinue bool // the client waits for 100 before it sends the body (RFC 9110 §10.1.1)
}

// methodName is the name of a method; the usual ones are not allocated.
func methodName(b []byte) string {
	for _, known := range [...]string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"} {
		if string(b) == known {
			return known
		}
	}
	return string(b)
}

// Body judges b, bytes behind a head, up to the end of a piece of content. It consumes n bytes, of which data is
// content; both may be 0 while more is needed. With a reason, b[:n] was good and nothing more may be read. InHead
// reports whether the message ended there.
func (j *Judge) Body(b []byte) (data []byte, n int, reason Reason) {
	if j.phase == inBody && !j.head().chunked {
		n = int(min(j.left, int64(len(b))))
		if j.left -= int64(n); j.left == 0 {
			j.phase = inHead
		}
		return b[:n], n, ""
	}
	if j.phase == inBody {
		var last bool
		if data, n, last, reason = j.chunked.next(b); !last {
			return data, n, reason
		}
		j.phase, j.section, j.chunked = inTrailers, section{trailers: true}, chunked{}
	}
	end, reason := j.section.judge(b[n:], j.limits)
	if end > 0 && reason == "" {
		j.phase, j.section = inHead, section{}
		n += end
	}
	return nil, n, reason
}

// Left returns how many bytes of a body with Content-Length were not consumed yet; 0 for a chunked one.
func (j *Judge) Left() int64 {
	if j.phase == inBody && !j.head().chunked {
		return j.left
	}
	return 0
}

// InHead reports whether the next byte belongs to a head.
func (j *Judge) InHead() bool { return j.phase == inHead }

// InTrailers reports whether the next byte belongs to a trailer section, which Body needs as a whole.
func (j *Judge) InTrailers() bool { return j.phase == inTrailers }

// hasBody reports whether the head that was just completed is framed with a body of one byte or more, or chunked.
func (j *Judge) hasBody() bool { return j.head().chunked || j.head().length > 0 }

func (j *Judge) head() *head { return &j.section.head }

// Started reports whether the client has begun the request of which b is all that came so far.
func (j *Judge) Started(b []byte) bool { return j.phase != inHead || j.section.started(b) }
