package disk

import (
	"os"
	"path/filepath"
	"strings"
)

// A place is the identity of a file in its file system, which is written into the file: a copy of the folder has a
// different one.

// ReadPlace returns the place that the file records and its actual place; "" means unknown.
func ReadPlace(path string) (said, here string) {
	text, _ := os.ReadFile(path)
	here, _ = placeOf(path)
	return strings.TrimSpace(string(text)), here
}

// NotePlace atomically writes a file that records its own place. Without it a copy is not recognized, so errors do not
// matter.
func NotePlace(path string) {
	if said, here := ReadPlace(path); said == here && here != "" {
		return
	}
	draft := path + ".new"
	if err := os.WriteFile(draft, nil, 0o600); err != nil {
		return
	}
	here, known := placeOf(draft) // a new name does not change it
	if !known || os.WriteFile(draft, []byte(here+"\n"), 0o600) != nil || os.Rename(draft, path) != nil {
		_ = os.Remove(draft)
		return
	}
	_ = SyncDir(filepath.Dir(path))
}
