package disk

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	"wxgate/storage"
)

// Schema is the version of the data in the folder. In 2, nothing has a Badger TTL, the index of sessions contains their
// times, tokens have epochs, and the counters the time.
const Schema = 2

// Sentinel is the file STORE beside Badger's folder. Badger opens a folder without its MANIFEST as an empty database;
// the sentinel tells that there was one.
type Sentinel struct {
	ID      string    `json:"id"` // of the data set, random
	Schema  int       `json:"schema"`
	Created time.Time `json:"created"`
	// KeyCheck tells a wrong encryption key: it is the text of storage.KeyChecks. An older wxgate, which knows one key
	// alone, refuses a list as the wrong one.
	KeyCheck string `json:"key_check"`
	// Migrating is the schema that the records may still have: a migration to Schema is under way.
	Migrating int    `json:"migrating,omitempty"`
	NextID    string `json:"next_id,omitempty"` // a restore that will give the data set this id is under way
	// Renamed marks a NextID of no restore: the data have either id, and get NextID when they are opened.
	Renamed  bool   `json:"renamed,omitempty"`
	Checksum uint32 `json:"checksum"` // of the other fields
}

// NewSentinel returns the sentinel of a new data set, with a new id and the newest schema.
func NewSentinel(created time.Time) Sentinel {
	return Sentinel{ID: rand.Text(), Schema: Schema, Created: created}
}

// KeyChecks are the checks of the keys that records may be sealed with.
func (s Sentinel) KeyChecks() storage.KeyChecks { return storage.ParseKeyChecks(s.KeyCheck) }

// WithKeyChecks is the sentinel of records that may be sealed with these keys.
func (s Sentinel) WithKeyChecks(checks storage.KeyChecks) Sentinel {
	s.KeyCheck = checks.String()
	return s
}

// WithNextID is the sentinel once the data have their next id.
func (s Sentinel) WithNextID() Sentinel {
	s.ID, s.NextID, s.Renamed = s.NextID, "", false
	return s
}

// IsOld reports whether records may have the form of an older schema.
func (s Sentinel) IsOld() bool { return s.Schema < Schema || s.Migrating != 0 }

func (s Sentinel) checksum() uint32 {
	s.Checksum = 0
	text, _ := json.Marshal(s) // no field can fail
	return crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli))
}

// ReadSentinel returns the sentinel of the folder, or fs.ErrNotExist.
func ReadSentinel(path string) (Sentinel, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Sentinel{}, err
	}
	var s Sentinel
	if err := json.Unmarshal(text, &s); err != nil || s.Checksum != s.checksum() {
		return Sentinel{}, fmt.Errorf("%s is damaged: %w", path, storage.ErrDamaged)
	}
	if s.Schema > Schema {
		return Sentinel{}, fmt.Errorf("%s has schema %d and this wxgate knows up to %d, use a newer one: %w",
			path, s.Schema, Schema, storage.ErrNewerSchema)
	}
	if s.NextID != "" && !s.Renamed {
		return s, fmt.Errorf("%s: a restore was cut off, run `wxgate restore %s` again: %w",
			path, filepath.Dir(path), ErrHalfRestored)
	}
	return s, nil
}

// ErrHalfRestored is a folder whose restore has to be repeated.
var ErrHalfRestored = errors.New("half restored")

// Write writes the file atomically.
func (s Sentinel) Write(path string) error {
	s.Checksum = s.checksum()
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeFile(path, append(text, '\n'))
}
