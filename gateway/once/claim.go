package once

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"wxgate/storage"
)

// Store is what gateways that share a store, and a process after another, know of each other; package storage documents its
// methods.
type Store interface {
	Shared() bool
	Temporary(ctx context.Context, name string) ([]byte, error)
	ChangeTemporary(ctx context.Context, name string, change func(value []byte) (next []byte, life time.Duration, err error)) error
}

var _ Store = (*storage.Store)(nil)

const (
	storeTimeout = 500 * time.Millisecond // for one question to the store
	spare        = 300 * time.Millisecond // by which a claim outlives its delivery
	leastLife    = time.Second            // of a claim
	firstPause   = 20 * time.Millisecond  // before another gateway's delivery is looked at again; twice as long each time
	longestPause = 200 * time.Millisecond
)

// The states of a record in the store: behind tried is who tried, behind delivered the answer.
const (
	tried     = 't'
	delivered = 'd'
)

var errDelivered = errors.New("it was delivered")

// claim is the right of one gateway to deliver something. It is a temporary value that ends by the clock of the store, beside a
// record that stays.
type claim struct {
	store  Store // may be nil
	lease  string
	record string
	token  []byte
}

func newClaim(store Store, kind, key string) claim {
	name := Key(key)
	return claim{store: store, lease: kind + " claim " + name, record: kind + " " + name, token: []byte(rand.Text())}
}

// take takes the claim. It waits while another gateway has it: until that has delivered, which is errDelivered and the answer, or
// until ctx is over, which is ErrUnderWay. A store that does not answer refuses nothing: what is sent for the last time would be
// lost. Then repeat is true, as after an attempt of which the outcome is unknown.
func (c claim) take(ctx context.Context) (answer []byte, repeat bool, err error) {
	if c.store == nil {
		return nil, false, nil
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		answer, err = c.look(ctx)
		if err == nil && c.store.Shared() { // what this process alone delivers, memory knows
			err = c.change(ctx, c.lease, func(holder []byte) ([]byte, time.Duration, error) {
				if len(holder) > 0 && !bytes.Equal(holder, c.token) {
					return nil, 0, ErrUnderWay
				}
				return c.token, c.life(ctx), nil
			})
		}
		if !errors.Is(err, ErrUnderWay) {
			break
		}
		if !rest(ctx, pause) {
			return nil, false, ErrUnderWay
		}
	}
	if err == nil {
		answer, repeat, err = c.try(ctx)
	}
	if err != nil && !errors.Is(err, errDelivered) {
		return nil, true, nil
	}
	return answer, repeat, err
}

// look returns errDelivered, and the answer, of what was delivered. It only reads.
func (c claim) look(ctx context.Context) (answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	record, err := c.store.Temporary(ctx, c.record)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case len(record) > 0 && record[0] == delivered:
		return record[1:], errDelivered
	}
	return nil, nil
}

// try notes that the delivery is tried, and returns whether it was before.
func (c claim) try(ctx context.Context) (answer []byte, repeat bool, err error) {
	ours := append([]byte{tried}, c.token...)
	err = c.change(ctx, c.record, func(record []byte) ([]byte, time.Duration, error) {
		if len(record) > 0 && record[0] == delivered {
			answer = bytes.Clone(record[1:])
			return nil, 0, errDelivered
		}
		repeat = len(record) > 0 && !bytes.Equal(record, ours) // the store may have run this before
		return ours, RememberFor, nil
	})
	return answer, repeat, err
}

// errOther is a proof that was used for something else.
var errOther = errors.New("the proof is of something else")

// Bind reports whether a proof is used for that key alone, as far as the store knows: whoever has seen it must not use it for
// something else while it is good. A store that does not answer refuses nothing.
func (d *Deliveries) Bind(ctx context.Context, proof, key string, life time.Duration) bool {
	c := newClaim(d.store, d.kind+" proof", proof)
	if c.store == nil {
		return true
	}
	of := []byte(Key(key))
	err := c.change(ctx, c.record, func(bound []byte) ([]byte, time.Duration, error) {
		if len(bound) > 0 && !bytes.Equal(bound, of) {
			return nil, 0, errOther
		}
		return of, life, nil
	})
	return !errors.Is(err, errOther)
}

// life is how long the claim covers the delivery.
func (c claim) life(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	return max(leastLife, time.Until(deadline)+spare)
}

// leaveTime is ctx for the delivery: the outcome is noted behind it.
func (c claim) leaveTime(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, there := ctx.Deadline()
	if c.store == nil || !there {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-storeTimeout))
}

// finish notes that it was delivered, whoever claims it by now, and reports whether the store knows.
func (c claim) finish(ctx context.Context, answer []byte) bool {
	if c.store == nil {
		return false
	}
	return c.change(context.WithoutCancel(ctx), c.record, func([]byte) ([]byte, time.Duration, error) {
		return append([]byte{delivered}, answer...), RememberFor, nil
	}) == nil
}

// giveUp lets the next attempt begin at once. That it was tried is remembered.
func (c claim) giveUp(ctx context.Context) {
	if c.store == nil || !c.store.Shared() {
		return
	}
	_ = c.change(context.WithoutCancel(ctx), c.lease, func(holder []byte) ([]byte, time.Duration, error) {
		if !bytes.Equal(holder, c.token) {
			return nil, 0, ErrUnderWay
		}
		return nil, 0, nil
	})
}

func (c claim) change(ctx context.Context, name string, change func([]byte) ([]byte, time.Duration, error)) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return c.store.ChangeTemporary(ctx, name, change)
}

// rest waits, and reports whether ctx is not over.
func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
