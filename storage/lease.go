package storage

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrLeased means that another process has the lease.
var ErrLeased = errors.New("another process has the lease")

// Lease is what one process at a time may do, by a name. It ends by itself unless it is renewed, so that another process
// can take it from one that was killed.
//
// Two clocks count. Others may take it when it has ended by the clock of the store. Its holder stops believing in it
// earlier: the time is measured from before it was asked for, by the holder's own clocks. A process that was frozen finds
// its lease over when it goes on. Nothing can stop what it has begun before; so whatever is done under a lease must do no
// harm when it is done twice. Leases of one name in one process are one to others. It is safe for concurrent use.
//
// A store that is not shared has nobody to keep out: nothing is written there, and no lease of an earlier process holds.
type Lease struct {
	store *Store
	name  string
	ttl   time.Duration

	mu   sync.Mutex
	held tenure
}

// NewLease returns a lease that nobody has yet. ttl is how long it holds without being renewed, up to a week.
func NewLease(s *Store, name string, ttl time.Duration) *Lease {
	return &Lease{store: s, name: name, ttl: ttl}
}

// Take takes the lease, or renews it, or returns ErrLeased.
func (l *Lease) Take(ctx context.Context) error {
	asked := time.Now()
	err := l.change(ctx, opTakeLease, func(w Writer) error { return takeLease(w, l.name, l.store.Epoch(), l.ttl) })
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if errors.Is(err, ErrLeased) {
			l.held = tenure{}
		}
		return err
	}
	l.held = tenure{asked, l.ttl}
	return nil
}

// Left returns for how long the lease is still ours, if it is; 0: not any more.
func (l *Lease) Left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held.Left()
}

// Release gives the lease back if it is ours.
func (l *Lease) Release(ctx context.Context) error {
	l.mu.Lock()
	l.held = tenure{}
	l.mu.Unlock()
	return l.change(ctx, opReleaseLease, func(w Writer) error { return releaseLease(w, l.name, l.store.Epoch()) })
}

// Keep renews the lease, which was taken, every so often until drop, which gives it back. failed, which may be nil, is told of
// a renewal that failed; the next one may be in time.
func (l *Lease) Keep(every time.Duration, failed func(error)) (drop func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	var renewing sync.WaitGroup
	renewing.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := l.Take(ctx); err != nil && failed != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	})
	return func(releasing context.Context) error {
		stop()
		renewing.Wait()
		return l.Release(releasing)
	}
}

// change changes what other processes see of the lease, if there may be any.
func (l *Lease) change(ctx context.Context, op operation, change func(Writer) error) error {
	if !l.store.Shared() {
		return nil
	}
	_, err := write(ctx, l.store, op, func(w Writer) (struct{}, error) { return struct{}{}, change(w) })
	return err
}

// tenure is the time of a lease as its holder measures it.
type tenure struct {
	asked time.Time
	ttl   time.Duration
}

// Left is by the wall clock too, which goes on while a machine sleeps.
func (t tenure) Left() time.Duration {
	if t.asked.IsZero() {
		return 0
	}
	passed := max(time.Since(t.asked), time.Now().Round(0).Sub(t.asked.Round(0)))
	return max(0, t.ttl-passed)
}

// takeLease gives the lease to owner, or renews it, or says ErrLeased.
func takeLease(w Writer, name, owner string, ttl time.Duration) error {
	has, err := temporaryOrNil(w, leaseName(name))
	switch {
	case err != nil:
		return err
	case has != nil && string(has) != owner:
		return ErrLeased
	}
	return putTemporary(w, leaseName(name), []byte(owner), ttl)
}

// releaseLease drops the lease if it is the owner's.
func releaseLease(w Writer, name, owner string) error {
	has, err := temporaryOrNil(w, leaseName(name))
	if err != nil || string(has) != owner {
		return err
	}
	return w.DropTemporary(leaseName(name))
}

func leaseName(name string) string { return "lease " + name }
