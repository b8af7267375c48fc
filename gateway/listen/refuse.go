package listen

import (
	"errors"
	"net"
	"strings"
	"time"

	"wxgate/gateway/wire"
)

const (
	maxRefusing   = 64              // connections that are answered at a time; any more are closed silently
	refusalLinger = time.Second     // for the client to read it
	refusalBytes  = int64(64 << 10) // of its request, which nobody reads
)

// refusal is the answer to a connection over a cap if Config has no other (RFC 9110 §15.6.4).
const refusal = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// refuse answers 503 and closes. The accept loop does not wait for that; Listener.Close does.
func (l *Listener) refuse(client net.Conn, release func()) {
	l.refused.Add(1)
	select {
	case l.refusing <- struct{}{}:
		go func() {
			defer func() { <-l.refusing }()
			l.tell(client, release)
		}()
	default:
		_ = client.Close()
		release()
	}
}

func (l *Listener) tell(client net.Conn, release func()) {
	cfg := l.shared.cfg
	cfg.Linger, cfg.LingerBytes = refusalLinger, refusalBytes
	s := &shared{cfg: cfg}
	s.buffers.New = l.shared.buffers.New
	answer := []byte(refusal)
	if cfg.TooManyConnections != nil {
		answer = cfg.TooManyConnections()
	}
	c := newConn(client, s, release)
	c.fault.Store(refuse(wire.ReasonTooMany))
	_ = client.SetDeadline(time.Now().Add(refusalLinger)) // the TLS handshake comes first
	_, _ = client.Write(answer)
	_ = c.Close()
}

// Fault returns the MalformedError that caused err, which the server got when reading conn, or nil if the cause was
// another. fasthttp wraps some errors in a type that errors.As cannot unwrap (ErrBrokenChunk); then the text decides.
func Fault(conn net.Conn, err error) *wire.MalformedError {
	var m *wire.MalformedError
	if err == nil || errors.As(err, &m) {
		return m
	}
	if c, ok := conn.(*Conn); ok {
		if m = c.fault.Load(); m != nil && strings.Contains(err.Error(), m.Error()) {
			return m
		}
	}
	return nil
}

// refuse returns the error for a broken rule.
func refuse(r wire.Reason) *wire.MalformedError { return &wire.MalformedError{Reason: r} }
