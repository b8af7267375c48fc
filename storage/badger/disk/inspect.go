// Package disk manages a data folder and the Badger files in it. It does not know what the records mean.
//
// It locks the folder for one process, verifies every file before Badger touches any, and refuses damaged files with
// storage.ErrDamaged without changing them. It also measures and reserves the space that Badger needs: Badger writes
// through memory mappings, and on a full disk the kernel would kill the process.
package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

	"wxgate/storage"
)

// Records tells an inspection about the records.
type Records struct {
	Counters  string                              // the key of the record that every commit rewrites
	Commits   func(record []byte) (uint64, error) // the number of the commit that wrote it, from 1
	Deletable func(key []byte) bool               // whether a record of that key may be gone
}

// Commit is a complete commit.
type Commit struct {
	Number   uint64 // from 1; 0 is none
	Counters []byte // the record as it lies on the disk
}

func (r Records) commit(counters []byte) (Commit, error) {
	number, err := r.Commits(counters)
	return Commit{Number: number, Counters: bytes.Clone(counters)}, err // a log is not kept for one record of it
}

// Inspection is the result of checking Badger's files before Badger touches them. Badger opens silently if its log is
// damaged in the middle, if a table is not in the MANIFEST or if the index of a table is broken, and then deletes or
// truncates what it did not understand; a truncated table crashes the process. So the files are verified first, and a
// refused folder stays as it was.
type Inspection struct {
	Reached Commit // the newest
	dir     string
	logs    []walFile
}

// Inspect verifies the tables and logs in dir. Its error says what is damaged.
func Inspect(dir string, known Records) (Inspection, error) {
	named, err := readManifest(dir)
	if err != nil {
		return Inspection{}, err
	}
	if err := errors.Join(checkKeyRegistry(dir), checkValueLogs(dir)); err != nil {
		return Inspection{}, err
	}
	tables, orphans, err := openTables(dir, named)
	defer closeTables(tables, orphans)
	if err != nil {
		return Inspection{}, err
	}
	logs, err := readLogs(dir, known)
	if err != nil {
		return Inspection{}, err
	}
	reached, err := newestCommit(tables, logs, known)
	if err != nil {
		return Inspection{}, err
	}
	return Inspection{dir: dir, Reached: reached, logs: logs}, findLost(orphans, tables, logs, known)
}

// LevelZeroTables returns how many tables level 0 has according to the MANIFEST, 0 when there is none yet.
func LevelZeroTables(dir string) (n int) {
	named, err := readManifest(dir)
	if err != nil {
		return 0 // whoever opens the database says what is wrong
	}
	for _, table := range named {
		if table.Level == 0 {
			n++
		}
	}
	return n
}

// readManifest returns the tables that the MANIFEST names.
func readManifest(dir string) (map[uint64]badger.TableManifest, error) {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: %w",
			filepath.Join(dir, badger.ManifestFilename), storage.ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	manifest, _, err := badger.ReplayManifestFile(f, 0, badger.Options{})
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", f.Name(), err, storage.ErrDamaged)
	}
	return manifest.Tables, nil
}

// checkKeyRegistry reads the file of Badger's own keys, of which we use none, as Badger will; it may be missing.
func checkKeyRegistry(dir string) error {
	_, err := badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: dir, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("%s: %w: %w", filepath.Join(dir, badger.KeyRegistryFileName), err, storage.ErrDamaged)
	}
	return nil
}

// checkValueLogs looks at the heads of the value logs, which hold nothing else of ours: they begin as a log does.
func checkValueLogs(dir string) error {
	paths, err := filesIn(dir, ".vlog")
	if err != nil {
		return err
	}
	for _, path := range paths {
		head, err := readHead(path)
		if err != nil {
			return err
		}
		if len(head) > 0 && len(head) < walHeaderSize || len(head) == walHeaderSize && binary.BigEndian.Uint64(head) != 0 {
			return fmt.Errorf("the head of %s is damaged: %w", path, storage.ErrDamaged)
		}
	}
	return nil
}

// readHead returns as many bytes as the head of a log has, or those that there are.
func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	head, err := io.ReadAll(io.LimitReader(f, walHeaderSize))
	return head, errors.Join(err, f.Close())
}

// newestCommit is the newest in tables and logs. The logs must go on where the tables end, commit by commit: the memory
// tables are flushed in order, and a log is deleted only after its table is in the MANIFEST.
func newestCommit(tables []tableFile, logs []walFile, known Records) (Commit, error) {
	var newest Commit
	for _, t := range tables {
		found, err := t.commit(known)
		if err != nil {
			return Commit{}, err
		}
		if found.Number > newest.Number {
			newest = found
		}
	}
	for _, l := range logs {
		for _, next := range l.commits {
			if next.Number > newest.Number+1 {
				return Commit{}, fmt.Errorf("the commits between %d and %d are lost: %w",
					newest.Number, next.Number, storage.ErrDamaged)
			}
			if next.Number > newest.Number {
				newest = next
			}
		}
	}
	if newest.Number == 0 {
		return Commit{}, fmt.Errorf("every commit is lost: %w", storage.ErrDamaged)
	}
	return newest, nil
}

// Tidy removes leftovers of a kill that Badger cannot handle: a log or value log that was just created, and the end of
// a log after its last complete commit, which a read-only Badger refuses to open. Neither holds anything that was
// acknowledged.
func (i Inspection) Tidy() error {
	vlogs, err := filesIn(i.dir, ".vlog")
	errs := []error{err}
	for _, path := range vlogs {
		if info, err := os.Stat(path); err == nil && info.Size() == 0 {
			errs = append(errs, os.Remove(path))
		}
	}
	for _, l := range i.logs {
		switch {
		case len(l.commits) == 0:
			errs = append(errs, os.Remove(l.path))
		case l.size != l.end:
			errs = append(errs, os.Truncate(l.path, l.end))
		}
	}
	return errors.Join(errs...)
}
