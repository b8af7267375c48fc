package listen

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Give hands over a client: its socket, and what it has sent of a request that is not answered. Once it returns nil,
// another process serves the client, and the client does not notice that we close our descriptor.
type Give func(client net.Conn, begun []byte) error

// errLeft ends a connection here that continues in another process. The server takes it for a silent end.
var errLeft = io.EOF

// wakeEvery is how often connections that wait for a request are woken to see whether they should leave.
const wakeEvery = 20 * time.Millisecond

// conns are the open connections of a listener that are read as HTTP.
type conns struct {
	mu  sync.Mutex
	all map[*Conn]struct{}
}

func (s *conns) add(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[*Conn]struct{})
	}
	s.all[c] = struct{}{}
}

func (s *conns) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, c)
}

// wake interrupts the connections that wait for their client, so that they check whether they should leave.
func (s *conns) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// HandOver stops accepting, and gives away every connection, at once if it waits for a request, otherwise as soon as
// its request is answered. Upgraded connections stay. The listener must still be closed.
func (l *Listener) HandOver(give Give) error {
	l.shared.give.Store(&give)
	return l.Listener.Close() // only ours: another process that holds the socket goes on accepting
}

// WaitLeft returns when no connection is left after HandOver, or when ctx ends.
func (l *Listener) WaitLeft(ctx context.Context) error {
	ticker := time.NewTicker(wakeEvery)
	defer ticker.Stop()
	for l.open.Load() > 0 {
		l.shared.conns.wake()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// Adopt takes over a connection that another process gave away, with what that had read of a request.
func (l *Listener) Adopt(client net.Conn, begun []byte) *Conn {
	release, _ := l.enter(client) // it was within the caps of that process
	l.accepted.Add(1)
	c := l.wrap(l.behindProxy(client), release)
	c.reads.head = time.Time{} // it is between two requests
	if p, ok := c.Conn.(*proxied); ok && len(begun) > 0 {
		p.rest = begun
		c.err = p.look()
		return c
	}
	c.keep(begun)
	c.unseen = len(begun) > 0
	return c
}

// wrap is newConn for a connection that can be woken.
func (l *Listener) wrap(client net.Conn, release func()) *Conn {
	var c *Conn
	c = newConn(client, l.shared, func() { l.shared.conns.remove(c); release() })
	l.shared.conns.add(c)
	return c
}

// Give gives the connection away, after a request that was read completely and is not answered here. Only the reader of
// the connection may call it, and then only Close.
func (c *Conn) Give(begun []byte) error {
	give := c.shared.give.Load()
	if give == nil {
		return errors.New("there is nobody to take the connection")
	}
	client := c.Conn
	begun = append(begun, c.rest...)
	if p, ok := client.(*proxied); ok {
		client, begun = p.Conn, append(p.begun(), begun...)
	}
	if err := (*give)(client, begun); err != nil {
		return err
	}
	c.left = true
	return nil
}

// leaves ends the connection here, with c.err, if it should leave and is between two requests or in the middle of a
// head: because it is given away, or because there is no next request and none is waited for.
func (c *Conn) leaves() bool {
	switch {
	case !c.judge.InHead():
		return false
	case c.shared.give.Load() != nil && c.Give(nil) == nil, c.drain.leaves.Load() && c.idle():
		c.err = errLeft
		return true
	}
	return false
}

// idle reports whether we have read nothing of a request yet.
func (c *Conn) idle() bool {
	return (c.reads.head.IsZero() || c.received.Load() == 0) && !c.judge.Started(c.rest)
}

// woken reports whether a wait was interrupted, and gets ready for the next one.
func (c *Conn) woken(now time.Time) bool {
	if !errors.Is(c.err, os.ErrDeadlineExceeded) || !now.Before(c.reads.deadline) {
		return false
	}
	c.err, c.reads.deadline = nil, time.Time{}
	return true
}
