package outbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"wxgate/authn"
	"wxgate/storage"
)

// run delivers what is new at once, and in rounds what is left: after a start, after failures, and when there was more
// news than it could receive. Another gateway may also have left something.
func (o *Outbox) run() {
	pause := firstPause
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-o.ctx.Done():
			return
		case <-o.changed:
			timer.Reset(0)
		case id := <-o.store.News():
			if len(o.store.News()) == cap(o.store.News())-1 {
				timer.Reset(0) // it was full, so there may be more
			}
			f, _ := o.fly(id)
			o.awaitSlot(f)
		case <-timer.C:
			wait := calmPause
			if o.round() {
				wait, pause = pause, min(2*pause, longestPause)
			} else {
				pause = firstPause
			}
			timer.Reset(wait)
		}
	}
}

// awaitSlot keeps news in their channel while all deliveries are busy.
func (o *Outbox) awaitSlot(f *flight) {
	select {
	case o.slots <- struct{}{}:
		<-o.slots
	case <-f.done:
	case <-o.ctx.Done():
	}
}

// round tells the service about every user with events, and reports whether some are left. Those of whom another gateway is
// telling are left to it, until the next round. Once the service does not answer, the others are only counted.
func (o *Outbox) round() (left bool) {
	var (
		silent  atomic.Bool // the service does not answer
		failed  atomic.Int64
		telling sync.WaitGroup
	)
	for after := int64(0); o.ctx.Err() == nil && o.service.Load() != nil; {
		ids, err := o.store.UsersToTell(o.ctx, after, usersPerRead)
		if err != nil {
			return true
		}
		for _, id := range ids {
			after = id
			if silent.Load() {
				failed.Add(1)
				continue
			}
			f, _ := o.fly(id)
			telling.Go(func() {
				if err := o.await(f); err != nil && !errors.Is(err, storage.ErrLeased) {
					failed.Add(1)
					silent.Store(silent.Load() || unreachable(f.err))
				}
			})
			o.awaitSlot(f)
		}
		if len(ids) < usersPerRead {
			break
		}
	}
	telling.Wait()
	o.metrics.pending.Set(float64(failed.Load()))
	if failed.Load() == 0 {
		o.forgetFailures()
	}
	return failed.Load() > 0
}

func (o *Outbox) await(f *flight) error {
	<-f.done
	return f.err
}

// unreachable reports whether an error says nothing about the event: the service does not answer, or the gateway stops.
func unreachable(err error) bool {
	refusal, refused := errors.AsType[*refusedError](err)
	if refused {
		return refusal.isOfTheService()
	}
	if errors.Is(err, storage.ErrLeased) {
		return false
	}
	return errors.Is(err, authn.ErrUserService) || errors.Is(err, context.Canceled)
}
