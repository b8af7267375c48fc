package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/tracing/span"
)

// Store keeps users, session_keys, sessions and revocations with a driver. It must be closed.
type Store struct {
	driver     Driver
	log        *slog.Logger
	registerer prometheus.Registerer
	metrics    *metrics
	recording  atomic.Bool // of events
	reseal     resealing
	news       chan int64 // users with new ones

	stop   context.CancelFunc // ends the forgetting
	forgot chan struct{}      // closed when it has ended
	close  func() error
}

// forgetEvery is how often a store forgets.
const forgetEvery = time.Minute

// maxNews is how many users of new events wait to be received.
const maxNews = 1024

// New returns a Store on an open driver, which Close closes. system is what storage.driver calls it. The metrics are
// registered with reg until Close.
func New(system string, driver Driver, reg prometheus.Registerer, log *slog.Logger) (*Store, error) {
	kind := span.Internal
	if driver.Shared() {
		kind = span.Client
	}
	m, err := newMetrics(system, kind, reg)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{
		driver: driver, log: log, registerer: reg, metrics: m, news: make(chan int64, maxNews), stop: stop, forgot: make(chan struct{}),
	}
	s.close = sync.OnceValue(s.shut)
	go s.forgetter(ctx)
	return s, nil
}

// read returns what find finds in the newest state. An error names the operation and the user.
func read[T any](ctx context.Context, s *Store, op operation, find func(Reader) (T, error), user ...int64) (T, error) {
	defer s.metrics.observe(op, time.Now())
	ctx, part := s.metrics.startSpan(ctx, op)
	var found T
	err := s.driver.Read(ctx, func(r Reader) (err error) {
		found, err = find(r)
		return err
	})
	endSpan(part, err)
	if err != nil {
		var none T
		return none, op.wrap(err, user)
	}
	return found, nil
}

// write returns what change returns once what it wrote is kept for good. An error names the operation and the user.
func write[T any](ctx context.Context, s *Store, op operation, change func(Writer) (T, error), user ...int64) (T, error) {
	defer s.metrics.observe(op, time.Now())
	ctx, part := s.metrics.startSpan(ctx, op)
	var (
		changed T
		events  *recorder
	)
	err := s.driver.Write(ctx, func(w Writer) (err error) {
		if s.recording.Load() {
			events = &recorder{Writer: w}
			w = events
		}
		changed, err = change(w)
		return err
	})
	endSpan(part, err)
	if err != nil {
		var none T // changed may still be written to
		return none, op.wrap(err, user)
	}
	s.announce(events)
	return changed, nil
}

// guarded runs code of the caller; its panic is an error of this operation alone.
func guarded(change func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in a change: %v", r)
		}
	}()
	return change()
}

// Temporary returns a temporary value, or ErrNotFound if it is not there or has ended.
func (s *Store) Temporary(ctx context.Context, name string) ([]byte, error) {
	return read(ctx, s, opTemporary, func(r Reader) ([]byte, error) {
		value, _, err := r.Temporary(name)
		return value, err
	})
}

// Temporaries returns at most limit names of temporary values that begin with prefix, in the order of their bytes.
func (s *Store) Temporaries(ctx context.Context, prefix string, limit int) ([]string, error) {
	return read(ctx, s, opTemporary, func(r Reader) ([]string, error) { return r.Temporaries(prefix, limit) })
}

// ChangeTemporary replaces a temporary value by what change makes of it, in one transaction. change gets nil when there is
// none, and may run several times. A life of 0 drops the value; after an error of change it stays as it was.
//
// A name has at most 128 bytes, a value 4 KiB, and it lives for a week at most.
func (s *Store) ChangeTemporary(ctx context.Context, name string, change func(value []byte) (next []byte, life time.Duration, err error)) error {
	_, err := write(ctx, s, opChangeTemporary, func(w Writer) (struct{}, error) {
		value, err := temporaryOrNil(w, name)
		if err != nil {
			return struct{}{}, err
		}
		var life time.Duration
		err = guarded(func() error {
			value, life, err = change(value)
			return err
		})
		switch {
		case err != nil:
			return struct{}{}, err
		case life == 0:
			return struct{}{}, w.DropTemporary(name)
		}
		return struct{}{}, putTemporary(w, name, value, life)
	})
	return err
}

