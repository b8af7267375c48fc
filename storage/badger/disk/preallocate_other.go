//go:build !linux

package disk

import "os"

// preallocate does nothing: the watermark alone guards against a full disk.
func preallocate(*os.File, int64) error { return nil }
