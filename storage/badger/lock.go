package badger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"wxgate/storage"
)

// lock takes the folder for this process. Badger has a lock of its own, which it gives up while the database is reopened;
// this one is held from before the first look at the files to Close.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(lockedBy(f), f.Close())
	}
	// The pid is advice for a person; on a full disk it is missing.
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
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
