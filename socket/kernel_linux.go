package socket

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Events of poll: the second finds a peer that ended, whatever is unread.
const (
	readable = unix.POLLIN
	hangUp   = unix.POLLRDHUP | unix.POLLHUP | unix.POLLERR
)

// pollNow is poll(2) without a wait.
func pollNow(fd uintptr, events int16) (int16, syscall.Errno) {
	for {
		fds := unix.PollFd{Fd: int32(fd), Events: events} // a descriptor fits
		var now unix.Timespec
		_, _, err := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
		if err != syscall.EINTR { // by the scheduler's signals, even without a wait
			return fds.Revents, err
		}
	}
}

// unsent is how many bytes are in the queue to the peer.
func unsent(fd uintptr) int {
	var n int32
	_, _, err := syscall.RawSyscall(syscall.SYS_IOCTL, fd, unix.SIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	if err != 0 {
		return 0
	}
	return int(n)
}

// processCPU is how long the threads of this process have run.
func processCPU() time.Duration {
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &used); err != nil {
		return 0
	}
	return time.Duration(used.Nano())
}
