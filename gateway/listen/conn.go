package listen

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"wxgate/gateway/wire"
	"wxgate/message"
	"wxgate/socket"
)

// Handler serves the requests of connections, each from the goroutine of its connection.
type Handler interface {
	// Serve serves the request that has come on c: it reads it with ReadRequest, and answers with WriteResponse. The
	// connection is closed if it does not, or if that response was the last one.
	Serve(c *Conn)
	// Refuse answers a request whose head broke a rule. The connection is closed after it.
	Refuse(c *Conn, fault *wire.MalformedError)
}

// shared is what the connections of a listener share.
type shared struct {
	cfg     Config
	buffers sync.Pool            // of *buffer
	writes  sync.Pool            // of *[]byte, for answers
	give    atomic.Pointer[Give] // nil: connections stay
	drain   draining
	conns   conns
	cohort  socket.Cohort // of those who answer

	handshakes chan struct{} // one place per CPU that works on them
	date       date
}

func newShared(cfg Config) *shared {
	s := &shared{cfg: cfg, handshakes: newHandshakePlaces()}
	s.drain.ended = make(chan struct{})
	s.buffers.New = func() any { return &buffer{bytes: make([]byte, bufferBytes), lines: make([]message.Line, bufferLines)} }
	s.writes.New = func() any { return new([]byte) }
	return s
}

// Conn is the connection of a client. Its methods are for the goroutine that serves it, apart from Close, PeerGone and
// RemoteAddr, which any goroutine may call; after Upgrade, one goroutine may read while another writes.
type Conn struct {
	*shared
	client  net.Conn // TCP or TLS
	release func()   // tells the listener

	reader
	writer
	proxy    proxy
	current  current
	upgraded bool // it carries another protocol
	left     bool // it continues in another process
	note     Note

	peer      netip.Addr // see Peer
	peerText  string
	peerKnown bool

	probing sync.Mutex
	probe   *socket.Probe // nil: nothing was asked yet
	closed  atomic.Bool
}

// current is what answering the current request depends on. A request that was refused is the zero value.
type current struct {
	wire.Connection
	headOnly bool // it is a HEAD
	http10   bool // it came in HTTP/1.0
	answered bool // and another request may follow
}

// newConn wraps one client connection, a *socket.Conn or a TLS connection over one where that is possible.
func newConn(client net.Conn, s *shared, release func()) *Conn {
	c := &Conn{shared: s, client: client, release: release}
	_, secure := client.(*tls.Conn)
	c.reader = reader{client: client, secure: secure, cfg: &s.cfg, buffers: &s.buffers, judge: wire.NewJudge(&s.cfg.Limits), clock: readClock{head: time.Now()}}
	c.writer = writer{client: client, secure: secure, cfg: &s.cfg, cohort: &s.cohort, unacknowledged: c.unacknowledged}
	return c
}

// ServeConn serves the requests of one connection until it ends.
func ServeConn(client net.Conn, cfg Config, h Handler) {
	newConn(socket.Wrap(client), newShared(cfg), func() {}).serve(h)
}

// serve is the loop of a connection.
func (c *Conn) serve(h Handler) {
	defer c.forget()
	defer c.finish()
	if !c.shakeHands() {
		return
	}
	if other := c.agreedProtocol(); other != nil {
		c.Upgrade()
		other.Serve(c)
		return
	}
	for c.awaitHead() {
		if h.Serve(c); !c.current.answered || c.upgraded {
			return
		}
	}
	if c.fault != nil {
		h.Refuse(c, c.fault)
	}
}

// awaitHead waits for the head of the next request. It is false when there is none: the client has left or was silent
// for too long, the connection continues elsewhere, or the head is refused, which sets fault.
func (c *Conn) awaitHead() bool {
	c.current = current{}
	for c.rewind(); c.fault == nil; {
		if c.readProxyHeader() && c.judgeHead() {
			return true
		}
		if c.fault == nil && !c.fillHead() {
			return false
		}
	}
	return false
}

// readProxyHeader reports whether the PROXY protocol header is behind us, if there is to be one.
func (c *Conn) readProxyHeader() bool {
	if !c.proxy.awaited {
		return true
	}
	n, reason := c.proxy.look(c.unread())
	if reason != "" {
		c.refuse(reason)
	}
	if n > 0 {
		c.from += n
		c.rewind()
	}
	return n > 0
}

// fillHead reads more of a head. It reports whether anything came: if not, the connection ends. A client that was too
// slow is refused; one that has said nothing is not answered.
func (c *Conn) fillHead() bool {
	var room []byte
	if c.buf != nil {
		room = c.room()
	}
	n := c.fill(room, c)
	c.to += n
	if n == 0 && c.tooSlow() && !c.proxy.awaited {
		c.refuse(wire.ReasonSlowHead)
	}
	return n > 0
}

