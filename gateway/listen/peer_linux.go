package listen

import (
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerProbe keeps what asking about the client needs, so that asking does not allocate.
type peerProbe struct {
	mu   sync.Mutex
	raw  syscall.RawConn
	poll func(fd uintptr)
	fds  [1]unix.PollFd
	size func(fd uintptr)
	held int64
}

// PeerGone reports whether the client has closed or reset its side, without waiting and even when unread bytes precede
// the close. A client that only half-closed looks the same. It costs one poll(2).
func (c *Conn) PeerGone() bool {
	p := &c.probe
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.raw == nil && !p.open(c.Conn) {
		return c.closed.Load()
	}
	err := p.raw.Control(p.poll)
	return err != nil || p.fds[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

// unacknowledged is how many bytes the kernel holds that the client has not acknowledged.
func (c *Conn) unacknowledged() int64 {
	p := &c.probe
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = 0
	if p.raw != nil || p.open(c.Conn) {
		_ = p.raw.Control(p.size)
	}
	return p.held
}

// open finds the descriptor below client, also through TLS.
func (p *peerProbe) open(client net.Conn) bool {
	if t, ok := client.(interface{ NetConn() net.Conn }); ok {
		client = t.NetConn()
	}
	s, ok := client.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	p.raw = raw
	p.poll = func(fd uintptr) {
		p.fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLRDHUP}
		_, _ = unix.Poll(p.fds[:], 0)
	}
	p.size = func(fd uintptr) {
		if n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			p.held = int64(n)
		}
	}
	return true
}
