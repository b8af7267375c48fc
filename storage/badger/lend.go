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

func (d *driver) take(ctx context.Context, t turn) error {
	select {
	case d.turns <- t:
		return <-t.done
	case <-d.stopped:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lend lends the folder and waits until it is back; false means that the store is closed instead. The writer alone calls
// it, between two commits.
func (d *driver) lend(asked turn) bool {
	if asked.back {
		asked.done <- errors.New("the folder is not lent")
		return true
	}
	d.lent.Lock()
	defer d.lent.Unlock()
	asked.done <- d.giveUp()
	for {
		select {
		case <-d.closing:
			return false
		case t := <-d.turns:
			if !t.back {
				t.done <- errors.New("the folder is lent already")
				continue
			}
			err := d.takeUp()
			t.done <- err
			if err == nil {
				return true
			}
		}
	}
}

// giveUp closes the files. Whatever Badger says of it, all that was acknowledged is on the disk.
func (d *driver) giveUp() error {
	if err := d.guard.close(); err != nil {
		d.log.Warn("closing the database to lend it", "error", err)
	}
	err := errors.Join(d.highWater.Close(), d.lock.Release())
	d.highWater, d.lock = nil, nil
	return err
}

func (d *driver) takeUp() (err error) {
	if d.lock, err = disk.Acquire(d.dir); err != nil {
		return err
	}
	if err := d.openVerified(); err != nil {
		err = errors.Join(fmt.Errorf("opening %s again: %w", d.dir, err), d.lock.Release())
		d.lock = nil
		return err
	}
	d.lock.Sign()
	return d.learnEpochs()
}
