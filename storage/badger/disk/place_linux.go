package disk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// placeOf is what the file system calls a file: its inode and, as inodes are used again, when it was made. A file system that
// does not say when cannot tell a copy.
func placeOf(path string) (place string, known bool) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return "", false
	}
	return fmt.Sprintf("%d %d.%09d", st.Ino, st.Btime.Sec, st.Btime.Nsec), true
}
