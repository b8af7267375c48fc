package listen

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"wxgate/gateway/wire"
	"wxgate/message"
	"wxgate/socket"
)

const (
	bufferBytes = 4 << 10  // of a buffer; one for a longer head grows
	bufferLines = 32       // field lines that it has room for; more are allocated
	chunkedRead = 16 << 10 // at most, in one read of a chunked body: what follows it must be kept

	maxKeptBuffer = 4 * bufferBytes // the largest buffer that is used again
)

// buffer holds what a client sent: the head of the current request, and what came behind it. Only connections within a
// request, or in the middle of a head, have one.
type buffer struct {
	bytes []byte
	lines []message.Line
}

// reader judges what a client sends, and removes the framing of bodies.
type reader struct {
	client   net.Conn
	secure   bool // over TLS
	cfg      *Config
	buffers  *sync.Pool
	judge    wire.Judge
	buf      *buffer // nil: nothing was read
	from, to int     // what of buf was not judged yet
	head     int     // bytes of a complete head at the beginning of buf
	content  []byte  // of the current body, judged and not yet delivered
	received []byte  // the head of the current request
	first    [1]byte // of a head, where there is no plain socket
	clock    readClock
	err      error                // how the client's side ended
	fault    *wire.MalformedError // a broken rule: nothing more is read
}

// leaver decides whether a connection that waits for a request is to end instead.
type leaver interface{ leaves() bool }

func (r *reader) buffered() int { return r.to - r.from }

func (r *reader) unread() []byte {
	if r.buf == nil {
		return nil
	}
	return r.buf.bytes[r.from:r.to]
}

// rewind prepares for the next head: what was read of it moves to the beginning of the buffer, and an empty buffer goes
// back to the pool. Nothing may refer to the last request any more.
func (r *reader) rewind() {
	r.head, r.content = 0, nil
	if r.buffered() == 0 {
		r.forget()
		return
	}
	r.to = copy(r.buf.bytes, r.unread())
	r.from = 0
	r.judge.Lend(r.buf.lines)
}

// takeBuffer takes an empty buffer from the pool.
func (r *reader) takeBuffer() {
	r.buf, _ = r.buffers.Get().(*buffer)
	r.judge.Lend(r.buf.lines)
}

// lender lends the buffer of a reader, so that a connection that waits for a request has none.
type lender struct{ *reader }

func (l lender) Lend() []byte {
	l.takeBuffer()
	return l.buf.bytes
}

func (l lender) TakeBack() { l.forget() }

// forget gives the buffer back.
func (r *reader) forget() {
	if r.buf != nil && len(r.buf.bytes) <= maxKeptBuffer {
		r.buffers.Put(r.buf)
	}
	r.buf, r.from, r.to, r.received = nil, 0, 0, nil
	r.judge.Lend(nil)
}

// room makes room for another read.
func (r *reader) room() []byte {
	if r.buf == nil {
		r.takeBuffer()
	}
	if free := len(r.buf.bytes) - r.to; free < bufferBytes/4 {
		grown := slices.Grow(r.buf.bytes, bufferBytes) // views of the old one stay valid
		r.buf.bytes = grown[:cap(grown)]
	}
	return r.buf.bytes[r.to:]
}

// keep puts what was read elsewhere into the buffer.
func (r *reader) keep(b []byte) {
	for len(b) > 0 {
		n := copy(r.room(), b)
		r.to += n
		b = b[n:]
	}
}

// readByte reads the first byte of a head, and puts it where the others will follow.
func (r *reader) readByte() (int, error) {
	n, err := r.client.Read(r.first[:])
	if n > 0 {
		copy(r.room(), r.first[:])
	}
	return n, err
}

// judgeHead reports whether what was read begins with a complete head. One that breaks a rule sets fault.
func (r *reader) judgeHead() (complete bool) {
	n, reason := r.judge.Head(r.unread())
	if reason != "" {
		r.refuse(reason)
		return false
	}
	r.head = n
	return n > 0
}

// takeHead makes req the request whose head is complete. The part of its body that has come is judged at once.
func (r *reader) takeHead(req *message.Request) wire.Connection {
	r.received = r.unread()[:r.head]
	connection := r.judge.Request(r.received, req)
	r.from += r.head
	r.clock.nextBody()
	r.unframe()
	return connection
}

