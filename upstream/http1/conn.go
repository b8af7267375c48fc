package http1

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"

	"wxgate/socket"
)

// ClosingContext is a context that closes what is attached to it when it ends. Without it each exchange allocates a
// function that closes its connection.
type ClosingContext interface {
	context.Context
	// Attach makes the context close c when it ends, at once if it has ended. Nothing else is attached meanwhile.
	Attach(c io.Closer)
	// Detach undoes Attach. It reports whether c was still attached: if not, c is closed, or will be at any moment.
	Detach() (attached bool)
}

// conn is a connection to a target. One exchange at a time uses it.
type conn struct {
	net.Conn
	raw            *socket.Conn  // the same; nil: it is none, as with TLS
	pool           *Pool         // where it is given back
	slot           chan struct{} // of the pool: occupied while an exchange uses it
	permit         chan struct{} // of the upstream, likewise; nil: there is no such bound
	in             reader
	probe          *socket.Probe
	tlsConfig      *tls.Config    // what its pool secured it with; nil: it is plain
	secure         bool           // TLS: a write that timed out cannot be continued
	used           bool           // it has carried an exchange before
	served         int            // exchanges that it has carried
	content        bool           // the last request that it carried had content
	carriedContent bool           // one of them had
	user           uint64         // whose that was
	watched        time.Time      // when it came back from it
	retired        time.Time      // when it became idle
	readBy         time.Time      // the deadline of reads that is set, zero: none or another
	writeBy        time.Time      // that of writes, likewise
	context        ClosingContext // closes it; nil: none
	unwatched      func() bool    // ends the watch of another context; nil: none watches it
}

func newConn(c net.Conn, b *buffers, secure bool) *conn {
	raw, _ := c.(*socket.Conn)
	return &conn{Conn: c, raw: raw, in: reader{src: c, buffers: b}, probe: socket.NewProbe(c), secure: secure}
}

// watch closes the connection when ctx ends, until unwatch.
func (c *conn) watch(ctx context.Context) {
	if closing, ok := ctx.(ClosingContext); ok {
		closing.Attach(c)
		c.context = closing
	} else if ctx.Done() != nil {
		c.unwatched = context.AfterFunc(ctx, func() { _ = c.Close() })
	}
}

// unwatch ends watch. It is false when the context has ended: the connection is closed, or will be at any moment.
func (c *conn) unwatch() bool {
	closing, stop := c.context, c.unwatched
	c.context, c.unwatched = nil, nil
	if closing != nil {
		return closing.Detach()
	}
	return stop == nil || stop()
}

// slack is how much later than asked for a deadline may come, which spares setting it anew for each exchange: that costs
// as much as a system call.
func slack(wait time.Duration) time.Duration { return max(wait, 0) / 64 }

// until sets the deadline of reads and writes to t, or up to slack later.
func (c *conn) until(t time.Time) error { return c.untilFrom(time.Now(), t) }

// untilFrom is until for callers who know the time.
func (c *conn) untilFrom(now, t time.Time) error {
	late := slack(t.Sub(now))
	if within(c.readBy, t, late) && within(c.writeBy, t, late) {
		return nil
	}
	t = t.Add(late)
	c.readBy, c.writeBy = t, t
	return c.SetDeadline(t)
}

// within reports whether a deadline comes at t or up to late later.
func within(set, t time.Time, late time.Duration) bool {
	d := set.Sub(t)
	return d >= 0 && d <= late
}

// readUntil sets the deadline of reads exactly.
func (c *conn) readUntil(t time.Time) error {
	c.readBy = t
	return c.SetReadDeadline(t)
}

// writeUntil sets the deadline of writes to t, or up to late later.
func (c *conn) writeUntil(t time.Time, late time.Duration) error {
	if within(c.writeBy, t, late) {
		return nil
	}
	c.writeBy = t.Add(late)
	return c.SetWriteDeadline(c.writeBy)
}

// quiet reports whether nothing has come that was not read.
func (c *conn) quiet() bool { return len(c.in.buffered()) == 0 && c.probe.Quiet() }

// answering is true when the service has begun to answer, or has closed. Session tickets of TLS are no answer, so a
// socket with something to read is looked into for a moment.
func (c *conn) answering() bool {
	switch {
	case c.quiet():
		return false
	case !c.secure || len(c.in.buffered()) > 0:
		return true
	}
	_ = c.readUntil(time.Now().Add(time.Millisecond))
	return !timedOut(c.in.fill())
}
