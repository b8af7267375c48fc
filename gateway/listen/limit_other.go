//go:build !unix

package listen

// bearable returns want, or a million: there is no limit of descriptors to ask for.
func bearable(want int) int { return orMost(want, 1<<20) }
