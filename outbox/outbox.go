// Package outbox tells a service about users: of first logins, of changes and of erasures.
//
// What must be told is part of the transaction that changes the user, and stays in the store until the service has
// answered 2xx: a crash loses nothing, and repeats at most what was on its way, with the same id. Of one user the
// service is told in order, one event after the other, by one gateway at a time; of several users at once. A request is
// signed as Standard Webhooks (https://www.standardwebhooks.com) prescribes.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn"
	"wxgate/lograte"
	"wxgate/storage"
	"wxgate/upstream"
)

// Store is what an Outbox needs from storage; package storage documents each method.
type Store interface {
	RecordEvents(on bool)
	News() <-chan int64
	NextEvent(ctx context.Context, userID int64) (*storage.Delivery, error)
	UsersToTell(ctx context.Context, after int64, limit int) ([]int64, error)
	TellAgain(ctx context.Context, after int64, limit int) ([]int64, error)
	WaitingEvents(ctx context.Context, after int64, limit int) ([]storage.UserEvents, error)
}

var (
	_ Store           = (*storage.Store)(nil)
	_ authn.Announcer = (*Outbox)(nil)
)

const (
	concurrent      = 16                     // deliveries at a time
	attemptTimeout  = 5 * time.Second        // of one request
	eventsPerFlight = 4                      // of one user, before others have their turn
	firstPause      = time.Second            // before what failed is told again; twice as long each time
	longestPause    = time.Minute            // between two rounds
	calmPause       = 5 * time.Second        // between two rounds when nothing failed: another gateway may have been killed
	leasedFirst     = 20 * time.Millisecond  // before an event that another gateway delivers is looked at again; twice as long each time
	leasedMost      = 250 * time.Millisecond // at most
	leaseWait       = 10 * time.Second       // and until when: a little longer than it has one
	leastLeft       = time.Second            // of the time to deliver an event, or a request would say nothing about the service
	usersPerRead    = 500                    // of a round
)

// Outbox delivers the events of a store. It is safe for concurrent use.
type Outbox struct {
	store   Store
	linked  func(ctx context.Context, d *storage.Delivery) error // notes that the service has accepted a storage.EventMerged
	log     *lograte.Log
	now     func() time.Time
	metrics *metrics
	service atomic.Pointer[service] // nil: nobody is told
	changed chan struct{}           // the service was configured
	slots   chan struct{}           // taken by deliveries, and all of them by Pause
	pausing atomic.Bool

	ctx     context.Context // ends with Stop
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	flights map[int64]*flight // by user
	failed  map[int64]failure // by user
}

// service is who is told, and how.
type service struct {
	name     string // in upstreams
	upstream *upstream.Upstream
	path     string
	key      []byte
	wait     bool
}

// flight is the delivery of the events of one user.
type flight struct {
	done chan struct{} // closed when err is final
	err  error
}

// New returns an Outbox that tells nobody until Prepare. Stop it before the store is closed, and Wait for it then. linked is
// called once the service has accepted that an account is another user's: authn.Users.Linked.
func New(store Store, linked func(context.Context, *storage.Delivery) error, reg prometheus.Registerer, log *slog.Logger, now func() time.Time) *Outbox {
	ctx, stop := context.WithCancel(context.Background())
	o := &Outbox{
		store: store, linked: linked, log: lograte.New(log, now), now: now, metrics: newMetrics(reg),
		changed: make(chan struct{}, 1), slots: make(chan struct{}, concurrent),
		ctx: ctx, stop: stop, flights: make(map[int64]*flight), failed: make(map[int64]failure),
	}
	o.running.Go(o.run)
	return o
}

// Prepare makes a change of the service that is told, one that upstreams has; apply lets it be told from then on. cfg is
// valid. Without a service nobody is told, and what was recorded waits.
func (o *Outbox) Prepare(cfg authn.OnUserConfig, upstreams map[string]*upstream.Upstream) (apply func(), err error) {
	if cfg.Upstream == "" {
		return func() {
			o.store.RecordEvents(false)
			o.service.Store(nil)
		}, nil
	}
	key, err := cfg.Key()
	if err != nil {
		return nil, fmt.Errorf("authn.on_user.secret: %w", err)
	}
	return func() {
		o.service.Store(&service{cfg.Upstream, upstreams[cfg.Upstream], cfg.Path, key, cfg.Wait})
		o.store.RecordEvents(true)
		select {
		case o.changed <- struct{}{}:
		default:
		}
	}, nil
}

// Pause begins no delivery any more and waits for those in flight, each of which ends after the event that is on its way. It
// holds until Resume; after an error, deliveries go on.
func (o *Outbox) Pause(ctx context.Context) error {
	o.pausing.Store(true)
	for taken := range concurrent {
		select {
		case o.slots <- struct{}{}:
		case <-ctx.Done():
			o.resume(taken)
			return ctx.Err()
		}
	}
	return nil
}

// Resume ends a Pause.
func (o *Outbox) Resume() { o.resume(concurrent) }

func (o *Outbox) resume(taken int) {
	o.pausing.Store(false)
	for range taken {
		<-o.slots
	}
}

// Stop ends deliveries; what was not told stays in the store.
func (o *Outbox) Stop() { o.stop() }

// Wait waits until all that Stop ended is over. A read of a store that was handed to a successor ends when the store is
// closed.
func (o *Outbox) Wait() { o.running.Wait() }

// Waits reports whether a first login waits until the service has accepted the user.
func (o *Outbox) Waits() bool {
	s := o.service.Load()
	return s != nil && s.wait
}

