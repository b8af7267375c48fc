//go:build !linux

package wire

type peerProbe struct{}

// PeerGone says whether the connection was closed here; the client's side cannot be asked on this system.
func (c *Conn) PeerGone() bool { return c.closed.Load() }
