package main

import "fmt"

type versionCommand struct{}

// Run prints the version and what it was built with.
func (versionCommand) Run(w *world) error {
	_, err := fmt.Fprintln(w.stdout, versionLine())
	return err
}
