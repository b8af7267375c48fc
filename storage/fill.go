package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A store that is being filled by a restore or a copy has a mark in the place of its id, which names the source, until all
// is there. So there is nothing beside the data that could be lost, and no gateway starts on a part.

// fillingFrom begins the mark.
const fillingFrom = "filling-"

// fromStore begins the name of a source that is another store.
const fromStore = "store "

// unservedCopy begins the id of a copy on which no gateway has started: it alone may be copied into again.
const unservedCopy = "copy-"

// ErrIncomplete is a store that was begun to be filled.
var ErrIncomplete = errors.New("filling this store was begun and is not complete")

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

// BeginFill marks a store that is to be filled from a source, such as a backup, until EndFill. The store must be empty, or
// have been begun to be filled from the same source: other users are ErrNotEmpty, another source is ErrIncomplete. A gateway
// that is running on it is ErrServing.
func BeginFill(ctx context.Context, s *Store, source string) error {
	if s.ID() != fillingFrom+source {
		if err := s.Complete(); err != nil {
			return fmt.Errorf("it is of another source; empty it, or: %w", err)
		}
		if err := wantEmpty(ctx, s); err != nil {
			return err
		}
	}
	return markFilled(ctx, s, source)
}

// markFilled replaces the id by the mark, if no gateway is running.
func markFilled(ctx context.Context, s *Store, source string) error {
	if err := barGateways(ctx, s); err != nil {
		return err
	}
	return s.driver.SetID(ctx, fillingFrom+source)
}

// EndFill gives the data set its id, by which gateways may start on it.
func EndFill(ctx context.Context, s *Store, id string) error {
	if err := dropTemporary(ctx, s, gatewayLock); err != nil {
		return err
	}
	return s.driver.SetID(ctx, id)
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
