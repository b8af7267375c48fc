package disk

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFileSystemsThatEndAreNamed(t *testing.T) {
	t.Parallel()
	for kind, want := range map[uint32]string{
		unix.TMPFS_MAGIC: "tmpfs", 0x858458f6: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
		unix.EXT4_SUPER_MAGIC: "", unix.XFS_SUPER_MAGIC: "", unix.NFS_SUPER_MAGIC: "",
	} {
		if got := ephemeral(kind); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%#x: got %q, want %q", kind, got, want)
		}
	}
}
