//go:build !unix

package socket

import (
	"net"
	"syscall"
)

// Probe cannot ask the kernel on this system.
type Probe struct{}

// NewProbe makes the probe of c.
func NewProbe(net.Conn) *Probe { return new(Probe) }

// Quiet reports that nothing waits to be read, which is not known.
func (*Probe) Quiet() bool { return true }

// Gone reports that the peer is there, which is not known.
func (*Probe) Gone() bool { return false }

// Unsent returns 0, which is not known.
func (*Probe) Unsent() int { return 0 }

// Connected reports that the peer was not reached, which is not known.
func Connected(syscall.RawConn) bool { return false }
