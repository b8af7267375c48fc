package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"wxgate/socket"
)

// Handshakes cost a hundred times what a request does. Half of the CPUs may work on them at a time, so that a flood of
// them leaves the other half to requests.
func newHandshakePlaces() chan struct{} { return make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)) }

// placeWait is the part of Config.ReadHeader that a handshake waits for a place. Whoever has waited for longer would not
// be done in time, and would keep the place from others who can be.
const placeWait = 4

// secured is the socket below TLS. During the handshake it holds a place while it computes, and gives it back while it
// waits for the client. Afterwards its writes are in time, since TLS cannot resume one that was too late, and writes of
// its own accord (RFC 8446 §4.6.3); unless whoever is above sets deadlines itself.
type secured struct {
	*socket.Conn
	writer
	probe  *socket.Probe // nil: nothing was asked yet
	places chan struct{}
	wait   time.Duration // for a place
	begun  []byte        // what came behind a PROXY protocol header
	held   bool
	done   bool // the handshake is over
}

// ErrNoPlace is a handshake that waited too long for its turn.
var ErrNoPlace = errors.New("too many handshakes at a time")

// unsent is how many bytes the client has not acknowledged. One write at a time asks.
func (h *secured) unsent() int64 {
	if h.probe == nil {
		h.probe = socket.NewProbe(h.Conn)
	}
	return int64(h.probe.Unsent())
}

// take waits for a place.
func (h *secured) take() error {
	if h.held {
		return nil
	}
	select {
	case h.places <- struct{}{}:
		h.held = true
		return nil
	default:
	}
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	select {
	case h.places <- struct{}{}:
		h.held = true
		return nil
	case <-timer.C:
		return ErrNoPlace
	}
}

func (h *secured) giveBack() {
	if h.held {
		<-h.places
		h.held = false
	}
}

// Unplaced runs f, which may wait, during the handshake of a client. Its place is others' meanwhile.
func Unplaced(client net.Conn, f func()) {
	h, ok := client.(*secured)
	if !ok {
		f()
		return
	}
	h.giveBack()
	f()
	_ = h.take() // without a place the next Read takes one
}

// Read reads from the client, without a place.
func (h *secured) Read(p []byte) (n int, err error) {
	if h.done && len(h.begun) == 0 {
		return h.Conn.Read(p)
	}
	if len(h.begun) > 0 {
		n = copy(p, h.begun)
		h.begun = h.begun[n:]
	} else {
		h.giveBack()
		n, err = h.Conn.Read(p)
	}
	if err == nil && !h.done {
		err = h.take()
	}
	return n, err
}

// SetDeadline sets both deadlines.
func (h *secured) SetDeadline(t time.Time) error {
	h.timed.Store(!t.IsZero())
	return h.Conn.SetDeadline(t)
}

// SetWriteDeadline makes writes end by t; with none, they end by the rate of Config.
func (h *secured) SetWriteDeadline(t time.Time) error {
	h.timed.Store(!t.IsZero())
	return h.Conn.SetWriteDeadline(t)
}

// Write writes in time.
func (h *secured) Write(p []byte) (n int, err error) {
	if h.timed.Load() {
		return h.Conn.Write(p)
	}
	before := h.sent
	err = h.write(p, nil)
	return int(h.sent - before), err
}

// secure puts TLS, if it is spoken here, over a client that was accepted. Nothing is read yet.
func (s *shared) secure(client net.Conn) net.Conn {
	client = socket.Wrap(client)
	plain, ok := client.(*socket.Conn)
	switch {
	case s.cfg.TLS == nil:
		return client
	case !ok:
		return tls.Server(client, s.cfg.TLS)
	}
	h := &secured{Conn: plain, places: s.handshakes, wait: s.cfg.ReadHeader / placeWait}
	h.writer = writer{client: plain, cfg: &s.cfg, cohort: &s.cohort, unacknowledged: h.unsent}
	return tls.Server(h, s.cfg.TLS)
}

// plainAnswer is for a client that speaks HTTP where TLS is spoken.
const plainAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 40\r\nConnection: close\r\n\r\n" +
	"This port speaks HTTPS: write https://.\n"

// acmeProtocol ends with the handshake, and nothing is served (RFC 8737 §3).
const acmeProtocol = "acme-tls/1"

// shakeHands makes a TLS connection of one that is to be, within Config.ReadHeader. It is false when there is none: the
// client does not speak TLS, or none that we do, or wanted no more than the handshake.
func (c *Conn) shakeHands() bool {
	secure, ok := c.client.(*tls.Conn)
	if !ok {
		return true
	}
	deadline := time.Now().Add(c.shared.cfg.ReadHeader)
	_ = secure.SetDeadline(deadline)
	below, gated := secure.NetConn().(*secured)
	if gated {
		defer below.giveBack()
		if !c.readProxyBelow(below) {
			return false
		}
	}
	if err := secure.HandshakeContext(context.Background()); err != nil {
		c.handshakeFailed(err)
		return false
	}
	if gated {
		below.done = true
	}
	_ = secure.SetDeadline(time.Time{})
	if secure.ConnectionState().NegotiatedProtocol == acmeProtocol {
		return false
	}
	c.reader.clock = readClock{head: time.Now()}
	c.conns.mayWake(c)
	return true
}

// agreedProtocol is what serves the connection if TLS agreed on another protocol than HTTP/1.1; nil: it did not.
func (c *Conn) agreedProtocol() Protocol {
	if secure, ok := c.client.(*tls.Conn); ok && secure.ConnectionState().NegotiatedProtocol == "h2" {
		return c.shared.cfg.HTTP2
	}
	return nil
}

// goAway lets the connections of other protocols end.
func (s *shared) goAway() {
	if s.cfg.HTTP2 != nil {
		s.cfg.HTTP2.GoAway()
	}
}

// readProxyBelow reads the PROXY protocol header in front of a handshake, if there is to be one.
func (c *Conn) readProxyBelow(below *secured) bool {
	var got []byte
	for part := make([]byte, bufferBytes); c.proxy.awaited; {
		n, err := below.Conn.Read(part)
		got = append(got, part[:n]...)
		length, reason := c.proxy.look(got)
		if err != nil || reason != "" {
			return false
		}
		if length > 0 {
			below.begun = got[length:]
		}
	}
	return true
}

func (c *Conn) handshakeFailed(err error) {
	if plain := (tls.RecordHeaderError{}); errors.As(err, &plain) && plain.Conn != nil && speaksHTTP(plain.RecordHeader) {
		_, _ = plain.Conn.Write([]byte(plainAnswer))
		c.shared.linger(plain.Conn, refusalLinger, refusalBytes)
	}
	if c.shared.cfg.HandshakeFailed != nil {
		c.shared.cfg.HandshakeFailed(err)
	}
}

// speaksHTTP reports whether the first bytes of a client are those of a request.
func speaksHTTP(first [5]byte) bool {
	for _, b := range first[:3] {
		if b < 'A' || b > 'Z' {
			return false
		}
	}
	return true
}

// handshakeFailures are what handshakeFailure returns.
func handshakeFailures() []string { return []string{"not_tls", "timeout", "busy", "left", "refused"} }

// handshakeFailure is why there was no TLS, of a closed set.
func handshakeFailure(err error) string {
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &plain):
		return "not_tls"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, ErrNoPlace):
		return "busy"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed):
		return "left"
	}
	return "refused"
}

// below is the socket under a connection.
func below(client net.Conn) net.Conn {
	if secure, ok := client.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return client
}
