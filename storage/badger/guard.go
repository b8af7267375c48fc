package badger

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

const diskCheckEvery = time.Second

// guard stops writes while the disk is low on space, and after a commit has failed. Once the store is open only the
// writer calls it, except for refusing.
type guard struct {
	dir    string
	statfs disk.StatFS
	log    *slog.Logger
	gauge  prometheus.Gauge // 1 while there are writes
	engine *engine          // that is open

	refusing   atomic.Bool // what Ready tells
	low        bool        // the disk is below its watermark
	failed     error       // a commit failed
	freeBefore uint64      // what the disk had a second ago, in bytes
}

// open opens the database of the folder, read-only when the disk is full.
func (g *guard) open(e *engine, now disk.Space) error {
	g.engine = e
	g.low = now.Free < now.Watermark()
	if err := e.open(g.low); err != nil {
		return err
	}
	g.show(g.low)
	return nil
}

// look checks the space; it resumes writing if there is room, and otherwise refuses writes from now on.
func (g *guard) look() {
	now, err := g.statfs(g.dir)
	if err != nil {
		g.log.Warn("looking at the disk", "error", err)
		return
	}
	g.low = now.Free < now.Watermark()
	isOpen, readOnly := g.engine.state()
	switch {
	case !isOpen: // reopening had failed
		g.change(g.low || g.failed != nil, now)
	case readOnly && g.failed == nil && now.Free >= now.Resume():
		g.change(false, now)
	default:
		g.show(readOnly)
	}
}

// rest makes the database read-only if the disk stays low, so that compactions and Close have nothing to write once it
// is full. That itself writes the memory tables, so it waits until the disk has not filled up further for a while;
// without enough room for it the database stays as it is, idle.
func (g *guard) rest() {
	now, err := g.statfs(g.dir)
	before := g.freeBefore
	g.freeBefore = now.Free
	isOpen, readOnly := g.engine.state()
	if err == nil && isOpen && !readOnly && now.Free < now.Watermark() && now.Free >= disk.FlushNeeds && now.Free >= before {
		g.change(true, now)
	}
}

// canReopen reports whether the database can be closed and opened, which writes the memory tables.
func (g *guard) canReopen() bool {
	now, err := g.statfs(g.dir)
	return err == nil && g.failed == nil && now.Free >= max(now.Watermark(), disk.FlushNeeds)
}

// change reopens the database.
func (g *guard) change(readOnly bool, now disk.Space) {
	if err := g.engine.reopen(readOnly); err != nil {
		g.log.Error("reopening the store", "error", err)
		g.show(true)
		return
	}
	g.log.Warn("the store changed", "writable", !readOnly, "free_bytes", now.Free, "needed_bytes", now.Watermark())
	g.show(readOnly)
}

func (g *guard) show(readOnly bool) {
	writable := 1.0
	if readOnly || g.low || g.failed != nil {
		writable = 0
	}
	g.gauge.Set(writable)
	g.refusing.Store(writable == 0)
}

// writable returns nil, or why nothing can be written now. It is called before each transaction.
func (g *guard) writable() error {
	g.look()
	if g.failed != nil {
		return fmt.Errorf("writing failed before, restart: %w: %w", storage.ErrUnavailable, g.failed)
	}
	if isOpen, readOnly := g.engine.state(); g.low || readOnly || !isOpen {
		return fmt.Errorf("the disk of %s is full: %w", g.dir, storage.ErrUnavailable)
	}
	return g.engine.logs.Reserve()
}

// close closes the database, unless it is writable and the disk has no room for what that would write: then it is left
// as after a crash, which loses nothing.
func (g *guard) close() error {
	isOpen, readOnly := g.engine.state()
	now, err := g.statfs(g.dir)
	if isOpen && !readOnly && err == nil && now.Free < disk.FlushNeeds {
		g.log.Warn("the disk is full, leaving the store as it is; the next start replays its log")
		g.engine.abandon()
		return nil
	}
	return g.engine.close()
}
