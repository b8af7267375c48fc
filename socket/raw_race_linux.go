//go:build linux && race

package socket

import (
	"errors"
	"syscall"
	"unsafe"
)

// The race detector learns from package syscall that what was done before a write is done before the read of it.

func rawRead(fd uintptr, p []byte) (int, syscall.Errno) { return result(syscall.Read(int(fd), p)) }

func rawWrite(fd uintptr, p []byte) (int, syscall.Errno) { return result(syscall.Write(int(fd), p)) }

func rawWritev(fd uintptr, parts []syscall.Iovec) (int, syscall.Errno) {
	if _, err := syscall.Write(int(fd), nil); err != nil { // writes nothing
		return result(0, err)
	}
	n, _, err := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(parts))), uintptr(len(parts)))
	return int(n), err
}

func result(n int, err error) (int, syscall.Errno) {
	if err == nil {
		return n, 0
	}
	var errno syscall.Errno
	_ = errors.As(err, &errno)
	return n, errno
}
