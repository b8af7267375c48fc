package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A store that is being filled by a restore or a copy has a mark in the place of its id, which names the source and who fills
// it, until all is there. So there is nothing beside the data that could be lost, and no gateway starts on a part. Whoever had
// the store open before cannot write any more, a gateway or an earlier filling that was frozen: see Driver.SetID.

// fillingFrom begins the mark.
const fillingFrom = "filling-"

// fromStore begins the name of a source that is another store.
const fromStore = "store "

// unservedCopy begins the id of a copy on which no gateway has started: it alone may be copied into again.
const unservedCopy = "copy-"

// fillLife is how long a filling counts that was killed, and fillRenew how often one says that it is there.
const (
	fillLife  = 15 * time.Second
	fillRenew = fillLife / 3
)

// ErrIncomplete is a store that was begun to be filled.
var ErrIncomplete = errors.New("filling this store was begun and is not complete")

// ErrFilling refuses to fill a store that another process is filling.
var ErrFilling = fmt.Errorf("another `wxgate store copy` or `wxgate restore` is filling this store: wait for its end (one that was killed counts for %v)", fillLife)

// ErrReplaced refuses what a process wants of a store that another one has begun to fill since it was opened.
var ErrReplaced = fmt.Errorf("another process has filled this store with other data, or is about to, since this one opened it: %w", ErrUnavailable)

// CheckComplete returns ErrIncomplete for the id of a data set that is being filled, with the command to repeat.
func CheckComplete(id string) error {
	source, filling := strings.CutPrefix(id, fillingFrom)
	switch {
	case !filling:
		return nil
	case strings.HasPrefix(source, fromStore):
		return fmt.Errorf("%w: run the same `wxgate store copy` again, to the end", ErrIncomplete)
	}
	return fmt.Errorf("%w: run the same `wxgate restore` again, to the end", ErrIncomplete)
}

// ServedID returns the id of a data set once gateways have started on it: that of a copy changes then.
func ServedID(id string) string { return strings.TrimPrefix(id, unservedCopy) }

// isFilledFrom reports whether filling a store from that source was begun.
func isFilledFrom(id, source string) bool { return strings.HasPrefix(id, fillingFrom+source+" ") }

// Fill is the filling of a store, by one process at a time.
type Fill struct {
	store *Store
	drop  func(context.Context) error // of the lease, which says that this process is filling the store
}

// BeginFill marks a store that is to be filled from a source, such as a backup, until End. The store must be empty, or have
// been begun to be filled from the same source: other users are ErrNotEmpty, another source is ErrIncomplete. A gateway that
// is running on it is ErrServing, another process that is filling it ErrFilling. Stop it in any case.
func BeginFill(ctx context.Context, s *Store, source string) (*Fill, error) {
	if id := s.driver.ID(); !isFilledFrom(id, source) {
		return beginAnew(ctx, s, source, id)
	}
	return beginFill(ctx, s, source, func() error { return nil })
}

// beginAnew begins to fill a store that has to be empty, also of what was on its way when it was marked.
func beginAnew(ctx context.Context, s *Store, source, id string) (*Fill, error) {
	f, err := beginFill(ctx, s, source, func() error {
		if err := s.Complete(); err != nil {
			return fmt.Errorf("it is of another source; empty it, or: %w", err)
		}
		return wantEmpty(ctx, s)
	})
	if err != nil {
		return nil, err
	}
	if err := wantEmpty(ctx, s); err != nil {
		err = errors.Join(err, f.End(ctx, id))
		f.Stop()
		return nil, err
	}
	return f, nil
}

// beginFill begins to fill a store that check accepts.
func beginFill(ctx context.Context, s *Store, source string, check func() error) (*Fill, error) {
	lease := NewLease(s, "fill", fillLife)
	if err := lease.Take(ctx); errors.Is(err, ErrLeased) {
		return nil, ErrFilling
	} else if err != nil {
		return nil, err
	}
	f := &Fill{s, lease.Keep(fillRenew, nil)} // who hears nothing for long takes over, and then nothing can be written here
	err := check()
	if err == nil {
		err = barGateways(ctx, s)
	}
	if err == nil {
		err = s.driver.SetID(ctx, fillingFrom+source+" "+s.Epoch())
	}
	if err != nil {
		f.Stop()
		return nil, err
	}
	return f, nil
}

// End gives the data set its id, by which gateways may start on it.
func (f *Fill) End(ctx context.Context, id string) error {
	if err := dropTemporary(ctx, f.store, gatewayLock); err != nil {
		return err
	}
	return f.store.driver.SetID(ctx, id)
}

// Stop lets others fill the store. What has not come to its End stays marked.
func (f *Fill) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = f.drop(ctx) // else it ends by itself
}

// BeginServing is to be called before a gateway serves from the store. It returns ErrIncomplete while the store is being
// filled; a copy is no target for another copy from then on, which would take back what the gateway does.
func BeginServing(ctx context.Context, s *Store) error {
	if err := s.Complete(); err != nil || s.driver.ID() == s.ID() {
		return err
	}
	return s.driver.SetID(ctx, s.ID())
}

// errSeen ends a look at a store.
var errSeen = errors.New("seen")

// wantEmpty refuses a store that has users, or anything else but what a gateway without users leaves behind.
func wantEmpty(ctx context.Context, s *Store) error {
	err := s.Snapshot(ctx, func(r Record) error {
		if r.Kind == KindUser || r.Kind == KindSession || r.Kind == KindRevocation {
			return errSeen
		}
		return nil
	})
	if errors.Is(err, errSeen) {
		return fmt.Errorf("it has users already: %w", ErrNotEmpty)
	}
	return err
}
