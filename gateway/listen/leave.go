package listen

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"wxgate/socket"
)

// Give hands over a client: its socket, and what it has sent of a request that is not answered. Once it returns nil,
// another process serves the client, and the client does not notice that we close our descriptor.
type Give func(client net.Conn, begun []byte) error

// wakeEvery is how often connections that wait for a request are woken to see whether they should leave.
const wakeEvery = 20 * time.Millisecond

// conns are the open connections of a listener.
type conns struct {
	mu  sync.Mutex
	all map[*Conn]bool // whether they may be woken
}

func (s *conns) add(c *Conn, may bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[*Conn]bool)
	}
	s.all[c] = may
}

// mayWake begins the waking of a connection.
func (s *conns) mayWake(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.all[c]; open {
		s.all[c] = true
	}
}

func (s *conns) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, c)
}

// leaveAlone ends the waking of a connection, whose deadlines nobody else moves from then on.
func (s *conns) leaveAlone(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.all[c]; open {
		s.all[c] = false
	}
}

// wake interrupts the connections that wait for their client, so that they check whether they should leave.
func (s *conns) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, may := range s.all {
		if may {
			_ = c.client.SetReadDeadline(time.Unix(1, 0))
		}
	}
}

// abort closes the sockets, below whatever their goroutines are doing.
func (s *conns) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		_ = below(c.client).Close()
	}
}

// HandOver stops accepting, and gives away every connection, at once if it waits for a request, otherwise as soon as
// its request is answered. Upgraded connections stay, and TLS connections, whose keys are ours alone, are drained. The
// listener must still be closed.
func (l *Listener) HandOver(give Give) error {
	l.shared.drain.lingers.Store(true)
	l.shared.give.Store(&give)
	return l.accepting.Close() // only ours: another process that holds the socket goes on accepting
}

// WaitLeft returns when no connection is left after HandOver, or when ctx ends.
func (l *Listener) WaitLeft(ctx context.Context) error {
	ticker := time.NewTicker(wakeEvery)
	defer ticker.Stop()
	leave := time.After(l.shared.cfg.NextRequest)
	for l.places.taken.Load() > 0 {
		l.shared.conns.wake()
		l.shared.goAway() // each time: a handshake may just have ended
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-leave:
			l.shared.drain.leaves.Store(true)
		case <-ticker.C:
		}
	}
	return nil
}

// Adopt serves a connection that another process gave away, with what that had read of a request.
func (l *Listener) Adopt(client net.Conn, begun []byte, h Handler) {
	release, _ := l.enter(client.RemoteAddr()) // it was within the caps of that process
	l.accepted.Add(1)
	c := l.wrap(socket.Wrap(client), release)
	c.reader.clock.head = time.Time{} // it is between two requests
	c.keep(begun)
	l.serving.Go(func() { c.serve(h) })
}

// wrap is newConn for a connection that can be woken.
func (l *Listener) wrap(client net.Conn, release func()) *Conn {
	var c *Conn
	c = newConn(client, l.shared, func() { l.shared.conns.remove(c); release() })
	c.proxy.awaited = l.isProxied(client)
	l.shared.conns.add(c, !c.IsSecure())
	return c
}

// Give gives the connection away, after a request that was read completely and is not answered here: begun is that
// request. The goroutine that serves the connection may call it.
func (c *Conn) Give(begun []byte) error {
	give := c.shared.give.Load()
	switch {
	case give == nil:
		return errors.New("there is nobody to take the connection")
	case c.IsSecure():
		return errors.New("the keys of a TLS connection stay here")
	}
	begun = append(begun, c.unread()...)
	client := c.client
	if plain, ok := client.(*socket.Conn); ok {
		client = plain.TCPConn
	}
	if err := (*give)(client, append(c.proxy.header(), begun...)); err != nil {
		return err
	}
	c.left = true
	return nil
}

// leaves reports whether the connection ends here although it is open: because it is given away, or because there is no
// next request and none is waited for. It is between two requests or in the middle of a head.
func (c *Conn) leaves() bool {
	return c.isLeaving() && c.Give(nil) == nil || c.drain.leaves.Load() && !c.started()
}

// isLeaving reports whether another process serves in our place.
func (c *Conn) isLeaving() bool { return c.shared.give.Load() != nil }
