//go:build !unix

package http1

import "net"

// liveness cannot ask the kernel here: keepalive.idle alone keeps dead connections away.
type liveness struct{}

func (*liveness) watch(net.Conn) {}

func (*liveness) silent() bool { return true }
