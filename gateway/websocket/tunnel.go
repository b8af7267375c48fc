package websocket

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"wxgate/authn"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/upstream/http1"
)

const (
	closeWriteTimeout = 250 * time.Millisecond // for our Close frame to be sent
	closeReadTimeout  = time.Second            // for the Close frame in reply
)

// Tunnel is an open WebSocket. It passes on what each end sends, unread and unchanged, and adds at most a Close frame.
type Tunnel struct {
	client      *listen.Conn
	service     *http1.Tunnel
	subject     *authn.Subject // nil: nobody in particular
	onClose     func()         // tells Tunnels
	hold        limit.Hold     // of its client's
	toClient    direction      // to the client
	toService   direction      // to the service
	lastRead    atomic.Int64   // when something was last received, in Unix nanoseconds
	closing     atomic.Bool
	upgraded    chan struct{} // closed once the 101 is written, or will never be
	upgradeOnce sync.Once
	abortOnce   sync.Once
}

// NewTunnel returns a tunnel for a subject, nil for nobody in particular. It closes held at its end.
func NewTunnel(client *listen.Conn, service *http1.Tunnel, subject *authn.Subject, held limit.Hold) *Tunnel {
	t := &Tunnel{client: client, service: service, subject: subject, hold: held, onClose: func() {}, upgraded: make(chan struct{})}
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

// Run relays until both directions have ended. from is the client with what fasthttp had read ahead.
func (t *Tunnel) Run(from net.Conn) {
	defer t.Abort()
	_ = t.client.SetWriteDeadline(time.Time{})
	t.upgradeOnce.Do(func() { close(t.upgraded) })
	var both sync.WaitGroup
	both.Go(func() { t.relay(&t.toClient, t.service) })
	t.relay(&t.toService, from)
	both.Wait()
}

// relay copies one direction. Its orderly end is passed on and the other direction may continue (half-close); an error
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

// closeWithCode closes the tunnel in good order: each end gets a Close frame with the code, unless it is in the middle
// of another frame, and a moment to reply. Then the connections are closed.
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

// idleFor returns for how long neither end has sent anything.
func (t *Tunnel) idleFor(now time.Time) time.Duration {
	return now.Sub(time.Unix(0, t.lastRead.Load()))
}

// direction is one direction of a tunnel.
type direction struct {
	mu         sync.Mutex
	to         io.Writer
	closeWrite func() error // of what we send
	masked     bool
	frames     frames // of what it receives
	closeSent  bool   // our Close frame has been sent
}

// write passes b on, or drops it after our Close frame. It returns io.EOF once the Close frame in reply has been
// received.
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

// sendClose sends a Close frame if one can be inserted here.
func (s *direction) sendClose(code uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frames.atBoundary() && !s.frames.closed {
		_, _ = s.to.Write(CloseFrame(code, s.masked)) // the connection is closed in any case
	}
	s.closeSent = true
}
