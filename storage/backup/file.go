package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// suffix is that of backups, and unfinished that of one that is being written.
const (
	suffix     = ".wxbackup"
	unfinished = ".part"
)

// Name is that of a backup that begins then, of the data set with that id: they sort by time.
func Name(at time.Time, storeID string) string {
	return "wxgate-" + at.UTC().Format(timeForm) + "-" + shortID(storeID) + suffix
}

const timeForm = "20060102T150405Z"

// shortID tells data sets apart in names. It is a hash, as an id may have any character.
func shortID(storeID string) string {
	sum := sha256.Sum256([]byte(storeID))
	return hex.EncodeToString(sum[:4])
}

// nameForm is that of names. Earlier ones have no id.
var nameForm = regexp.MustCompile(`^wxgate-(\d{8}T\d{6}Z)(?:-([0-9a-f]{8}))?\` + suffix + `$`)

// draftForm is that of the names under which backups with a name of their data set are written.
var draftForm = regexp.MustCompile(`^(wxgate-.*\` + suffix + `)\.\d+\` + unfinished + `$`)

// File is a backup in a folder.
type File struct {
	Name  string
	At    time.Time // when it began, by its name
	short string    // of the id of its data set; "": the header has it
}

// fileOf tells a backup by its name.
func fileOf(name string) (f File, isBackup bool) {
	parts := nameForm.FindStringSubmatch(name)
	if parts == nil {
		return f, false
	}
	at, err := time.Parse(timeForm, parts[1])
	return File{Name: name, At: at, short: parts[2]}, err == nil
}

// WriteFile writes a file of mode 0600 that is whole or not there: under another name first, which nobody can foresee,
// synced, then renamed. write gets the file.
func WriteFile(path string, write func(io.Writer) error) error {
	file, err := newDraft(path)
	if err != nil {
		return err
	}
	defer file.Close() // and with it the lock, once nothing has the name of the draft
	err = errors.Join(write(file), file.Sync())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return disk.SyncDir(filepath.Dir(path))
}

// newDraft makes the file that becomes the one at path, and locks it for as long as it is open, so that removeDrafts leaves
// it. Where a file system has no locks, nobody can remove it either.
func newDraft(path string) (*os.File, error) {
	for range 3 {
		file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+unfinished)
		if err != nil {
			return nil, err
		}
		if err := disk.LockFile(file); !errors.Is(err, syscall.EWOULDBLOCK) && hasItsName(file) {
			return file, nil
		}
		_ = file.Close() // removeDrafts of another process was faster
	}
	return nil, fmt.Errorf("%s: another process removes what is to become it", path)
}

// hasItsName reports whether an open file has not been removed.
func hasItsName(file *os.File) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(file.Name())
	return err == nil && os.SameFile(opened, named)
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

// In lists the backups in a folder, of whichever data set, the oldest first.
func In(dir string) (files []File, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries { // by their names
		if file, isBackup := fileOf(entry.Name()); isBackup && entry.Type().IsRegular() {
			files = append(files, file)
		}
	}
	return files, nil
}

// Newest returns the newest backup in a folder that began by now, of whichever data set; false: there is none.
func Newest(dir string, now time.Time) (newest File, found bool, err error) {
	files, err := In(dir)
	for _, file := range files {
		if !file.isAhead(now) {
			newest, found = file, true
		}
	}
	return newest, found, err
}

// isAhead reports whether a backup was made with a clock that was ahead.
func (f File) isAhead(now time.Time) bool { return f.At.After(now.Add(maxAhead)) }

// maxAhead is how far the clock of another gateway may be ahead.
const maxAhead = time.Minute

// folder is where the backups of one data set are, possibly with others.
type folder struct {
	storage.Backup
	storeID string
	free    func(dir string) (uint64, error) // what a disk has left, in bytes
	log     *slog.Logger
}

// own lists the backups of the data set, the oldest first, and apart from them those of a clock that was ahead.
func (f folder) own(now time.Time) (past, future []File, err error) {
	all, err := In(f.Dir)
	for _, file := range all {
		switch {
		case !f.owns(file):
		case file.isAhead(now):
			future = append(future, file)
		default:
			past = append(past, file)
		}
	}
	return past, future, err
}

// owns reports whether a backup is of the data set. One that cannot be read is not.
func (f folder) owns(file File) bool {
	if file.short != "" {
		return file.short == shortID(f.storeID)
	}
	id, err := storeIDOf(filepath.Join(f.Dir, file.Name))
	return err == nil && id == f.storeID
}

// storeIDOf reads the header of a backup.
func storeIDOf(path string) (id string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	found, err := Read(file, func(storage.Record) error { return errHeaderRead })
	if !errors.Is(err, errHeaderRead) {
		return "", errors.Join(err, storage.ErrDamaged)
	}
	return found.StoreID, nil
}

// errHeaderRead ends reading behind the header.
var errHeaderRead = errors.New("the header was read")

// prune deletes the oldest backups of the data set, beyond those to keep. The one that was just made stays, and so do
// those of the future, which push out no other.
func (f folder) prune(made string, now time.Time) error {
	past, _, err := f.own(now)
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range past[:max(0, len(past)-f.Keep)] {
		if file.Name != made {
			errs = append(errs, os.Remove(filepath.Join(f.Dir, file.Name)))
		}
	}
	return errors.Join(errs...)
}

// removeDrafts removes what was left of backups of the data set whose process was killed. A file that is being written is
// locked, and stays.
func (f folder) removeDrafts() error {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if draftForm.MatchString(entry.Name()) && entry.Type().IsRegular() && f.ownsDraft(entry.Name()) {
			errs = append(errs, removeDraft(filepath.Join(f.Dir, entry.Name())))
		}
	}
	return errors.Join(errs...)
}

// ownsDraft reports whether what is to become a backup is of the data set.
func (f folder) ownsDraft(name string) bool {
	file, isBackup := fileOf(draftForm.FindStringSubmatch(name)[1])
	return isBackup && file.short == shortID(f.storeID)
}

// removeDraft removes a file that nobody has locked.
func removeDraft(path string) error {
	file, err := openDraft(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if disk.LockFile(file) != nil || !hasItsName(file) {
		return nil
	}
	return os.Remove(path)
}

// openDraft opens a draft for writing: NFS, whose locks are those of fcntl, gives no other file a lock that excludes others.
func openDraft(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDWR, 0) }

// ErrNoRoom is a disk that is too full to begin a backup.
var ErrNoRoom = errors.New("the disk has no room for a backup")

// write writes a backup into the folder, and deletes the oldest and what was left of others. What cannot be deleted is
// logged: the backup is as good without that.
func (f folder) write(ctx context.Context, from Source, at time.Time) (path string, done Summary, err error) {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return "", done, err
	}
	f.warnOfUndeleted(f.removeDrafts())
	if err := f.wantRoom(at); err != nil {
		return "", done, err
	}
	name := Name(at, f.storeID)
	path = filepath.Join(f.Dir, name)
	err = WriteFile(path, func(to io.Writer) (err error) {
		done, err = Write(ctx, &roomyWriter{to: to, dir: f.Dir, free: f.free}, from)
		return err
	})
	if err != nil {
		return "", done, err
	}
	f.warnOfUndeleted(f.prune(name, at))
	return path, done, nil
}

// warnOfUndeleted logs why something in the folder was not deleted.
func (f folder) warnOfUndeleted(err error) {
	if err != nil {
		f.log.Warn("an old backup, or what was left of one, cannot be deleted; delete it yourself", "error", err, "dir", f.Dir)
	}
}

// leastRoom is what a backup leaves on a disk: the data may be on the same one.
const leastRoom = 256 << 20

// wantRoom refuses to begin where a backup of the size of the last would not fit.
func (f folder) wantRoom(now time.Time) error {
	last := int64(0)
	if past, _, err := f.own(now); err == nil && len(past) > 0 {
		if info, err := os.Stat(filepath.Join(f.Dir, past[len(past)-1].Name)); err == nil {
			last = info.Size()
		}
	}
	left, err := f.free(f.Dir)
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
