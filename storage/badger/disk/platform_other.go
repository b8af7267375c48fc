//go:build !unix

package disk

import (
	"math"
	"os"
)

// SpaceOf does not know, so that the disk never counts as full: the guard against a full disk is for Unix.
func SpaceOf(string) (Space, error) { return Space{Free: math.MaxInt64, Total: math.MaxInt64}, nil }

// LockFile leaves the lock to Badger, which has its own in the folder.
func LockFile(*os.File) error { return nil }

// unlockFile does nothing, as LockFile.
func unlockFile(*os.File) error { return nil }

// allocated is the length of the file in bytes.
func allocated(info os.FileInfo) int64 { return info.Size() }
