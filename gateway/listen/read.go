package listen

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync/atomic"

	"wxgate/gateway/wire"
)

// Read returns judged bytes, never beyond the end of the current message. After a refused request it always returns a
// *MalformedError.
func (c *Conn) Read(p []byte) (int, error) {
	if c.passthrough.Load() {
		return c.readRaw(p)
	}
	for len(p) > 0 {
		switch {
		case c.ok > 0:
			return c.deal(p), nil
		case c.fault.Load() != nil:
			return c.last(p, c.fault.Load())
		case c.unseen:
			c.ok, c.unseen = c.look(c.rest), false
		case c.err != nil:
			if err := c.ended(); err != nil {
				return c.last(p, err)
			}
		case len(c.rest) > 0:
			c.receiveMore()
		default:
			if n := c.receive(p); n > 0 {
				return n, nil
			}
		}
	}
	return 0, nil
}

// receive reads from the client into p. What may pass stays there and is the result; the rest is kept for later.
func (c *Conn) receive(p []byte) (pass int) {
	n := c.fill(p)
	pass = c.look(p[:n])
	c.keep(p[pass:n])
	c.unseen = c.nextBegins(pass)
	return pass
}

// receiveMore appends to the rest, which is an incomplete head or trailer section.
func (c *Conn) receiveMore() {
	c.rest = slices.Grow(c.rest, bufferBytes/4)
	n := c.fill(c.rest[len(c.rest):cap(c.rest)])
	c.rest = c.rest[:len(c.rest)+n]
	c.unseen = n > 0
}

// deal passes on as many judged bytes as fit.
func (c *Conn) deal(p []byte) int {
	n := copy(p, c.rest[:c.ok])
	c.ok -= n
	c.rest = c.rest[n:]
	c.unseen = c.ok == 0 && c.nextBegins(n)
	if len(c.rest) == 0 {
		c.forget()
	}
	return n
}

// nextBegins reports whether the rest, after pass bytes, starts a message that was not judged yet.
func (c *Conn) nextBegins(pass int) bool {
	return pass > 0 && len(c.rest) > 0 && c.judge.InHead() && c.fault.Load() == nil
}

// look has the judge look at b, and publishes what other goroutines may read.
func (c *Conn) look(b []byte) (pass int) {
	pass, reason := c.judge.Pass(b)
	if reason != "" {
		c.fault.Store(refuse(reason))
	}
	if heads := c.judge.Heads(); heads != c.requests.Load() {
		c.requests.Store(heads)
		c.hasBody.Store(c.judge.HasBody())
		c.reads.nextBody()
	}
	publish(&c.inMessage, !c.judge.InHead())
	publish(&c.awaitsBody, c.judge.AwaitsBody())
	return pass
}

// publish stores what has changed only: a load is cheaper than a store.
func publish(flag *atomic.Bool, now bool) {
	if flag.Load() != now {
		flag.Store(now)
	}
}

// last returns err, and before that the placeholder if the server expects a section, not its silent absence.
func (c *Conn) last(p []byte, err error) (int, error) {
	silent := c.judge.InHead() && c.fault.Load() == nil
	if c.judge.InBody() || silent || c.asked {
		return 0, err
	}
	c.asked = true
	p[0] = placeholder
	return 1, nil
}

// ended says what the end of the client's side means: a silent connection just ends, half a request that was too slow
// is refused (then the error is nil and the fault is set), and half a body is never a clean end.
func (c *Conn) ended() error {
	timeout, inHead := errors.Is(c.err, os.ErrDeadlineExceeded), c.judge.InHead()
	var malformed *wire.MalformedError
	switch {
	case c.left:
		return errLeft
	case errors.As(c.err, &malformed): // before the first request
		c.fault.Store(malformed)
		return nil
	case timeout && !inHead:
		c.fault.Store(refuse(wire.ReasonSlowBody))
		return nil
	case timeout && c.judge.Started(c.rest):
		c.fault.Store(refuse(wire.ReasonSlowHead))
		return nil
	case timeout:
		return io.EOF
	case errors.Is(c.err, io.EOF) && !inHead:
		return io.ErrUnexpectedEOF
	}
	return c.err
}

func (c *Conn) keep(b []byte) {
	if len(b) == 0 {
		return
	}
	if c.buf == nil {
		c.buf = c.buffers.Get().(*[]byte)
		c.rest = (*c.buf)[:0]
	}
	c.rest = append(c.rest, b...)
}

func (c *Conn) forget() {
	c.buffers.Put(c.buf)
	c.buf, c.rest = nil, nil
}

// readRaw returns what was kept, then what the client sends.
func (c *Conn) readRaw(p []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.forget()
		}
		return n, nil
	}
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}
