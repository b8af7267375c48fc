package process

import (
	"context"
	"errors"
	"syscall"
	"time"

	"wxgate/storage"
)

const (
	hurriedDrain = 2 * time.Second  // when the supervisor is about to start another process
	freeWait     = 10 * time.Second // for a process that is ending to let go
	freeEvery    = 50 * time.Millisecond
)

// Why a process ends without being told to.
var (
	errOrphaned       = errors.New("the supervising process is gone")
	errSuccessorEnded = errors.New("the successor ended while it took over the clients")
)

// onceFree opens what another process may still hold for a moment: the folder of the store, an address. Our predecessor
// may be ending because its supervisor was killed.
func (s *Service) onceFree(ctx context.Context, open func() error) error {
	err := open()
	if !inUse(err) {
		return err
	}
	s.log.Warn("waiting for another process to end", "for", freeWait.String(), "error", err)
	ctx, cancel := context.WithTimeout(ctx, freeWait)
	defer cancel()
	ticker := time.NewTicker(freeEvery)
	defer ticker.Stop()
	for inUse(err) {
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
			err = open()
		}
	}
	return err
}

// inUse reports whether an open failed because another process holds what is opened.
func inUse(err error) bool {
	return errors.Is(err, storage.ErrLocked) || errors.Is(err, syscall.EADDRINUSE)
}
