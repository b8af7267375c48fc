package listen

import (
	"net"
	"time"
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
	defer release()
	answer := []byte(refusal)
	if l.shared.cfg.TooManyConnections != nil {
		answer = l.shared.cfg.TooManyConnections()
	}
	_ = client.SetDeadline(time.Now().Add(refusalLinger))
	if l.shared.cfg.TLS == nil { // a handshake would cost more than serving it
		_, _ = client.Write(answer)
	}
	l.shared.linger(client, refusalLinger, refusalBytes)
	_ = client.Close()
}
