package process

import (
	"context"
	"errors"
	"syscall"
	"time"

	"wxgate/storage"
)

const (
	hurriedDrain = 2 * time.Second  // of a process whose place another one is about to take
	freeWait     = 10 * time.Second // for that process to end
	freeEvery    = 50 * time.Millisecond
)

// Why a process ends though nobody told it to.
var (
	errOrphaned       = errors.New("the process that was started first is gone")
	errSuccessorEnded = errors.New("the successor ended while it took the clients over")
)

// onceFree opens what another process may have, and be about to give up: the folder of the store, an address. The one
// before us may have lost the process in front of it to a kill, and be ending.
func (s *Service) onceFree(ctx context.Context, open func() error) error {
	err := open()
	if !taken(err) {
		return err
	}
	s.log.Warn("waiting for another process to end", "for", freeWait.String(), "error", err)
	ctx, cancel := context.WithTimeout(ctx, freeWait)
	defer cancel()
	ticker := time.NewTicker(freeEvery)
	defer ticker.Stop()
	for taken(err) {
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
			err = open()
		}
	}
	return err
}

// taken reports whether something could not be opened because another process has it.
func taken(err error) bool {
	return errors.Is(err, storage.ErrLocked) || errors.Is(err, syscall.EADDRINUSE)
}
