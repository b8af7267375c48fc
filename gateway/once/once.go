// Package once delivers to a service what may come several times, once: a message or a notification that is sent again until
// it is answered, over several connections and to several gateways.
package once

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// RememberFor is for how long a delivery is remembered.
const RememberFor = 48 * time.Hour

// MaxAnswer is the length of the longest answer, in bytes, so that each can be given again: the store keeps 4 KiB, of which one
// byte is the state.
const MaxAnswer = 4<<10 - 1

// maxRemembered is how many deliveries memory has that the store could not be told of: 16 MiB with their answers. Beyond it the
// oldest is forgotten.
const maxRemembered = 4096

var (
	// ErrUnderWay is something that is being delivered for longer than its repetition can wait.
	ErrUnderWay = errors.New("it is being delivered")

	errPanicked = errors.New("the delivery panicked")
)

// Deliveries are those of one kind. It is safe for concurrent use.
type Deliveries struct {
	store    Store // may be nil: memory alone knows
	kind     string
	repeated prometheus.Counter
	now      func() time.Time

	mu       sync.Mutex
	underWay map[string]*delivery
	noted    map[string]*delivery // those that the store does not know
	order    []*delivery          // of noted, oldest first
}

// delivery is one delivery, here.
type delivery struct {
	key     string
	done    chan struct{} // closed when the rest is final
	answer  []byte
	err     error
	expires time.Time
}

// New returns what knows the deliveries of a kind that a store remembers. repeated counts those that are not delivered again.
func New(store Store, kind string, repeated prometheus.Counter, now func() time.Time) *Deliveries {
	return &Deliveries{
		store: store, kind: kind, repeated: repeated, now: now,
		underWay: make(map[string]*delivery), noted: make(map[string]*delivery),
	}
}

// Send delivers, and returns what the service answered. repeat says that an earlier attempt may have reached the service: it
// failed, its process ended, or nobody knows. An error means that the service did not accept it. The answer has at
// most MaxAnswer bytes.
type Send func(ctx context.Context, repeat bool) (answer []byte, err error)

// Deliver delivers what has that key, unless it was accepted within RememberFor: then the answer is what was answered then.
// While it is being delivered, here or by another gateway, it waits for that, and has the same answer or error. ctx has a
// deadline, of all of it.
func (d *Deliveries) Deliver(ctx context.Context, key string, send Send) (answer []byte, err error) {
	f, ours := d.join(key)
	if !ours {
		d.repeated.Inc()
	}
	for !ours {
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ErrUnderWay
		}
		if !errors.Is(f.err, ErrUnderWay) { // of one that could not wait as long
			return f.answer, f.err
		}
		f, ours = d.join(key)
	}
	noted := false
	f.err = errPanicked
	defer func() { d.leave(f, noted) }()
	f.answer, noted, f.err = d.deliver(ctx, key, send)
	return f.answer, f.err
}

// deliver is Deliver among several gateways; noted means that the store knows the outcome.
func (d *Deliveries) deliver(ctx context.Context, key string, send Send) (answer []byte, noted bool, err error) {
	c := newClaim(d.store, d.kind, key)
	answer, repeat, err := c.take(ctx)
	switch {
	case errors.Is(err, errDelivered):
		d.repeated.Inc()
		return answer, true, nil
	case errors.Is(err, ErrUnderWay):
		return nil, true, err
	}
	sending, cancel := c.leaveTime(ctx)
	defer cancel()
	if answer, err = send(sending, repeat); err != nil {
		c.giveUp(ctx)
		return nil, true, err
	}
	return answer, c.finish(ctx, answer), nil
}

// Key is what a service can know a delivery by, of the same length for every key: what WeChat calls it may be a secret of others.
func Key(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// join returns the delivery under way or known here, or begins one, which is ours.
func (d *Deliveries) join(key string) (f *delivery, ours bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f = d.underWay[key]; f != nil {
		return f, false
	}
	if f = d.noted[key]; f != nil {
		return f, false
	}
	f = &delivery{key: key, done: make(chan struct{})}
	d.underWay[key] = f
	return f, true
}

// leave ends a delivery. One that was accepted is remembered here if the store does not know it.
func (d *Deliveries) leave(f *delivery, noted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.underWay, f.key)
	if f.err == nil && !noted {
		d.forget()
		f.expires = d.now().Add(RememberFor)
		d.noted[f.key] = f
		d.order = append(d.order, f)
	}
	close(f.done)
}

// forget forgets what is over, and the oldest of too many. The caller holds mu.
func (d *Deliveries) forget() {
	for len(d.order) > 0 && (len(d.order) >= maxRemembered || !d.now().Before(d.order[0].expires)) {
		delete(d.noted, d.order[0].key)
		d.order = d.order[1:]
	}
}
