package badger

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"wxgate/storage"
)

// schema is the version of everything in the folder. 2: nothing has a TTL of Badger's, the index of sessions has their
// times, tokens have epochs, and the counters the time.
const schema = 2

// sentinel is the file STORE beside Badger's folder. Badger opens a folder that lost its MANIFEST as an empty database;
// the sentinel says that there was one.
type sentinel struct {
	ID       string    `json:"id"` // of the data set, random
	Schema   int       `json:"schema"`
	Created  time.Time `json:"created"`
	KeyCheck string    `json:"key_check"` // tells a wrong encryption key
	// Migrating is the schema that the records may still have: a migration to Schema is under way.
	Migrating int    `json:"migrating,omitempty"`
	NextID    string `json:"next_id,omitempty"` // a restore that will give the data set this id is under way
	Checksum  uint32 `json:"checksum"`          // of the other fields
}

func newSentinel(keyCheck string, now time.Time) sentinel {
	return sentinel{ID: rand.Text(), Schema: schema, Created: stamp(now), KeyCheck: keyCheck}
}

func (s sentinel) checksum() uint32 {
	s.Checksum = 0
	text, _ := json.Marshal(s) // no field can fail
	return crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli))
}

// readSentinel returns the sentinel of the folder; fs.ErrNotExist says that there is none.
func readSentinel(path string) (sentinel, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return sentinel{}, err
	}
	var s sentinel
	if err := json.Unmarshal(text, &s); err != nil || s.Checksum != s.checksum() {
		return sentinel{}, fmt.Errorf("%s is damaged: %w", path, storage.ErrDamaged)
	}
	if s.Schema > schema {
		return sentinel{}, fmt.Errorf("%s has schema %d and this wxgate knows up to %d, use a newer one: %w",
			path, s.Schema, schema, storage.ErrNewerSchema)
	}
	if s.NextID != "" {
		return s, fmt.Errorf("%s: a restore was cut off, run `wxgate restore %s` again: %w",
			path, filepath.Dir(path), errHalfRestored)
	}
	return s, nil
}

// errHalfRestored is a folder whose restore has to be done again.
var errHalfRestored = errors.New("half restored")

// write makes the file whole or not at all.
func (s sentinel) write(path string) error {
	s.Checksum = s.checksum()
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeFile(path, append(text, '\n'))
}

// writeFile writes a small file that is there completely, on the disk and readable by us alone, or not at all.
func writeFile(path string, content []byte) error {
	draft := path + ".new"
	f, err := os.OpenFile(draft, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir puts the names in dir on the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// exists reports whether something is at path; what cannot be told counts as there.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
