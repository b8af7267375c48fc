package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"wxgate/storage"
)

// Lock is this process's lock on the folder. Badger has a lock of its own, which it releases while the database is
// reopened; this one is held from before the files are read until Close.
type Lock struct {
	file  *os.File
	isNew bool // the file was not there before
	owned bool // the file names this process
}

// Acquire locks the folder. The file names its owner only once the folder is open (Sign), so a refusal changes nothing.
func Acquire(dir string) (*Lock, error) {
	path := filepath.Join(dir, "LOCK")
	isNew := !Exists(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := LockFile(f); err != nil {
		return nil, errors.Join(lockedBy(f), f.Close())
	}
	return &Lock{file: f, isNew: isNew}, nil
}

// Sign writes the pid, for people to read; on a full disk it may be missing.
func (l *Lock) Sign() {
	l.owned = true
	if err := l.file.Truncate(0); err == nil {
		_, _ = l.file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
}

// Release unlocks the folder. A file that this process created and never signed is removed.
func (l *Lock) Release() error {
	var err error
	if l.isNew && !l.owned {
		err = os.Remove(l.file.Name())
	}
	return errors.Join(err, unlockFile(l.file), l.file.Close()) // a process that is being forked holds the file for a moment
}

// lockedBy names the owner as far as it is known.
func lockedBy(f *os.File) error {
	pid := make([]byte, 20)
	n, _ := f.ReadAt(pid, 0)
	owner := strings.TrimSpace(string(pid[:n]))
	if owner == "" {
		owner = "unknown"
	}
	return fmt.Errorf("%w (pid %s): one folder serves one process", storage.ErrLocked, owner)
}
