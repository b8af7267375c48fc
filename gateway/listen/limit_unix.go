//go:build unix

package listen

import (
	"math"

	"golang.org/x/sys/unix"
)

// DescriptorLimit is how many files this process may have open.
func DescriptorLimit() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxUint64
	}
	return uint64(limit.Cur)
}
