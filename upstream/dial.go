package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// dialer makes connections to one target. The name is looked up for every connection, IPv4 and IPv6 alike; when the
// name server fails, the address that was last reached serves.
type dialer struct {
	to      endpoint
	timeout time.Duration // for the whole of name, TCP and TLS
	last    *atomic.Pointer[string]
}

func newDialer(to endpoint, timeout time.Duration) dialer {
	return dialer{to: to, timeout: timeout, last: new(atomic.Pointer[string])}
}

// dial returns ErrTimeout when the request's deadline ended the attempt, and ErrConnect for every other failure.
func (d dialer) dial(deadline time.Time) (*conn, error) {
	limit := time.Now().Add(d.timeout)
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
	socket, err := d.reach(ctx)
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

func (d dialer) reach(ctx context.Context) (net.Conn, error) {
	var dial net.Dialer
	c, err := dial.DialContext(ctx, "tcp", d.to.address)
	if noName := (*net.DNSError)(nil); errors.As(err, &noName) {
		if last := d.last.Load(); last != nil {
			return dial.DialContext(ctx, "tcp", *last)
		}
	}
	if err != nil {
		return nil, err
	}
	reached := c.RemoteAddr().String()
	d.last.Store(&reached)
	return c, nil
}

func (d dialer) secure(ctx context.Context, plain net.Conn) (net.Conn, error) {
	c := tls.Client(plain, &tls.Config{
		ServerName: d.to.host, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
	})
	return c, c.HandshakeContext(ctx)
}
