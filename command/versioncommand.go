package command

import (
	"fmt"

	"wxgate/process"
)

type versionCommand struct{}

// Run prints the version and what it was built with.
func (versionCommand) Run(w *env) error {
	_, err := fmt.Fprintln(w.stdout, process.VersionLine())
	return err
}
