//go:build unix

package http1

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// liveness asks the kernel whether anything waits to be read on a connection: bytes, its end or its death. It costs one
// system call, no wait and no allocation.
type liveness struct {
	raw   syscall.RawConn // nil: not a socket, nothing can be asked
	ask   func(fd uintptr)
	fds   [1]unix.PollFd
	quiet bool
}

// watch makes l ask about c.
func (l *liveness) watch(c net.Conn) {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	l.raw, l.ask = raw, l.poll
}

func (l *liveness) poll(fd uintptr) {
	l.fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} // a descriptor fits
	n, err := unix.Poll(l.fds[:], 0)
	for errors.Is(err, unix.EINTR) { // the scheduler's signals interrupt even a poll that does not wait
		n, err = unix.Poll(l.fds[:], 0)
	}
	l.quiet = err == nil && n == 0
}

// silent is true when nothing waits to be read. An idle connection that is not silent was closed by the service or
// holds bytes that belong to no request: it must not be used.
func (l *liveness) silent() bool {
	if l.raw == nil {
		return true
	}
	if err := l.raw.Control(l.ask); err != nil {
		return false
	}
	return l.quiet
}

// connected is true when raw is connected with its peer.
func connected(raw syscall.RawConn) bool {
	var unconnected error
	err := raw.Control(func(fd uintptr) { _, unconnected = unix.Getpeername(int(fd)) })
	return err == nil && unconnected == nil
}
