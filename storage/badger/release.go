package badger

import (
	"context"
	"errors"
	"fmt"

	"wxgate/storage/badger/disk"
)

// handOver asks the writer to release the folder, or to take it back.
type handOver struct {
	back bool
	done chan error
}

func (d *driver) ask(ctx context.Context, t handOver) error {
	select {
	case d.handOvers <- t:
		return <-t.done
	case <-d.stopped:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// handOver releases the folder and waits until it is back; false means that the store is closed instead. The writer alone
// calls it, between two commits.
func (d *driver) handOver(asked handOver) bool {
	if asked.back {
		asked.done <- errors.New("the folder is not released")
		return true
	}
	d.released.Lock()
	defer d.released.Unlock()
	asked.done <- d.closeFiles()
	for {
		select {
		case <-d.closing:
			return false
		case t := <-d.handOvers:
			if !t.back {
				t.done <- errors.New("the folder is released already")
				continue
			}
			err := d.reopenFiles()
			t.done <- err
			if err == nil {
				return true
			}
		}
	}
}

// closeFiles closes the files. Whatever Badger says of it, all that was acknowledged is on the disk.
func (d *driver) closeFiles() error {
	if err := d.guard.close(); err != nil {
		d.log.Warn("closing the database to release it", "error", err)
	}
	err := errors.Join(d.highWater.Close(), d.lock.Release())
	d.highWater, d.lock = nil, nil
	return err
}

func (d *driver) reopenFiles() (err error) {
	if d.lock, err = disk.Acquire(d.dir); err != nil {
		return err
	}
	if err := d.openVerified(); err != nil {
		err = errors.Join(fmt.Errorf("opening %s again: %w", d.dir, err), d.lock.Release())
		d.lock = nil
		return err
	}
	d.lock.Sign()
	d.keyNoted = false // the other process may have sealed anew
	return d.learnEpochs()
}
