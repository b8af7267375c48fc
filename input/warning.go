package input

import (
	"fmt"
)

// Warning is something that is valid in a configuration, and may not be meant.
type Warning struct {
	ID string // of its kind, such as open-route: a row of docs/check.md, which never changes
	Fault
}

// Warnings are all warnings about a section, or about a whole configuration.
type Warnings []Warning

// Warn adds a warning about the key at path.
func (ws *Warnings) Warn(id, path, format string, args ...any) {
	*ws = append(*ws, Warning{id, Fault{path, fmt.Sprintf(format, args...)}})
}

// At are the warnings about a section that is written at path: their paths begin with it.
func (ws Warnings) At(path string) Warnings {
	all := make(Warnings, len(ws))
	for i, w := range ws {
		all[i] = Warning{w.ID, Faults{w.Fault}.At(path)[0]}
	}
	return all
}

// Err is an error of one warning a line, nil without any.
func (ws Warnings) Err() error {
	var faults Faults
	for _, w := range ws {
		faults = append(faults, w.Fault)
	}
	return faults.Err()
}
