//go:build !unix

package process

import "math"

// descriptorLimit is no limit: this system has none to ask for.
func descriptorLimit() uint64 { return math.MaxUint64 }
