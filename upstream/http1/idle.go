package http1

import (
	"slices"
	"sync"
	"time"
)

// idleConns are the connections of a pool that no exchange uses.
type idleConns struct {
	now    func() time.Time
	reaper *time.Timer // closes those that are idle for too long

	mu      sync.Mutex
	ready   []*conn // the latest used last
	watched []*conn // those back from a request with content, the latest last: see watchFor
	closed  bool
	armed   bool // the reaper will come
}

// put takes a connection in if it may stay, and reports whether it does. The reaper comes after idle, or before.
func (i *idleConns) put(c *conn, idle time.Duration, mayStay func() bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.closed || !mayStay():
		return false
	case c.content:
		c.watched = i.now()
		i.watched = append(i.watched, c)
	default:
		i.ready = append(i.ready, c)
	}
	if !i.armed {
		i.armed = true
		i.reaper.Reset(max(idle, time.Millisecond))
	}
	return true
}

// reapWithin makes the reaper come soon, if it will come at all: idle has changed.
func (i *idleConns) reapWithin(idle time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.armed {
		i.reaper.Reset(max(idle, time.Millisecond))
	}
}

// expired removes the connections that nobody has used for so long, and calls the reaper again when there are others.
func (i *idleConns) expired(idle time.Duration) []*conn {
	old := i.remove(func(c *conn) bool { return time.Since(c.retired) >= idle })
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.armed = len(i.ready)+len(i.watched) > 0; i.armed {
		i.reaper.Reset(max(idle/2, time.Millisecond))
	}
	return old
}

// take returns a connection for a request of user, nil when there is none: the user's own, or the one that was used
// last, which the service will close latest.
func (i *idleConns) take(user uint64) *conn {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.promote()
	if c := i.takeOwn(user); c != nil {
		return c
	}
	last := len(i.ready) - 1
	if last < 0 {
		return nil
	}
	c := i.ready[last]
	i.ready[last], i.ready = nil, i.ready[:last]
	return c
}

// promote makes the connections ready that were watched for long enough. The caller holds mu.
func (i *idleConns) promote() {
	if len(i.watched) == 0 {
		return
	}
	n, now := 0, i.now()
	for n < len(i.watched) && now.Sub(i.watched[n].watched) >= watchFor {
		n++
	}
	i.ready = append(i.ready, i.watched[:n]...)
	i.watched = slices.Delete(i.watched, 0, n)
}

// takeOwn returns the connection that carried content of the same user's last, nil when it is not there. Requests of
// nobody may be anybody's, so none of them shares with another. The caller holds mu.
func (i *idleConns) takeOwn(user uint64) *conn {
	if user == 0 {
		return nil
	}
	for n := len(i.watched) - 1; n >= max(0, len(i.watched)-watchedLook); n-- {
		if c := i.watched[n]; c.user == user {
			i.watched = slices.Delete(i.watched, n, n+1)
			return c
		}
	}
	return nil
}

// takeWatched returns the connection that is watched longest, when one more beside so many in use would be more than
// most.
func (i *idleConns) takeWatched(used, most int) *conn {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.watched) == 0 || len(i.watched)+len(i.ready)+used <= most {
		return nil
	}
	oldest := i.watched[0]
	i.watched = slices.Delete(i.watched, 0, 1)
	return oldest
}

// remove returns the connections that out chooses, watched ones too. They are not idle any more.
func (i *idleConns) remove(out func(*conn) bool) (chosen []*conn) {
	choose := func(c *conn) bool {
		if !out(c) {
			return false
		}
		chosen = append(chosen, c)
		return true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ready = slices.DeleteFunc(i.ready, choose)
	i.watched = slices.DeleteFunc(i.watched, choose)
	return chosen
}

// close lets no further connection in, and returns those that there are. first is false after the first call.
func (i *idleConns) close() (all []*conn, first bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, false
	}
	i.closed = true
	i.reaper.Stop()
	all = append(i.ready, i.watched...)
	i.ready, i.watched = nil, nil
	return all, true
}
