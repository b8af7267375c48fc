//go:build !unix

package http1

import (
	"net"
	"syscall"
)

// liveness cannot ask the kernel here: keepalive.idle alone keeps dead connections away.
type liveness struct{}

func (*liveness) watch(net.Conn) {}

func (*liveness) silent() bool { return true }

// connected cannot ask either: what is not seen in time is late.
func connected(syscall.RawConn) bool { return false }
