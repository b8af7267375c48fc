package badger

import (
	"context"
	"errors"
	"fmt"

	"wxgate/storage/badger/disk"
)

// turn asks the writer to lend the folder out, or to take it back.
type turn struct {
	back bool
	done chan error
}

// Lend gives the folder back for another process while the store stays open: reads and writes wait, with the patience of
// their contexts, until Return or Close. Close then gives up nothing more, and everything that waits is ErrUnavailable.
func (s *Store) Lend(ctx context.Context) error { return s.take(ctx, turn{false, make(chan error, 1)}) }

// Return takes the folder, which nobody else has any more, again. On an error the store stays lent.
func (s *Store) Return(ctx context.Context) error {
	return s.take(ctx, turn{true, make(chan error, 1)})
}

func (s *Store) take(ctx context.Context, t turn) error {
	select {
	case s.turns <- t:
		return <-t.done
	case <-s.stopped:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lend lends the folder and waits until it is back; false means that the store is closed instead. The writer alone calls
// it, between two commits.
func (s *Store) lend(asked turn) bool {
	if asked.back {
		asked.done <- errors.New("the folder is not lent")
		return true
	}
	s.lent.Lock()
	defer s.lent.Unlock()
	asked.done <- s.giveUp()
	for {
		select {
		case <-s.closing:
			return false
		case t := <-s.turns:
			if !t.back {
				t.done <- errors.New("the folder is lent already")
				continue
			}
			err := s.takeUp()
			t.done <- err
			if err == nil {
				return true
			}
		}
	}
}

// giveUp closes the files. Whatever Badger says of it, all that was acknowledged is on the disk.
func (s *Store) giveUp() error {
	if err := s.guard.close(); err != nil {
		s.log.Warn("closing the database to lend it", "error", err)
	}
	err := errors.Join(s.highWater.Close(), s.lock.Release())
	s.highWater, s.lock = nil, nil
	return err
}

func (s *Store) takeUp() (err error) {
	if s.lock, err = disk.Acquire(s.dir); err != nil {
		return err
	}
	if err := s.openVerified(); err != nil {
		err = errors.Join(fmt.Errorf("opening %s again: %w", s.dir, err), s.lock.Release())
		s.lock = nil
		return err
	}
	s.lock.Sign()
	return s.learnEpochs()
}
