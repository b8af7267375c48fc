//go:build unix

package process

import "syscall"

// restrictMode sets the mode of a socket before it has a file. Linux gives it to the file, so that there is no moment in which
// others could connect, whatever the umask; elsewhere it does nothing.
func restrictMode(fd uintptr, mode uint32) { _ = syscall.Fchmod(int(fd), mode) }
