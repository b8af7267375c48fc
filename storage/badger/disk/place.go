package disk

import (
	"os"
	"path/filepath"
	"strings"
)

// A place is what the file system calls a file, and is written into it: a copy of the folder cannot have the same.

// ReadPlace returns what the file says of its place, and its place; "" is not known.
func ReadPlace(path string) (said, here string) {
	text, _ := os.ReadFile(path)
	here, _ = placeOf(path)
	return strings.TrimSpace(string(text)), here
}

// NotePlace makes a file that names itself, whole or not at all. Without it a copy is not told, so errors do not matter.
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
