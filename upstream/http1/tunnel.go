package http1

import (
	"cmp"
	"fmt"
	"net"
	"sync"
	"time"
)

// Tunnel is a connection to a service that has switched from HTTP to another protocol. It occupies one of
// keepalive.max_websockets and never serves another exchange. One goroutine may read while another writes; Close may be
// called at any time.
type Tunnel struct {
	*conn
	Idle time.Duration // timeouts.websocket

	once sync.Once
}

func (k *call) newTunnel() (*Tunnel, error) {
	if err := k.SetDeadline(time.Time{}); err != nil || !k.unwatch() {
		return nil, fmt.Errorf("%w: switching protocols: %w", ErrReset, cmp.Or(err, net.ErrClosed))
	}
	if k.permit != nil { // it is no request any more
		<-k.permit
		k.permit = nil
	}
	return &Tunnel{conn: k.conn, Idle: k.timeouts.WebSocket}, nil
}

// Read returns first what the service sent right after its 101.
func (t *Tunnel) Read(p []byte) (int, error) {
	n, err := t.in.Read(p)
	if t.in.from == t.in.to {
		t.in.release()
	}
	return n, err
}

// CloseWrite tells the service that nothing more will come. The service may go on sending.
func (t *Tunnel) CloseWrite() error {
	if half, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close ends the connection.
func (t *Tunnel) Close() error {
	t.once.Do(func() {
		_ = t.Conn.Close()
		giveBack(t.slot, t.permit)
	})
	return nil
}

// switched judges a 101: it must say what it switches to, in HTTP/1.1 and without a body (RFC 9110 §7.8, §15.2.2).
func (h *head) switched() error {
	switch {
	case h.http10 || !h.upgrades:
		return invalid("a 101 without Connection: upgrade")
	case h.transferEncoded || h.length > 0:
		return invalid("a 101 with a body")
	}
	return nil
}
