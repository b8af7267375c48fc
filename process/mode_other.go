//go:build !unix

package process

// restrictMode does nothing here.
func restrictMode(uintptr, uint32) {}
