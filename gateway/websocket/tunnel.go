package websocket

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/upstream/http1"
)

const (
	closeWriteTimeout = 250 * time.Millisecond // for sending a Close frame
	closeReadTimeout  = time.Second            // for the Close frame in reply
)

// Tunnel is an open WebSocket: bytes are relayed both ways unchanged. At most a Close frame is added.
type Tunnel struct {
	client      *listen.Conn
	service     *http1.Tunnel
	alive       func() error // why it must end, nil if it may go on; nil: nothing ends it
	onClose     func()       // set by Tunnels
	hold        limit.Hold   // on the quota of its client
	toClient    direction    // to the client
	toService   direction    // to the service
	lastRead    atomic.Int64 // when bytes last arrived, in Unix nanoseconds
	closing     atomic.Bool
	upgraded    chan struct{} // closed once the 101 is written, or will never be
	upgradeOnce sync.Once
	abortOnce   sync.Once
}

// NewTunnel is a tunnel that goes on while alive, unless that is nil, returns no error. It closes hold when it ends.
func NewTunnel(client *listen.Conn, service *http1.Tunnel, alive func() error, hold limit.Hold) *Tunnel {
	t := &Tunnel{client: client, service: service, alive: alive, hold: hold, onClose: func() {}, upgraded: make(chan struct{})}
	t.toClient = direction{to: client, closeWrite: func() error { return closeWrite(client.NetConn()) }}
	t.toService = direction{to: service, closeWrite: service.CloseWrite, masked: true}
	t.lastRead.Store(time.Now().UnixNano())
	return t
}

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Run relays until both directions have ended. The client has its 101.
func (t *Tunnel) Run() {
	defer t.Abort()
	t.upgradeOnce.Do(func() { close(t.upgraded) })
	var both sync.WaitGroup
	both.Go(func() { t.relay(&t.toClient, t.service) })
	t.relay(&t.toService, t.client)
	both.Wait()
}

// relay copies one direction. An orderly end is passed on while the other direction may continue (half-close); an error
// ends both.
func (t *Tunnel) relay(to *direction, from io.Reader) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			t.lastRead.Store(time.Now().UnixNano())
		}
		if failed := to.write(buf[:n]); failed != nil {
			err = failed
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF):
			err = to.finish()
		}
		if err != nil {
			t.Abort()
		}
		return
	}
}

// closeWithCode sends both ends a Close frame with the code, unless one is in the middle of another frame, and gives
// them a moment to reply. Then the connections are closed.
func (t *Tunnel) closeWithCode(code uint16) {
	if t.closing.Swap(true) {
		return
	}
	<-t.upgraded
	now := time.Now()
	for _, conn := range []interface {
		SetReadDeadline(t time.Time) error
		SetWriteDeadline(t time.Time) error
	}{t.client, t.service} {
		_ = conn.SetWriteDeadline(now.Add(closeWriteTimeout)) // also ends a blocked write
		_ = conn.SetReadDeadline(now.Add(closeReadTimeout))
	}
	t.toClient.sendClose(code)
	t.toService.sendClose(code)
}

// Abort closes both connections at once.
func (t *Tunnel) Abort() {
	t.abortOnce.Do(func() {
		_ = t.client.Close()
		_ = t.service.Close()
		t.upgradeOnce.Do(func() { close(t.upgraded) })
		t.onClose()
		t.hold.Close()
	})
}

// idleFor is how long nothing has arrived from either end.
func (t *Tunnel) idleFor(now time.Time) time.Duration {
	return now.Sub(time.Unix(0, t.lastRead.Load()))
}

// direction is one direction of a tunnel.
type direction struct {
	mu         sync.Mutex
	to         io.Writer
	closeWrite func() error // closes the sending side of to
	masked     bool
	frames     frames // sent in this direction
	closeSent  bool   // our Close frame was sent, and nothing may follow it
}

// write forwards b, or drops it once our Close frame was sent. It returns io.EOF when the reply to that frame has
// arrived.
func (s *direction) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames.advance(b)
	if !s.closeSent {
		_, err := s.to.Write(b)
		return err
	}
	if s.frames.closed {
		return io.EOF
	}
	return nil
}

func (s *direction) finish() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeWrite()
}

// sendClose sends a Close frame if the stream is at a frame boundary.
func (s *direction) sendClose(code uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frames.atBoundary() && !s.frames.closed {
		_, _ = s.to.Write(CloseFrame(code, s.masked)) // the connection is closed in any case
	}
	s.closeSent = true
}
