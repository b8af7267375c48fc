package badger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"wxgate/storage"
)

// Badger syncs its log once per transaction and has no group commit: 4,000 transactions a second from one caller, 6,400
// from many. One goroutine therefore gathers the operations that arrived while the last commit was on its way to the disk
// into one transaction, which gives 50,000 logins a second, and, being alone, never meets a conflict.
const (
	opsPerCommit   = 64
	bytesPerCommit = 512 << 10        // a transaction of Badger is bounded by 15 % of disk.MemTableSize
	queueLength    = 4 * opsPerCommit // callers beyond it wait outside
)

// operation is one write on its way to the writer.
type operation struct {
	ctx  context.Context
	run  func(*view) error
	err  error         // of run, or of the commit
	done chan struct{} // closed when err is final
}

// write hands run to the writer and waits until what it put is on the disk. A caller whose context ends does not wait,
// and its write may land or not.
func (s *Store) write(ctx context.Context, o opName, run func(*view) error) error {
	defer s.metrics.observe(o, time.Now())
	op := &operation{ctx: ctx, run: run, done: make(chan struct{})}
	select {
	case s.queue <- op:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return errClosed
	}
	select {
	case <-op.done:
		return op.err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return op.outcome()
	}
}

// errClosed is what every operation on a closed store gets.
var errClosed = fmt.Errorf("the store is closed: %w", storage.ErrUnavailable)

// outcome is the result of an operation once the writer is gone.
func (op *operation) outcome() error {
	select {
	case <-op.done:
		return op.err
	default:
		return errClosed
	}
}

// writer is the goroutine that alone writes, and that watches the disk.
func (s *Store) writer() {
	defer close(s.stopped)
	ticker := time.NewTicker(diskCheckEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-ticker.C:
			s.guard.look()
			s.guard.rest()
		case op := <-s.queue:
			s.commit(s.gather(op))
		case t := <-s.turns:
			if !s.lend(t) {
				return
			}
		}
	}
}

// gather takes what waits behind first, without waiting for more.
func (s *Store) gather(first *operation) []*operation {
	ops := []*operation{first}
	for len(ops) < opsPerCommit {
		select {
		case op := <-s.queue:
			ops = append(ops, op)
		default:
			return ops
		}
	}
	return ops
}

// commit runs the operations and answers each, in as few transactions as their size allows.
func (s *Store) commit(ops []*operation) {
	for len(ops) > 0 {
		ran := 0
		err := s.guard.writable()
		if err == nil {
			ran, err = s.commitSome(ops)
		}
		if err != nil && ran == 0 {
			ran = len(ops)
		}
		for _, op := range ops[:ran] {
			op.err = errors.Join(op.err)
			if err != nil && op.err == nil {
				op.err = err
			}
			close(op.done)
		}
		ops = ops[ran:]
	}
}

// commitSome runs operations from the front until the transaction is large enough and commits it. An error is that of
// the transaction; those of operations are in them.
func (s *Store) commitSome(ops []*operation) (ran int, err error) {
	var reached counters
	err = s.engine.transaction(true, func(txn *badger.Txn) error {
		v := s.writeView(txn)
		for ran < len(ops) && v.size < bytesPerCommit {
			op := ops[ran]
			if op.err = op.ctx.Err(); op.err == nil {
				op.err = v.attempt(op.run)
			}
			ran++
		}
		reached, err = v.flush()
		return err
	})
	if err != nil {
		return ran, s.fail(err)
	}
	reached.raise(s.highWater)
	return ran, nil
}

// flush commits what the operations put, together with the counters.
func (v *view) flush() (reached counters, err error) {
	if len(v.batch) == 0 {
		return counters{}, nil
	}
	err = v.attempt(func(v *view) error {
		if reached, err = v.counters(); err != nil {
			return err
		}
		if err := v.endEpoch(time.UnixMilli(reached.Latest)); err != nil {
			return err
		}
		reached, err = v.count(func(c *counters) { c.stamp(max(v.now.UnixMilli(), v.issued), v.horizon) })
		return err
	})
	if err != nil {
		return counters{}, err
	}
	for key, p := range v.batch {
		if p.gone {
			if err := v.txn.Delete([]byte(key)); err != nil {
				return counters{}, err
			}
			continue
		}
		if err := v.txn.Set([]byte(key), wrap(key, p.payload)); err != nil {
			return counters{}, err
		}
	}
	return reached, v.txn.Commit()
}

// fail ends writing until a restart: after a failed sync nobody knows which pages reached the disk, and a later sync may
// wrongly succeed (what PostgreSQL learned as fsyncgate). A transaction too big was never begun.
func (s *Store) fail(err error) error {
	if !errors.Is(err, badger.ErrTxnTooBig) && !errors.Is(err, storage.ErrUnavailable) {
		s.guard.failed = err
		s.log.Error("writing failed, the store is read-only until a restart", "error", err)
	}
	return fmt.Errorf("committing: %w: %w", storage.ErrUnavailable, err)
}
