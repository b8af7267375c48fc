package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

// interrupted is how a shell calls the end by a Ctrl-C: 128 and the number of SIGINT.
const interrupted = 130

// throwawayDir makes a folder that is gone when the process ends: remove takes it away, and so does a second Ctrl-C,
// which ends the process in the midst of a stop.
func throwawayDir(ctx context.Context) (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp("", "wxgate-demo-")
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for the demo: %w", err)
	}
	removed := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt)
		defer signal.Stop(again)
		select {
		case <-again:
			_ = removeAll(dir) // nobody is left to tell
			os.Exit(interrupted)
		case <-removed:
		}
	})
	remove = func() error {
		forget()
		defer close(removed)
		return removeAll(dir)
	}
	return dir, remove, nil
}

// removeAll removes a folder in which files may still be made.
func removeAll(dir string) error {
	const attempts = 100
	err := os.RemoveAll(dir)
	for n := 1; err != nil && n < attempts; n++ {
		err = os.RemoveAll(dir)
	}
	return err
}
