package badger

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

// operation is a write on its way to the writer.
type operation struct {
	ctx  context.Context
	run  func(*view) error
	err  error         // of run, or of the commit
	done chan struct{} // closed when err is final
}

// driver is a database that is read by many and written by one goroutine.
type driver struct {
	*database
	queue     chan *operation
	handOvers chan handOver
	released  sync.RWMutex  // held while the folder is; reads wait for it
	closing   chan struct{} // closed by Close
	stopped   chan struct{} // closed by the writer when it is gone
	close     func() error
}

func newDriver(db *database) *driver {
	d := &driver{
		database:  db,
		queue:     make(chan *operation, queueLength),
		handOvers: make(chan handOver),
		closing:   make(chan struct{}),
		stopped:   make(chan struct{}),
	}
	d.close = sync.OnceValue(func() error {
		close(d.closing)
		<-d.stopped
		return db.release()
	})
	go d.writer()
	return d
}

// Read runs find on the newest state.
func (d *driver) Read(ctx context.Context, find func(storage.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.released.RLock()
	defer d.released.RUnlock()
	return d.engine.transaction(false, func(txn *badger.Txn) error {
		return find(d.readView(txn))
	})
}

// Snapshot yields every record of one moment.
func (d *driver) Snapshot(ctx context.Context, each func(storage.Record) error) error {
	s, err := d.newSnapshot()
	if err != nil {
		return err
	}
	defer s.discard()
	return s.run(ctx, each)
}

// Load writes records of another data set as they are.
func (d *driver) Load(ctx context.Context, records []storage.Record) error {
	return d.write(ctx, func(v *view) error {
		for _, r := range records {
			if err := (loader{v, d.database}).load(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// Write passes change to the writer and waits until what it put is on disk. A caller whose context ends does not wait,
// and its change may or may not be written.
func (d *driver) Write(ctx context.Context, change func(storage.Writer) error) error {
	return d.write(ctx, func(v *view) error { return change(v) })
}

func (d *driver) write(ctx context.Context, run func(*view) error) error {
	op := &operation{ctx: ctx, run: run, done: make(chan struct{})}
	select {
	case d.queue <- op:
	case <-ctx.Done():
		return ctx.Err()
	case <-d.stopped:
		return errClosed
	}
	select {
	case <-op.done:
		return op.err
	case <-ctx.Done():
		return ctx.Err()
	case <-d.stopped:
		return op.outcome()
	}
}

// Forget deletes some of what has ended before the horizon, and the temporary values that have ended.
func (d *driver) Forget(ctx context.Context) error {
	err := d.write(ctx, d.forgetSome)
	for more := true; more && err == nil; {
		err = d.write(ctx, func(v *view) (err error) {
			more, err = forgetTemporary(v)
			return err
		})
	}
	return err
}

// Ready returns nil while the store accepts reads and writes, or ErrUnavailable.
func (d *driver) Ready(ctx context.Context) error {
	select {
	case <-d.closing:
		return errClosed
	default:
	}
	if d.guard.refusing.Load() {
		return fmt.Errorf("%s does not accept writes: %w", d.dir, storage.ErrUnavailable)
	}
	return ctx.Err()
}

// Close waits for the commit in progress, refuses later operations with ErrUnavailable, and releases the folder.
func (d *driver) Close() error { return d.close() }

// errClosed is returned by every operation on a closed store.
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

// writer is the only goroutine that writes; it also watches the disk.
func (d *driver) writer() {
	defer close(d.stopped)
	ticker := time.NewTicker(diskCheckEvery)
	defer ticker.Stop()
	for {
		select {
		case <-d.closing:
			return
		case <-ticker.C:
			d.guard.look()
			d.guard.rest()
			d.tendCompactors()
		case op := <-d.queue:
			d.commit(d.gather(op))
		case t := <-d.handOvers:
			if !d.handOver(t) {
				return
			}
		}
	}
}

// gather returns first and the operations queued behind it, without waiting for more.
func (d *driver) gather(first *operation) []*operation {
	ops := []*operation{first}
	for len(ops) < opsPerCommit {
		select {
		case op := <-d.queue:
			ops = append(ops, op)
		default:
			return ops
		}
	}
	return ops
}

// commit runs the operations and answers each, in as few transactions as their size allows.
func (d *driver) commit(ops []*operation) {
	for len(ops) > 0 {
		ran, size := 0, 0
		err := d.guard.writable()
		if err == nil {
			ran, size, err = d.commitSome(ops)
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
		if d.engine.unlooked += size; d.engine.unlooked >= lookAfter {
			d.tendCompactors()
		}
	}
}

// commitSome runs operations from the front until the transaction is large enough and commits it. An error is that of
// the transaction; those of operations are in them. size is what was written, in bytes.
func (d *driver) commitSome(ops []*operation) (ran, size int, err error) {
	var reached counters
	err = d.engine.transaction(true, func(txn *badger.Txn) error {
		v := d.writeView(txn)
		for ran < len(ops) && v.size < bytesPerCommit {
			op := ops[ran]
			if op.err = op.ctx.Err(); op.err == nil {
				op.err = v.attempt(op.run)
			}
			ran++
		}
		reached, err = v.flush()
		size = v.size
		return err
	})
	if err != nil {
		return ran, 0, d.fail(err)
	}
	reached.raise(d.highWater)
	return ran, size, nil
}

// fail ends writing until a restart: after a failed sync nobody knows which pages reached the disk, and a later sync may
// wrongly succeed (what PostgreSQL learned as fsyncgate). A transaction too big was never begun.
func (d *driver) fail(err error) error {
	if !errors.Is(err, badger.ErrTxnTooBig) && !errors.Is(err, storage.ErrUnavailable) {
		d.guard.failed = err
		d.log.Error("writing failed, the store is read-only until a restart", "error", err)
	}
	return fmt.Errorf("committing: %w: %w", storage.ErrUnavailable, err)
}
