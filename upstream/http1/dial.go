package http1

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"wxgate/socket"
)

// dialer makes connections to one address of a target.
type dialer struct {
	address string // ip:port
	buffers *buffers
}

// dial secures the connection unless as is nil. It returns ErrTimeout when the request's deadline ended the attempt,
// ErrUnavailable when it failed for our own lack, and ErrConnect for every other failure.
func (d dialer) dial(as *tls.Config, timeout time.Duration, deadline time.Time) (*conn, error) {
	began := time.Now()
	limit := earlier(deadline, began.Add(timeout))
	if !began.Before(limit) {
		return nil, fmt.Errorf("%w: %w: the deadline passed before the dial", ErrTimeout, ErrOverloaded)
	}
	tcp, err := d.dialTCP(timeout, deadline)
	var c *conn
	if err == nil {
		if reached := time.Now(); !reached.Before(limit) { // the target was in time, we were not
			began, limit = reached, earlier(deadline, reached.Add(timeout))
		}
		ctx, cancel := context.WithDeadline(context.Background(), limit)
		c, err = d.secure(ctx, tcp, as)
		cancel()
	}
	late := !time.Now().Before(limit) // the timer of ctx may be behind that of the socket
	switch {
	case err == nil:
		return c, nil
	case late && starved(limit.Sub(began), limit):
		return nil, fmt.Errorf("%w: %w: no CPU time for connecting: %w", ErrUnavailable, ErrOverloaded, err)
	case late && limit.Equal(deadline):
		return nil, fmt.Errorf("%w: connecting: %w", ErrTimeout, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrConnect, err)
}

// dialTCP makes a TCP connection. Its timeout counts from the moment that the target is asked. One that stands by then
// has only not been seen by us, who are waiting for a CPU: it is waited for until deadline.
func (d dialer) dialTCP(timeout time.Duration, deadline time.Time) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	var ended atomic.Bool
	stop := func() bool { return true }
	dial := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		stop() // that of a socket which had connected to itself
		stop = time.AfterFunc(timeout, func() {
			if !socket.Connected(raw) {
				ended.Store(true)
				cancel()
			}
		}).Stop
		return nil
	}}
	c, err := dial.DialContext(ctx, "tcp", d.address)
	stop()
	if err != nil && ended.Load() {
		err = fmt.Errorf("dial tcp %s: %w", d.address, os.ErrDeadlineExceeded)
	}
	return c, err
}

// connect makes a connection, and secures it unless as is nil.
func (d dialer) connect(ctx context.Context, as *tls.Config) (*conn, error) {
	var dial net.Dialer
	tcp, err := dial.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	return d.secure(ctx, tcp, as)
}

// secure makes a connection of tcp, with TLS unless as is nil. It closes tcp when that fails.
func (d dialer) secure(ctx context.Context, tcp net.Conn, as *tls.Config) (*conn, error) {
	plain := socket.Wrap(tcp)
	if as == nil {
		return newConn(plain, d.buffers, false), nil
	}
	secured := tls.Client(plain, as)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, err
	}
	return newConn(secured, d.buffers, true), nil
}
