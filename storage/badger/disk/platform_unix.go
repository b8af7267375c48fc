//go:build unix

package disk

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// SpaceOf asks the file system of dir.
func SpaceOf(dir string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Space{}, err
	}
	block := uint64(st.Bsize)
	return Space{Free: uint64(st.Bavail) * block, Total: uint64(st.Blocks) * block}, nil
}

// LockFile takes the file for this process until it is closed; the kernel closes it for one that is killed.
func LockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// unlockFile gives the file back.
func unlockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }

// allocated is what a file takes on the disk, in bytes; Badger's logs are sparse.
func allocated(info os.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
