package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"wxgate/storage"
)

// suffix is that of backups, and unfinished that of one that is being written.
const (
	suffix     = ".wxbackup"
	unfinished = ".part"
)

// Name is that of a backup that begins then: they sort by time.
func Name(at time.Time) string { return "wxgate-" + at.UTC().Format("20060102T150405Z") + suffix }

var nameForm = regexp.MustCompile(`^wxgate-(\d{8}T\d{6}Z)\` + suffix + `$`)

// timeOf is when a backup of that name began.
func timeOf(name string) (at time.Time, isBackup bool) {
	parts := nameForm.FindStringSubmatch(name)
	if parts == nil {
		return at, false
	}
	at, err := time.Parse("20060102T150405Z", parts[1])
	return at, err == nil
}

// WriteFile writes a file of mode 0600 that is whole or not there: under another name first, synced, then renamed. write
// gets the file.
func WriteFile(path string, write func(io.Writer) error) (err error) {
	draft := path + unfinished
	file, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(draft))
		}
	}()
	if err = errors.Join(file.Chmod(0o600), write(file), file.Sync()); err != nil {
		return errors.Join(err, file.Close())
	}
	if err = file.Close(); err != nil {
		return err
	}
	if err = os.Rename(draft, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Verify reads a file to its end.
func Verify(path string) (Summary, error) {
	file, err := os.Open(path)
	if err != nil {
		return Summary{}, err
	}
	defer file.Close()
	return Read(file, nil)
}

// In lists the backups in a folder by their names, the oldest first.
func In(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if _, isBackup := timeOf(entry.Name()); isBackup && entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Newest returns the newest backup in a folder and when it began; "": there is none.
func Newest(dir string) (name string, at time.Time, err error) {
	names, err := In(dir)
	if err != nil || len(names) == 0 {
		return "", at, err
	}
	name = names[len(names)-1]
	at, _ = timeOf(name)
	return name, at, nil
}

// prune deletes all backups of a folder but the newest, and what earlier writers left unfinished.
func prune(dir string, keep int) error {
	names, err := In(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names[:max(0, len(names)-keep)] {
		errs = append(errs, os.Remove(filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}

// ErrNoRoom is a disk that is too full to begin a backup.
var ErrNoRoom = errors.New("the disk has no room for a backup")

// toDir writes a backup into a folder, and deletes the oldest. free is what the disk has left, in bytes.
func toDir(ctx context.Context, cfg storage.Backup, from Source, at time.Time, free func(dir string) (uint64, error)) (path string, done Summary, err error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return "", done, err
	}
	if err := wantRoom(cfg.Dir, free); err != nil {
		return "", done, err
	}
	path = filepath.Join(cfg.Dir, Name(at))
	err = WriteFile(path, func(to io.Writer) (err error) {
		done, err = Write(ctx, &roomyWriter{to: to, dir: cfg.Dir, free: free}, from)
		return err
	})
	if err != nil {
		return "", done, err
	}
	return path, done, prune(cfg.Dir, cfg.Keep)
}

// leastRoom is what a backup leaves on a disk: the data may be on the same one.
const leastRoom = 256 << 20

// wantRoom refuses to begin where a backup of the size of the last would not fit.
func wantRoom(dir string, free func(string) (uint64, error)) error {
	last := int64(0)
	if name, _, err := Newest(dir); err == nil && name != "" {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			last = info.Size()
		}
	}
	left, err := free(dir)
	if err == nil && left < leastRoom+uint64(last)+uint64(last)/10 {
		return fmt.Errorf("%w: %d MB are free, %d are needed", ErrNoRoom, left>>20, (leastRoom+uint64(last)+uint64(last)/10)>>20)
	}
	return nil
}

// roomyWriter ends a backup before the disk is full.
type roomyWriter struct {
	to      io.Writer
	dir     string
	free    func(string) (uint64, error)
	written int
}

// Write looks at the disk every few megabytes.
func (w *roomyWriter) Write(p []byte) (int, error) {
	if w.written += len(p); w.written >= 4<<20 {
		w.written = 0
		if left, err := w.free(w.dir); err == nil && left < leastRoom {
			return 0, fmt.Errorf("%w: %d MB are left", ErrNoRoom, left>>20)
		}
	}
	return w.to.Write(p)
}
