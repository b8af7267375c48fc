package listen

import (
	"io"
	"net"
	"time"

	"wxgate/gateway/wire"
)

// Close closes the connection at once, whatever it is doing: below TLS, whose own Close waits for a write in progress.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	defer c.release()
	return below(c.client).Close()
}

// finish closes the connection at the end of its loop. If the client may still be sending (its request was refused, its
// body not read, or it did not wait for an answer that was the last one), a plain close would reset the connection and
// destroy our answer. finish then ends our side only, and reads and discards what still arrives, within Config.Linger
// and Config.LingerBytes (RFC 9112 §9.6).
func (c *Conn) finish() {
	if c.closed.Swap(true) {
		return
	}
	defer c.release()
	c.conns.leaveAlone(c)
	switch cfg := &c.shared.cfg; {
	case c.upgraded, c.left:
	case c.owesAnswer():
		c.shared.linger(c.client, cfg.Linger, cfg.LingerBytes)
	case c.drain.lingers.Load(): // a request may be on its way
		c.shared.linger(c.client, leaveLinger, cfg.LingerBytes)
	}
	_ = c.client.Close()
}

// owesAnswer reports whether the client may be sending what nobody will read, or does not have its answer yet, which what
// it sends later would destroy. A client that was too slow is not waited for.
func (c *Conn) owesAnswer() bool {
	if c.fault != nil {
		return c.fault.Reason != wire.ReasonSlowHead && c.fault.Reason != wire.ReasonSlowBody
	}
	return c.BodyRemaining() || c.buffered() > 0 || c.err == nil && (!c.ask().Quiet() || c.unacknowledged() > 0)
}

// linger ends our side of a connection, and discards what the client sends until it ends its own, for a time and up to
// so many bytes.
func (s *shared) linger(client net.Conn, wait time.Duration, most int64) {
	half, ok := client.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if client.SetReadDeadline(time.Now().Add(wait)) != nil {
		return
	}
	buf, _ := s.buffers.Get().(*buffer)
	defer s.buffers.Put(buf)
	_, _ = io.CopyBuffer(onlyWriter{io.Discard}, io.LimitReader(client, most), buf.bytes)
}

// onlyWriter hides the ReadFrom of io.Discard, which brings its own buffer.
type onlyWriter struct{ io.Writer }

// Reset closes the connection so that the client sees an error (RST), not an orderly end.
func (c *Conn) Reset() {
	client := below(c.client)
	if tcp, ok := client.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	if !c.closed.Swap(true) {
		defer c.release()
		_ = client.Close()
	}
}
