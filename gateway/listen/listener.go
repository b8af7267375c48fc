package listen

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// An accept loop that never waits would keep the queue of goroutines full of new connections. The scheduler then asks the
// network for work every 10 ms alone, and each step of a request waits for that.
const (
	acceptBatch = 16               // connections for each CPU, accepted in one go
	acceptPause = time.Millisecond // between two batches
)

// Listener accepts client connections and serves them. It survives a shortage of descriptors or memory.
type Listener struct {
	accepting net.Listener
	shared    *shared
	done      chan struct{} // closed by Close
	once      sync.Once
	serving   sync.WaitGroup // goroutines of connections
	starting  sync.WaitGroup // likewise: accepted, and not run yet
	batch     int            // accepted since the last pause

	places   *Places
	accepted atomic.Int64
	refused  atomic.Int64
	retries  atomic.Int64
	refusing chan struct{} // one place per refusal in progress
}

// Stats are the counts of a Listener since its start.
type Stats struct {
	Open     int64 // connections now
	Accepted int64 // connections that were served
	Refused  int64 // connections over Config.MaxConns or Config.MaxConnsPerAddr
	Retries  int64 // Accept calls that failed for want of a resource and were repeated
}

// Listen listens on a TCP address, with keep-alive probes; TCP_NODELAY is on, as in all Go connections.
func Listen(network, addr string, cfg Config) (*Listener, error) {
	lc := net.ListenConfig{KeepAlive: 30 * time.Second}
	lc.SetMultipathTCP(false) // the default of Go, and of no use to acceptQueue.shut
	ln, err := lc.Listen(context.Background(), network, addr)
	if err != nil {
		return nil, err
	}
	return NewListener(ln, cfg), nil
}

// NewListener wraps a listener of plain connections. With Config.TLS, the bytes are judged after they were decrypted.
func NewListener(ln net.Listener, cfg Config) *Listener {
	return &Listener{
		accepting: ln,
		shared:    newShared(cfg),
		places:    cfg.Places(),
		done:      make(chan struct{}),
		refusing:  make(chan struct{}, maxRefusing),
	}
}

// Addr returns the address that clients connect to.
func (l *Listener) Addr() net.Addr { return l.accepting.Addr() }

// SyscallConn returns the listening socket, and errors.ErrUnsupported where there is none.
func (l *Listener) SyscallConn() (syscall.RawConn, error) {
	if socket, ok := l.accepting.(syscall.Conn); ok {
		return socket.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// Stats returns the current counts.
func (l *Listener) Stats() Stats {
	return Stats{l.places.taken.Load(), l.accepted.Load(), l.refused.Load(), l.retries.Load()}
}

// Close ends Serve, and waits for refusals in progress (a second or two). The connections stay open.
func (l *Listener) Close() error {
	err := l.accepting.Close()
	if errors.Is(err, net.ErrClosed) && (l.shared.give.Load() != nil || l.shared.drain.lingers.Load()) {
		err = nil // HandOver or Drain has closed it already
	}
	l.once.Do(func() {
		close(l.done)
		for range maxRefusing {
			l.refusing <- struct{}{} // with all places taken, no refusal is in progress and none will start
		}
	})
	return err
}

// Serve serves every connection that comes, until Close. It fails when the listener is broken. When many come at a time,
// those that are open go on between them.
func (l *Listener) Serve(h Handler) error {
	l.shared.drain.accepts.Store(true)
	for {
		c, err := l.accept()
		if err != nil {
			close(l.shared.drain.ended)
			if l.shared.give.Load() != nil {
				<-l.done // the clients are still being handed over
			}
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		l.starting.Add(1)
		l.serving.Go(func() {
			l.starting.Done()
			c.serve(h)
		})
	}
}

// pace is called before each accept. It waits after a batch.
func (l *Listener) pace() {
	if l.batch++; l.batch <= acceptBatch*runtime.GOMAXPROCS(0) {
		return
	}
	l.batch = 1
	l.starting.Wait()
	select {
	case <-l.done:
	case <-time.After(acceptPause):
	}
}

// accept returns the next connection within the caps.
func (l *Listener) accept() (*Conn, error) {
	for {
		l.pace()
		client, err := l.acceptAgain()
		if err != nil {
			return nil, err
		}
		release, within := l.enter(client.RemoteAddr())
		if !within {
			l.refuse(client, release)
			continue
		}
		l.accepted.Add(1)
		return l.wrap(l.shared.secure(client), release), nil
	}
}

// isProxied reports whether a connection begins with a PROXY protocol header.
func (l *Listener) isProxied(client net.Conn) bool {
	from := l.shared.cfg.Proxied
	tcp, ok := client.RemoteAddr().(*net.TCPAddr)
	return ok && from != nil && from(tcp.AddrPort().Addr().Unmap())
}

// Enter counts a connection of another socket from peer, as one of this listener, until leave is called. within reports
// whether it is within both caps.
func (l *Listener) Enter(peer net.Addr) (leave func(), within bool) {
	leave, within = l.enter(peer)
	if within {
		l.accepted.Add(1)
	} else {
		l.refused.Add(1)
	}
	return leave, within
}

// enter counts a connection until release is called. within reports whether it is within both caps.
func (l *Listener) enter(peer net.Addr) (release func(), within bool) {
	return l.places.Take(addressOf(peer))
}

// acceptAgain accepts, and retries after temporary errors: first after 5 ms, in the end every second.
func (l *Listener) acceptAgain() (net.Conn, error) {
	for delay := 5 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		client, err := l.accepting.Accept()
		if err == nil || !passing(err) {
			return client, err
		}
		l.retries.Add(1)
		select {
		case <-l.done:
			return nil, net.ErrClosed
		case <-time.After(delay):
		}
	}
}

// passing reports whether accept(2) failed for a temporary reason: a lack of descriptors or memory, or a client that
// has left.
func passing(err error) bool {
	for _, e := range [...]error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED,
		syscall.EPROTO, syscall.EAGAIN, syscall.EINTR, syscall.ECONNRESET,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