// ID returns the random id of the data set. Wiped data get a new one, so that tokens with the old id cannot mean
// somebody else.
func (s *Store) ID() string { return ServedID(s.driver.ID()) }

// Complete returns ErrIncomplete while the store is being filled: it must not serve.
func (s *Store) Complete() error { return CheckComplete(s.ID()) }

// Shared reports whether other processes may have the store open too.
func (s *Store) Shared() bool { return s.driver.Shared() }

// Epoch returns the epoch of tokens that are issued now.
func (s *Store) Epoch() string { return s.driver.Epoch() }

// Issued reports whether this state of the store may have issued tokens in an epoch at a time, to the second. It reads
// the records only for what memory does not affirm.
func (s *Store) Issued(ctx context.Context, epoch string, at time.Time) (bool, error) {
	if epoch == s.Epoch() {
		return true, nil
	}
	if until, known := s.driver.EpochEnd(epoch); known && mayHaveIssued(until, at) {
		return true, nil
	}
	until, err := read(ctx, s, opIssued, func(r Reader) (time.Time, error) { return r.EpochEnd(epoch) })
	return err == nil && mayHaveIssued(until, at), err
}

// mayHaveIssued reports whether an epoch that ended then issued tokens at a time.
func mayHaveIssued(until, at time.Time) bool { return at.Unix() <= until.Unix() && !until.IsZero() }

// Past returns the time before which ended records are deleted.
func (s *Store) Past() time.Time { return s.driver.Past() }

// Forget deletes some of what has ended before the horizon: sessions, revocations, epochs. The store calls it every
// minute.
func (s *Store) Forget(ctx context.Context) error {
	defer s.metrics.observe(opForget, time.Now())
	if err := s.driver.Forget(ctx); err != nil {
		return opForget.wrap(err, nil)
	}
	return nil
}

// forgetter calls Forget until ctx ends.
func (s *Store) forgetter(ctx context.Context) {
	defer close(s.forgot)
	ticker := time.NewTicker(forgetEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.Forget(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrUnavailable) {
			s.log.Error("deleting expired records", "error", err)
		}
	}
}

// Snapshot calls each with every record of one moment, in the order of Kinds, while logins go on. An error of each ends it
// and is returned.
func (s *Store) Snapshot(ctx context.Context, each func(Record) error) error {
	defer s.metrics.observe(opSnapshot, time.Now())
	var refused error
	err := s.driver.Snapshot(ctx, func(r Record) error {
		refused = each(r)
		return refused
	})
	if err != nil && refused == nil {
		return opSnapshot.wrap(err, nil)
	}
	return err
}

// Load writes records of another data set as they are, some hundred in a transaction. Loading them again changes nothing.
// ErrConflict is a user whose id or openid is somebody else's here, or who was erased. The store must not be serving: it
// keeps its id, and what memory knows of revocations and epochs does not change.
func (s *Store) Load(ctx context.Context, records []Record) error {
	defer s.metrics.observe(opLoad, time.Now())
	err := loads(records, func(some []Record) error { return s.driver.Load(ctx, some) })
	if err != nil {
		return opLoad.wrap(err, nil)
	}
	return nil
}

// Ready returns nil while the store accepts reads and writes, or ErrUnavailable.
func (s *Store) Ready(ctx context.Context) error { return s.driver.Ready(ctx) }

// Close waits for the commit in progress, refuses later operations with ErrUnavailable, and closes the driver. Further
// calls return the same result.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
	s.stop()
	<-s.forgot
	err := s.driver.Close()
	s.registerer.Unregister(s.metrics.vector)
	return err
}
