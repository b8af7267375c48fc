package listen

import (
	"io"
	"net"
	"time"

	"wxgate/gateway/wire"
)

// Close closes the connection once. If the client may still be sending (its request was refused, or its body not read),
// a plain close would reset the connection and destroy our answer. Close then ends our side only, and reads and
// discards what still arrives, within Config.Linger and Config.LingerBytes (RFC 9112 §9.6).
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	defer c.gone()
	switch {
	case c.owesAnswer():
		c.linger(c.cfg.Linger)
	case c.drain.lingers.Load() && !c.left && !c.passthrough.Load(): // a request may be on its way
		c.linger(leaveLinger)
	}
	return c.Conn.Close()
}

// owesAnswer reports whether the client may be sending what nobody will read. A client that was too slow is not waited
// for.
func (c *Conn) owesAnswer() bool {
	fault := c.fault.Load()
	switch {
	case c.passthrough.Load():
		return false
	case fault != nil:
		return fault.Reason != wire.ReasonSlowHead && fault.Reason != wire.ReasonSlowBody
	}
	return c.inMessage.Load()
}

func (c *Conn) linger(wait time.Duration) {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if c.Conn.SetReadDeadline(time.Now().Add(wait)) != nil {
		return
	}
	buf := c.buffers.Get().(*[]byte)
	defer c.buffers.Put(buf)
	_, _ = io.CopyBuffer(onlyWriter{io.Discard}, io.LimitReader(c.Conn, c.cfg.LingerBytes), *buf)
}

// onlyWriter hides the ReadFrom of io.Discard, which brings its own buffer.
type onlyWriter struct{ io.Writer }

// Reset closes the connection so that the client sees an error (RST), not an orderly end.
func (c *Conn) Reset() {
	socket := c.Conn
	if secure, ok := socket.(interface{ NetConn() net.Conn }); ok {
		socket = secure.NetConn()
	}
	if tcp, ok := socket.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	if !c.closed.Swap(true) {
		defer c.gone()
		_ = socket.Close()
	}
}
