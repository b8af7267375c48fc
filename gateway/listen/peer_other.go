//go:build !linux

package listen

type peerProbe struct{}

// PeerGone reports whether the connection was closed here; the client's side cannot be asked on this system.
func (c *Conn) PeerGone() bool { return c.closed.Load() }

// unacknowledged is 0: the kernel cannot be asked on this system.
func (c *Conn) unacknowledged() int64 { return 0 }
