package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"time"
)

// readBufferSize bounds what is read at once, and a line of chunk framing, in bytes.
const readBufferSize = 16 << 10

// tick is how coarse deadlines are: setting one costs as much as a system call, so those within a tick of each other
// share it. A deadline is late by less than this, never early.
const tick = 20 * time.Millisecond

// conn is a connection to a target. One exchange at a time uses it.
type conn struct {
	net.Conn
	pool           *Pool         // where it is given back
	slot           chan struct{} // of the pool: occupied while an exchange uses it
	permit         chan struct{} // of the upstream, likewise; nil: there is no such bound
	br             *bufio.Reader
	alive          liveness
	tlsConfig      *tls.Config   // what its pool secured it with; nil: it is plain
	secure         bool          // TLS: a write that timed out cannot be continued
	used           bool          // it has carried an exchange before
	served         int           // exchanges that it has carried
	content        bool          // the last request that it carried had content
	carriedContent bool          // one of them had
	user           uint64        // whose that was
	watched        time.Time     // when it came back from it
	retired        time.Time     // when it became idle
	epoch          time.Time     // what armed counts from
	armed          time.Duration // the deadline that is set, -1: none or another
	abort          func()        // closes it
	unwatched      func() bool   // ends watch; nil: no context watches it
}

func newConn(c net.Conn, secure bool) *conn {
	return &conn{
		Conn: c, br: bufio.NewReaderSize(c, readBufferSize), secure: secure, epoch: time.Now(), armed: -1,
		abort: func() { _ = c.Close() },
	}
}

// watch closes the connection when ctx ends, until unwatch. A context with an AfterFunc method of its own, as package
// context knows it, does so without allocating.
func (c *conn) watch(ctx context.Context) {
	if own, ok := ctx.(interface{ AfterFunc(f func()) func() bool }); ok {
		c.unwatched = own.AfterFunc(c.abort)
	} else if ctx.Done() != nil {
		c.unwatched = context.AfterFunc(ctx, c.abort)
	}
}

// unwatch ends watch. It is false when the context has ended: the connection is closed, or will be at any moment.
func (c *conn) unwatch() bool {
	stop := c.unwatched
	c.unwatched = nil
	return stop == nil || stop()
}

// until sets the deadline of reads and writes to t, or up to a tick later.
func (c *conn) until(t time.Time) error {
	at := (t.Sub(c.epoch) + tick - 1).Truncate(tick)
	if at == c.armed {
		return nil
	}
	c.armed = at
	return c.SetDeadline(c.epoch.Add(at))
}

// readUntil and writeUntil set one deadline exactly, and make the next until set both anew.
func (c *conn) readUntil(t time.Time) error {
	c.armed = -1
	return c.SetReadDeadline(t)
}

func (c *conn) writeUntil(t time.Time) error {
	c.armed = -1
	return c.SetWriteDeadline(t)
}

// silent is true when nothing has come that was not read.
func (c *conn) silent() bool { return c.br.Buffered() == 0 && c.alive.silent() }

// answering is true when the service has begun to answer, or has closed. Session tickets of TLS are no answer, so a
// socket with something to read is looked into for a moment.
func (c *conn) answering() bool {
	if c.br.Buffered() > 0 {
		return true
	}
	if c.alive.silent() {
		return false
	}
	_ = c.readUntil(time.Now().Add(time.Millisecond))
	_, err := c.br.Peek(1)
	return err == nil || !timedOut(err)
}
