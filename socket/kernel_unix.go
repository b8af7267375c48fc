//go:build unix && !linux

package socket

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// Events of poll: the second finds a peer that reset the connection.
const (
	readable = unix.POLLIN
	hangUp   = unix.POLLHUP | unix.POLLERR
)

// pollNow is poll(2) without a wait.
func pollNow(fd uintptr, events int16) (int16, syscall.Errno) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}} // a descriptor fits
	_, err := unix.Poll(fds, 0)
	for errors.Is(err, unix.EINTR) { // by the scheduler's signals, even without a wait
		_, err = unix.Poll(fds, 0)
	}
	var errno syscall.Errno
	_ = errors.As(err, &errno)
	return fds[0].Revents, errno
}

// unsent is not known here.
func unsent(uintptr) int { return 0 }
