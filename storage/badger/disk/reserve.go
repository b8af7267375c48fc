package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"wxgate/storage"
)

// MemTableSize is how many bytes Badger collects in memory and its log before it writes a table. 8 MB keeps memory, the
// replay after a crash and the room that a flush needs on the disk small.
const MemTableSize = 8 << 20

// logSize is the most that a log takes, in bytes: it is left when it is full, by at most one transaction.
const logSize = MemTableSize + MemTableSize/4

// LogReserve allocates disk blocks for Badger's log ahead of time. Badger writes its log through a memory-mapped sparse
// file. If the disk fills up between our check and that write, the kernel kills the process, and a disk can fill up by
// a gigabyte a second. So the log, and the next one, get their blocks before anything is written to them.
type LogReserve struct {
	dir  string
	next string // the log that was made in advance
}

// NewLogReserve returns the reserve for the Badger in dir, with nothing allocated yet.
func NewLogReserve(dir string) *LogReserve { return &LogReserve{dir: dir} }

// Reserve makes sure that the log of the next transaction has its blocks. Only the writer calls it.
func (r *LogReserve) Reserve() error {
	if info, err := os.Stat(r.next); err == nil && info.Size() == 0 {
		return nil // not begun yet
	}
	logs, err := filesIn(r.dir, ".mem")
	if err != nil || len(logs) == 0 {
		return fmt.Errorf("looking for the log: %w: %w", storage.ErrUnavailable, err)
	}
	current := logs[len(logs)-1]
	if err := allocate(current, os.O_RDWR); err != nil {
		return fmt.Errorf("reserving %s: %w: %w", current, storage.ErrUnavailable, err)
	}
	next, err := logAfter(current)
	if err != nil {
		return err
	}
	if err := allocate(next, os.O_RDWR|os.O_CREATE); err != nil {
		return fmt.Errorf("reserving %s: %w: %w", next, storage.ErrUnavailable, errors.Join(err, os.Remove(next)))
	}
	r.next = next
	return nil
}

// logAfter is the path that Badger gives to the log after this one. Badger takes a file there for its own as long as it is
// empty, so its blocks lie beyond its end.
func logAfter(path string) (string, error) {
	number, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".mem"))
	return filepath.Join(filepath.Dir(path), fmt.Sprintf("%05d.mem", number+1)), err
}

// allocate opens the file with flags and gives it its blocks; its length stays as it is.
func allocate(path string, flags int) error {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(preallocate(f, logSize), f.Close())
}

// Release removes the reserved log; a read-only Badger does not open an empty one.
func (r *LogReserve) Release() {
	if info, err := os.Stat(r.next); err == nil && info.Size() == 0 {
		_ = os.Remove(r.next)
	}
	r.next = ""
}
