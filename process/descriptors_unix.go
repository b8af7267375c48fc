//go:build unix

package process

import (
	"math"

	"golang.org/x/sys/unix"
)

// descriptorLimit is how many files this process may have open.
func descriptorLimit() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxUint64
	}
	return uint64(limit.Cur)
}
