//go:build !unix

package listen

import "math"

// DescriptorLimit is no limit: this system has none to ask for.
func DescriptorLimit() uint64 { return math.MaxUint64 }
