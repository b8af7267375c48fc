package badger

import (
	"fmt"
	"time"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

const diskCheckEvery = time.Second

// look asks for the space, takes writing up again when there is room, and otherwise refuses writes from now on.
func (s *Store) look() {
	now, err := s.statfs(s.dir)
	if err != nil {
		s.log.Warn("looking at the disk", "error", err)
		return
	}
	s.low = now.Free < now.Watermark()
	isOpen, readOnly := s.engine.state()
	switch {
	case !isOpen: // reopening had failed
		s.change(s.low || s.failed != nil, now)
	case readOnly && s.failed == nil && now.Free >= now.Resume():
		s.change(false, now)
	default:
		s.show(readOnly)
	}
}

// rest makes the database read-only on a disk that stays low, so that compactions and Close have nothing to write when it
// is full one day. That itself writes what is in memory, so it waits until the disk has not filled up further for a
// while; with less room than it needs the database stays as it is, idle.
func (s *Store) rest() {
	now, err := s.statfs(s.dir)
	before := s.freeBefore
	s.freeBefore = now.Free
	isOpen, readOnly := s.engine.state()
	if err == nil && isOpen && !readOnly && now.Free < now.Watermark() && now.Free >= disk.FlushNeeds && now.Free >= before {
		s.change(true, now)
	}
}

// change reopens the database.
func (s *Store) change(readOnly bool, now disk.Space) {
	if err := s.engine.reopen(readOnly); err != nil {
		s.log.Error("reopening the store", "error", err)
		s.show(true)
		return
	}
	s.log.Warn("the store changed", "writable", !readOnly, "free_bytes", now.Free, "needed_bytes", now.Watermark())
	s.show(readOnly)
}

func (s *Store) show(readOnly bool) {
	writable := 1.0
	if readOnly || s.low || s.failed != nil {
		writable = 0
	}
	s.metrics.writable.Set(writable)
	s.refusing.Store(writable == 0)
}

// writable says nil, or why nothing is written now. Only the writer calls it, before each transaction.
func (s *Store) writable() error {
	s.look()
	if s.failed != nil {
		return fmt.Errorf("writing failed before, restart: %w: %w", storage.ErrUnavailable, s.failed)
	}
	if isOpen, readOnly := s.engine.state(); s.low || readOnly || !isOpen {
		return fmt.Errorf("the disk of %s is full: %w", s.dir, storage.ErrUnavailable)
	}
	return s.engine.logs.Reserve()
}
