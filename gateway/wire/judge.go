// Package wire is the strict reader of HTTP/1.1 requests (RFC 9112): bytes in, verdict out. It does no I/O and keeps
// nothing of what it reads; the same bytes get the same verdict in whatever pieces they come.
package wire

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
	hasBody bool // of the current request; it stays after its end
	heads   uint64
}

// NewJudge returns a Judge of a connection that begins. The limits must stay as they are.
func NewJudge(limits *Limits) Judge { return Judge{limits: limits} }

// Pass looks at b, all bytes that were not passed yet. pass is how many of them may pass: whole heads, good body bytes,
// never a byte beyond the end of the current message. b[pass:] must stand at the front of the next call. With a reason
// the request is refused, and nothing after b[:pass] may pass any more. A later minor version is made HTTP/1.1 in b.
func (j *Judge) Pass(b []byte) (pass int, reason Reason) {
	for {
		n, ended, reason := j.part(b[pass:])
		pass += n
		if reason != "" || !ended || j.phase == inHead || pass == len(b) && j.phase == inBody {
			return pass, reason
		}
	}
}

// part judges the part that b begins with. ended means that the part is complete and j.phase is the next one.
func (j *Judge) part(b []byte) (n int, ended bool, reason Reason) {
	switch {
	case j.phase == inBody && j.head().chunked:
		n, ended, reason = j.chunked.pass(b)
		if ended {
			j.phase, j.section = inTrailers, section{trailers: true, head: j.section.head}
		}
	case j.phase == inBody:
		n = int(min(j.left, int64(len(b))))
		j.left -= int64(n)
		if ended = j.left == 0; ended {
			j.phase = inHead
			j.section = section{}
		}
	default:
		n, reason = j.section.judge(b, j.limits)
		if ended = n > 0 && reason == ""; ended {
			j.endSection()
		} else {
			n = 0
		}
	}
	return n, ended, reason
}

// endSection moves on from a complete head or trailer section.
func (j *Judge) endSection() {
	if j.phase == inTrailers {
		j.phase, j.section = inHead, section{}
		return
	}
	j.heads++
	j.hasBody = j.head().chunked || j.head().length > 0
	if !j.hasBody {
		j.section = section{}
		return
	}
	j.phase, j.left, j.chunked = inBody, j.head().length, chunked{}
}

// Heads returns how many heads were passed.
func (j *Judge) Heads() uint64 { return j.heads }

// InHead reports whether the next byte belongs to a head.
func (j *Judge) InHead() bool { return j.phase == inHead }

// InBody reports whether the next byte belongs to a body; its trailer section is none of it.
func (j *Judge) InBody() bool { return j.phase == inBody }

// HasBody reports whether the current request, which may have ended, is framed with a body of one byte or more, or
// chunked.
func (j *Judge) HasBody() bool { return j.hasBody }

// AwaitsBody reports whether the head of a request has come and nothing of its body, which has a length.
func (j *Judge) AwaitsBody() bool {
	return j.phase == inBody && !j.head().chunked && j.left == j.head().length
}

func (j *Judge) head() *head { return &j.section.head }

// Started reports whether the client has begun the request of which b is all that came so far.
func (j *Judge) Started(b []byte) bool { return j.phase != inHead || j.section.started(b) }
