package http1

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// dialer makes connections to one address of a target.
type dialer struct {
	address string // ip:port
}

// dial secures the connection unless as is nil. It returns ErrTimeout when the request's deadline ended the attempt,
// ErrUnavailable when it failed for our own lack, and ErrConnect for every other failure.
func (d dialer) dial(as *tls.Config, timeout time.Duration, deadline time.Time) (*conn, error) {
	began := time.Now()
	limit := earlier(deadline, began.Add(timeout))
	if !began.Before(limit) {
		return nil, fmt.Errorf("%w: %w: the deadline came before the dial", ErrTimeout, ErrOverloaded)
	}
	ctx, cancel := context.WithDeadline(context.Background(), limit)
	defer cancel()
	c, err := d.connect(ctx, as)
	late := !time.Now().Before(limit) // the timer of ctx may be behind that of the socket
	switch {
	case err == nil:
		return c, nil
	case late && starved(limit.Sub(began), limit):
		return nil, fmt.Errorf("%w: %w: connecting: %w", ErrUnavailable, ErrOverloaded, err)
	case late && limit.Equal(deadline):
		return nil, fmt.Errorf("%w: connecting: %w", ErrTimeout, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrConnect, err)
}

func (d dialer) connect(ctx context.Context, as *tls.Config) (*conn, error) {
	var dial net.Dialer
	socket, err := dial.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	plain := socket
	if as != nil {
		secured := tls.Client(plain, as)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, err
		}
		socket = secured
	}
	c := newConn(socket, as != nil)
	c.alive.watch(plain)
	return c, nil
}
