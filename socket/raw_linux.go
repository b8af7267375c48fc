//go:build linux && !race

package socket

import (
	"syscall"
	"unsafe"
)

// rawRead is read(2) of a descriptor that never waits.
func rawRead(fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), err
}

// rawWrite is write(2), likewise.
func rawWrite(fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), err
}

// rawWritev is writev(2), likewise.
func rawWritev(fd uintptr, parts []syscall.Iovec) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(parts))), uintptr(len(parts)))
	return int(n), err
}