// refuse ends reading.
func (r *reader) refuse(reason wire.Reason) { r.fault = &wire.MalformedError{Reason: reason} }

// unframe judges what was read of the body, and joins the content in it.
func (r *reader) unframe() {
	for r.buffered() > 0 && r.BodyRemaining() && r.fault == nil {
		data, n, reason := r.judge.Body(r.unread())
		if reason != "" {
			r.refuse(reason)
		}
		if len(r.content) == 0 {
			r.content = data
		} else {
			r.content = append(r.content, data...) // moves it over framing, which is done with
		}
		if r.from += n; n == 0 {
			return
		}
	}
}

// BodyRemaining reports whether a part of the current request has not arrived yet, or cannot: a rule is broken.
func (r *reader) BodyRemaining() bool { return !r.judge.InHead() }

// readBody reads content. io.EOF comes with the last of it, or alone.
func (r *reader) readBody(p []byte) (n int, err error) {
	for len(p) > 0 {
		switch {
		case len(r.content) > 0:
			n = copy(p, r.content)
			r.content = r.content[n:]
			return n, r.endOfBody()
		case !r.BodyRemaining():
			return 0, io.EOF
		case r.fault != nil:
			return 0, r.fault
		case r.err != nil:
			return 0, r.endWithinBody()
		case r.buffered() > 0 || r.judge.InTrailers():
			r.to += r.fill(r.room(), nil)
			r.unframe()
		default:
			if n = r.readInto(p); n > 0 {
				return n, r.endOfBody()
			}
		}
	}
	return 0, nil
}

// endOfBody is io.EOF when the body has ended and was delivered.
func (r *reader) endOfBody() error {
	if len(r.content) == 0 && !r.BodyRemaining() {
		return io.EOF
	}
	return nil
}

// readInto reads content into p, and joins it there. What follows in the same read is kept.
func (r *reader) readInto(p []byte) (n int) {
	if left := r.judge.Left(); left > 0 {
		p = p[:min(int64(len(p)), left)]
	} else {
		p = p[:min(len(p), chunkedRead)]
	}
	got := p[:r.fill(p, nil)]
	for len(got) > 0 && r.BodyRemaining() {
		data, used, reason := r.judge.Body(got)
		n += copy(p[n:], data)
		if reason != "" {
			r.refuse(reason)
			return n
		}
		if got = got[used:]; used == 0 {
			break
		}
	}
	r.keep(got)
	return n
}

// fill reads once, within the time for what is being waited for: into p, or, if p is nil, into a buffer of its own. It
// returns 0 when the client's side has ended, and err says how; or when l wants to leave.
func (r *reader) fill(p []byte, l leaver) (n int) {
	for {
		asked := r.setDeadline()
		if l != nil && l.leaves() { // after the deadline is set: wake asks us to leave before it moves the deadline
			return 0
		}
		if n, r.err = r.read(p); r.BodyRemaining() {
			r.clock.waited += time.Since(asked)
			r.clock.body += int64(n)
		}
		switch {
		case n > 0:
			r.err = nil // an end comes again
			return n
		case r.err != nil && !r.woken(time.Now()):
			return 0
		}
	}
}

// read reads into p or, without one, the begin of a head.
func (r *reader) read(p []byte) (int, error) {
	if p != nil {
		return r.client.Read(p)
	}
	if plain, ok := r.client.(*socket.Conn); ok {
		return plain.ReadInto(lender{r})
	}
	return r.readByte()
}

// endWithinBody says what the end of the client's side means within a body: one that was too slow is refused, and half a
// body is never a clean end.
func (r *reader) endWithinBody() error {
	switch {
	case errors.Is(r.err, os.ErrDeadlineExceeded):
		r.refuse(wire.ReasonSlowBody)
		return r.fault
	case errors.Is(r.err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return r.err
}

// takeUnread gives what was read and not judged.
func (r *reader) takeUnread(p []byte) int {
	n := copy(p, r.unread())
	if r.from += n; r.buffered() == 0 {
		r.forget()
	}
	return n
}