// Tell delivers everything that waits about a user and returns nil once the service has accepted it. While another gateway
// delivers something of the user it waits: for that to be told, or for its lease to end, if that gateway is gone. The
// delivery does not end with ctx.
func (o *Outbox) Tell(ctx context.Context, userID int64) error {
	over := time.Now().Add(leaseWait)
	for pause := leasedFirst; ; {
		f, ours := o.fly(userID)
		select {
		case <-f.done:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", authn.ErrUserService, ctx.Err())
		}
		if errors.Is(f.err, storage.ErrLeased) && time.Now().Before(over) {
			if err := o.rest(ctx, pause); err != nil {
				return err
			}
			pause = min(2*pause, leasedMost)
			continue
		}
		if ours || f.err != nil {
			return f.err
		}
		// That of somebody else may have ended just before our event was recorded.
	}
}

// rest waits, unless ctx or the outbox ends before.
func (o *Outbox) rest(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", authn.ErrUserService, ctx.Err())
	case <-o.ctx.Done():
		return errStopped
	}
}

// fly returns the delivery of a user's events that is under way, or begins one; ours means that it has just begun.
func (o *Outbox) fly(userID int64) (f *flight, ours bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f = o.flights[userID]; f != nil {
		return f, false
	}
	f = &flight{done: make(chan struct{})}
	o.flights[userID] = f
	o.running.Go(func() {
		f.err = errStopped // should the delivery panic
		defer close(f.done)
		defer o.land(userID)
		f.err = o.deliver(userID)
	})
	return f, true
}

func (o *Outbox) land(userID int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.flights, userID)
}

var (
	errStopped = fmt.Errorf("%w: the gateway stops", authn.ErrUserService)
	errPaused  = fmt.Errorf("%w: the gateway hands over to a successor", authn.ErrUserService)
)

// deliver tells the service what waits about a user, in order, until something is not accepted, or is another gateway's to
// deliver: nobody waits for that with a slot in hand.
func (o *Outbox) deliver(userID int64) error {
	select {
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
	case <-o.ctx.Done():
		return errStopped
	}
	for range eventsPerFlight {
		if o.pausing.Load() {
			return errPaused
		}
		next, err := o.store.NextEvent(o.ctx, userID)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return nil
		case errors.Is(err, storage.ErrLeased):
			return errElsewhere
		case err != nil:
			return err
		}
		if err := o.attempt(next); err != nil {
			o.giveUp(next)
			return err
		}
		if err := o.accepted(next); err != nil {
			return err
		}
	}
	return nil
}

// accepted notes that the service has accepted an event.
func (o *Outbox) accepted(next *storage.Delivery) error {
	if next.Type == storage.EventMerged {
		return o.linked(o.ctx, next)
	}
	return next.Told(o.ctx)
}

// errElsewhere is an event that is another gateway's to deliver, or about to be.
var errElsewhere = fmt.Errorf("%w: the event is not ours to deliver: %w", authn.ErrUserService, storage.ErrLeased)

// giveUp leaves an event to the next attempt, of any gateway. If the store does not hear of it, that has to wait for the
// end of the lease.
func (o *Outbox) giveUp(next *storage.Delivery) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.ctx), time.Second)
	defer cancel()
	_ = next.GiveUp(ctx)
}

// attempt sends one event, and counts and logs how it went. It ends before the event is another gateway's to deliver. One that
// a slow store has handed over late is left: a service that has no time to answer is not silent.
func (o *Outbox) attempt(next *storage.Delivery) error {
	s := o.service.Load()
	if s == nil {
		return fmt.Errorf("%w: authn.on_user names no service", authn.ErrUserService)
	}
	left := next.Left()
	if left < leastLeft {
		return errElsewhere
	}
	ctx, cancel := context.WithTimeout(o.ctx, min(attemptTimeout, left))
	defer cancel()
	err := s.send(ctx, next.Event, next.User, o.now())
	o.note(next, err)
	if err == nil {
		o.metrics.told.Inc()
		return nil
	}
	kind := lograte.Kind{Message: "the service did not accept a user, and will be told again", Reason: "refused"}
	if unreachable(err) {
		kind.Reason = "unavailable"
		o.metrics.unavailable.Inc()
	} else {
		o.metrics.refused.Inc()
	}
	o.log.Warn(kind, "user", next.User.ID, "event", string(next.Type), "error", err)
	return err
}

// TellAgain records events for up to limit users with ids above after, and delivers them. An error is that of a service
// that does not answer; the events stay and are delivered later.
func (o *Outbox) TellAgain(ctx context.Context, after int64, limit int) (authn.ToldAgain, error) {
	result := authn.ToldAgain{Refused: []int64{}}
	if o.service.Load() == nil {
		return result, fmt.Errorf("%w: authn.on_user names no service", authn.ErrInvalidRequest)
	}
	ids, err := o.store.TellAgain(ctx, after, limit)
	if err != nil {
		return result, err
	}
	told := make([]error, len(ids))
	var telling sync.WaitGroup
	for i, id := range ids {
		telling.Go(func() { told[i] = o.Tell(ctx, id) })
	}
	telling.Wait()
	for i, err := range told {
		switch {
		case err == nil:
			result.Told++
		case unreachable(err):
			return result, err
		default:
			result.Refused = append(result.Refused, ids[i])
		}
	}
	if len(ids) == limit {
		result.Next = &ids[len(ids)-1]
	}
	return result, nil
}