// ReadRequest makes req the request that has come. It is valid until Serve returns, or until Upgrade.
func (c *Conn) ReadRequest(req *message.Request) {
	c.current.Connection = c.takeHead(req)
	req.Head, req.Secure = c.received, c.IsSecure()
	c.current.headOnly, c.current.http10 = req.Method == "HEAD", req.Version == "1.0"
	if req.Length != 0 {
		req.Body = body{c}
	}
	if c.buffered() > 0 || len(c.content) > 0 || !c.BodyRemaining() {
		c.current.ExpectsContinue = false // the client does not wait
	}
}

// body is the body of the current request, without its framing.
type body struct{ c *Conn }

// Read returns a *wire.MalformedError when the body breaks a rule or comes too slowly, and io.ErrUnexpectedEOF when it
// ends early.
func (b body) Read(p []byte) (int, error) {
	if err := b.c.sayContinue(); err != nil {
		return 0, err
	}
	return b.c.readBody(p)
}

// continueLine is the interim answer to a client that waits for it (RFC 9110 §15.2.1).
const continueLine = "HTTP/1.1 100 Continue\r\n\r\n"

// sayContinue asks a client for the body that it holds back.
func (c *Conn) sayContinue() error {
	if !c.current.ExpectsContinue {
		return nil
	}
	c.current.ExpectsContinue = false
	if err := c.write([]byte(continueLine), nil); err != nil {
		return errors.Join(ErrClientLeft, err)
	}
	return nil
}

// IsSecure reports whether the client speaks TLS to us.
func (c *Conn) IsSecure() bool { return c.reader.secure }

// BytesSent returns how many bytes were written to the client.
func (c *Conn) BytesSent() int64 { return c.sent }

// Note is what the handlers of requests on one connection leave for those that follow.
type Note struct {
	mu   sync.Mutex
	note any
}

// Load returns what was stored last, nil at first.
func (n *Note) Load() any {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.note
}

// Store replaces it.
func (n *Note) Store(note any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.note = note
}

// Note returns the note of the connection.
func (c *Conn) Note() *Note { return &c.note }

// Peer returns the IP address of the client as RemoteAddr has it, without a zone and with IPv4 as such; it is not valid if
// the address is none of the Internet or names nobody. text is the address as text.
func (c *Conn) Peer() (peer netip.Addr, text string) {
	if !c.peerKnown {
		c.peerKnown = true
		if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			c.peer = PeerOf(tcp.AddrPort().Addr())
		}
		if c.peer.IsValid() {
			c.peerText = c.peer.String()
		}
	}
	return c.peer, c.peerText
}

// PeerOf returns the address of a client as Peer has it.
func PeerOf(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// RemoteAddr returns the address of the client: the one that a PROXY protocol header names, an address without an IP if
// it names nobody.
func (c *Conn) RemoteAddr() net.Addr {
	if named := c.proxy.client.Load(); named != nil {
		return named
	}
	return c.client.RemoteAddr()
}

// PeerGone reports whether the client has closed or reset its side, without waiting and even when unread bytes precede
// the close. A client that only half-closed looks the same. It costs one poll(2).
func (c *Conn) PeerGone() bool { return c.closed.Load() || c.ask().Gone() }

// unacknowledged is how many bytes the kernel holds that the client has not acknowledged.
func (c *Conn) unacknowledged() int64 { return int64(c.ask().Unsent()) }

// ask returns what answers questions about the socket.
func (c *Conn) ask() *socket.Probe {
	c.probing.Lock()
	defer c.probing.Unlock()
	if c.probe == nil {
		c.probe = socket.NewProbe(c.client)
	}
	return c.probe
}

// NetConn returns the wrapped connection, whose bytes are not judged.
func (c *Conn) NetConn() net.Conn { return c.client }

// Upgrade ends HTTP on the connection for good, after a 101. What the client has sent early is read first. From then on
// the caller sets deadlines, and Close is all that ends a Read.
func (c *Conn) Upgrade() {
	c.upgraded = true
	c.conns.leaveAlone(c)
	_ = c.client.SetDeadline(time.Time{})
}

// Read reads after Upgrade.
func (c *Conn) Read(p []byte) (int, error) {
	if n := c.takeUnread(p); n > 0 {
		return n, nil
	}
	return c.client.Read(p)
}

// Write writes after Upgrade.
func (c *Conn) Write(p []byte) (int, error) { return c.client.Write(p) }

// SetReadDeadline is for connections after Upgrade.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.client.SetReadDeadline(t) }

// SetWriteDeadline is for connections after Upgrade.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.client.SetWriteDeadline(t) }
