package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// preallocate gives the first size bytes of f their blocks and leaves its length. A file system that cannot is left as it
// is; the watermark alone then guards against a full disk.
func preallocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}
