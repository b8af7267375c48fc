//go:build unix

package listen

import "golang.org/x/sys/unix"

// bearable returns how many connections to take: want, or all that the descriptors allow. A quarter of them, and no
// fewer than 64, stay for upstreams, storage and the log.
func bearable(want int) int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return orMost(want, 1<<20)
	}
	most := int(min(limit.Cur, 1<<20))
	return orMost(want, max(1, most-max(64, most/4)))
}
