package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// dialer makes connections to one address of a target.
type dialer struct {
	to      origin
	address string // ip:port
}

// dial returns ErrTimeout when the request's deadline ended the attempt, and ErrConnect for every other failure.
func (d dialer) dial(timeout time.Duration, deadline time.Time) (*conn, error) {
	limit := time.Now().Add(timeout)
	if deadline.Before(limit) {
		limit = deadline
	}
	ctx, cancel := context.WithDeadline(context.Background(), limit)
	defer cancel()
	c, err := d.connect(ctx)
	switch {
	case err == nil:
		return c, nil
	case limit.Equal(deadline) && ctx.Err() != nil:
		return nil, fmt.Errorf("%w: connecting: %w", ErrTimeout, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrConnect, err)
}

func (d dialer) connect(ctx context.Context) (*conn, error) {
	var dial net.Dialer
	socket, err := dial.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	plain := socket
	if d.to.tls {
		if socket, err = d.secure(ctx, plain); err != nil {
			_ = plain.Close()
			return nil, err
		}
	}
	c := newConn(socket, d.to.tls)
	c.alive.watch(plain)
	return c, nil
}

func (d dialer) secure(ctx context.Context, plain net.Conn) (net.Conn, error) {
	c := tls.Client(plain, &tls.Config{
		ServerName: d.to.host, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
	})
	return c, c.HandshakeContext(ctx)
}
