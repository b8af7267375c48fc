//go:build unix

package socket

import (
	"net"
	"sync"
	"syscall"
)

// Probe asks the kernel about a connection. A question costs one system call, no wait and no allocation. It is safe for
// concurrent use, also with the end of the connection.
type Probe struct {
	raw syscall.RawConn // nil: there is no socket, so nothing can be asked

	mu     sync.Mutex
	poll   func(fd uintptr)
	wanted int16 // events of poll
	found  int16 // likewise
	failed bool  // likewise
	queue  func(fd uintptr)
	queued int
}

// NewProbe makes the probe of c, of the socket below it when c is a TLS connection.
func NewProbe(c net.Conn) *Probe {
	p := new(Probe)
	for {
		below, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = below.NetConn()
	}
	if s, ok := c.(syscall.Conn); ok {
		p.raw, _ = s.SyscallConn() // what is closed is found out by the question
	}
	p.poll = func(fd uintptr) {
		found, err := pollNow(fd, p.wanted)
		p.found, p.failed = found, err != 0
	}
	p.queue = func(fd uintptr) { p.queued = unsent(fd) }
	return p
}

// Quiet reports whether nothing waits to be read: neither bytes nor an end of the connection. It is true of what has no
// socket, and false of a connection that was closed.
func (p *Probe) Quiet() bool {
	found, ok := p.ask(readable)
	return ok && found == 0
}

// Gone reports whether the peer has closed or reset its side, even when unread bytes precede that. A peer that only
// half-closed looks the same. It is false of what has no socket, and true of a connection that was closed here. Systems
// other than Linux know of a reset alone.
func (p *Probe) Gone() bool {
	found, ok := p.ask(hangUp)
	return !ok || found != 0
}

// ask polls for events; ok is false when the connection is closed.
func (p *Probe) ask(events int16) (found int16, ok bool) {
	if p.raw == nil {
		return 0, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = events
	if err := p.raw.Control(p.poll); err != nil || p.failed {
		return 0, false
	}
	return p.found, true
}

// Unsent returns how many bytes the kernel holds that the peer has not acknowledged, 0 when that is not known.
func (p *Probe) Unsent() int {
	if p.raw == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queued = 0
	_ = p.raw.Control(p.queue) // closed: nothing is held
	return p.queued
}

// Connected reports whether the socket of raw has reached its peer.
func Connected(raw syscall.RawConn) bool {
	reached := false
	err := raw.Control(func(fd uintptr) {
		_, err := syscall.Getpeername(int(fd))
		reached = err == nil
	})
	return err == nil && reached
}
