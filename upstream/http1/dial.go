package http1

import (
	"context"
	"crypto/tls"
	"errors"
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
	network string // tcp or unix
	address string // ip:port, or the path of a socket
	buffers *buffers
}

// newDialer is for one of the addresses of an origin, which has no other when it is a Unix socket.
func newDialer(o Origin, address string, b *buffers) dialer {
	if o.Socket != "" {
		return dialer{"unix", o.Socket, b}
	}
	return dialer{"tcp", address, b}
}

// dial secures the connection unless as is nil. It returns ErrTimeout when the request's deadline ended the attempt,
// ErrUnavailable when it failed for our own lack, and ErrConnect for every other failure.
func (d dialer) dial(as *tls.Config, timeout time.Duration, deadline time.Time) (*conn, error) {
	began := time.Now()
	limit := earlier(deadline, began.Add(timeout))
	if !began.Before(limit) {
		return nil, fmt.Errorf("%w: %w: the deadline passed before the dial", ErrTimeout, ErrOverloaded)
	}
	plain, err := d.dialPlain(timeout, deadline)
	var c *conn
	if err == nil {
		if reached := time.Now(); !reached.Before(limit) { // the target was in time, we were not
			began, limit = reached, earlier(deadline, reached.Add(timeout))
		}
		ctx, cancel := context.WithDeadline(context.Background(), limit)
		c, err = d.secure(ctx, plain, as)
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

// dialPlain makes a connection without TLS. Its timeout counts from the moment that the target is asked. One that stands by then
// has only not been seen by us, who are waiting for a CPU: it is waited for until deadline.
func (d dialer) dialPlain(timeout time.Duration, deadline time.Time) (net.Conn, error) {
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
	c, err := d.whenTaken(ctx, &dial, time.Now().Add(timeout))
	stop()
	if err != nil && ended.Load() {
		err = fmt.Errorf("dial %s %s: %w", d.network, d.address, os.ErrDeadlineExceeded)
	}
	return c, err
}

// backlogPause is between two tries to connect to a Unix socket whose backlog is full.
const backlogPause = 2 * time.Millisecond

// whenTaken dials. Where TCP sends its SYN again, a Unix socket whose backlog is full says so at once (EAGAIN of connect(2)): it
// is tried again until then.
func (d dialer) whenTaken(ctx context.Context, by *net.Dialer, until time.Time) (net.Conn, error) {
	for {
		c, err := by.DialContext(ctx, d.network, d.address)
		if !errors.Is(err, syscall.EAGAIN) || d.network != "unix" {
			return c, err
		}
		pause := time.NewTimer(backlogPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, fmt.Errorf("dial unix %s: %w", d.address, ctx.Err())
		}
		if !time.Now().Before(until) {
			return nil, fmt.Errorf("dial unix %s: its backlog is full: %w", d.address, os.ErrDeadlineExceeded)
		}
	}
}

// connect makes a connection, and secures it unless as is nil.
func (d dialer) connect(ctx context.Context, as *tls.Config) (*conn, error) {
	var dial net.Dialer
	plain, err := dial.DialContext(ctx, d.network, d.address)
	if err != nil {
		return nil, err
	}
	return d.secure(ctx, plain, as)
}

// secure makes a connection of one that was dialed, with TLS unless as is nil. It closes that one when it fails.
func (d dialer) secure(ctx context.Context, dialed net.Conn, as *tls.Config) (*conn, error) {
	plain := socket.Wrap(dialed)
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
