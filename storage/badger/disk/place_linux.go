package disk

import (
	"errors"
	"fmt"
	"path/filepath"

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

// ephemeral are the file systems that end with the machine or with the container, by the magic numbers of statfs(2).
func ephemeral(kind uint32) string {
	switch kind {
	case unix.TMPFS_MAGIC:
		return "tmpfs, which is memory"
	case 0x858458f6: // RAMFS_MAGIC
		return "ramfs, which is memory"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs, the layer of a container, which is gone with it"
	}
	return ""
}

// Ephemeral says in words why what is written to dir does not last; "": nothing is known against it. dir need not exist
// yet.
func Ephemeral(dir string) string {
	for {
		var st unix.Statfs_t
		err := unix.Statfs(dir, &st)
		if err == nil {
			return ephemeral(uint32(st.Type))
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, unix.ENOENT) || parent == dir {
			return ""
		}
		dir = parent
	}
}
