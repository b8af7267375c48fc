package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"wxgate/gateway/listen"
)

// Bounds of a socket of HTTP/3: those of a connection are the ones of HTTP/2. The library cuts a head that does not end
// with its connection alone, so there are fewer connections than of TCP, where clients go that find none.
const (
	maxBidiStreams = 32   // that a client opens at a time on a connection, each a request
	maxUniStreams  = 8    // likewise, of the protocol itself; HTTP/3 has three (RFC 9114 §6.2)
	maxHandshaking = 1024 // connections that are being established
	doubtful       = 64   // of them, from which on a client must first prove its address (RFC 9000 §8.1.2)
	maxBegun       = 400  // handshakes that begin in a second, for each CPU: they take about half of it
	maxConns       = 1024 // connections
	maxConnsOfAddr = 64   // of them, of an address that listen.Config limits
	fieldOverhead  = 32   // bytes of a field, beside its name and its value (RFC 9114 §4.2.2)
	pseudoFields   = 4    // of a request (RFC 9114 §4.3.1)
)

// packets serves the streams of HTTP/3 on a socket of UDP.
type packets struct {
	server      *Server
	http3       *http3.Server
	transport   *quic.Transport
	listener    *quic.Listener
	enter       Enter
	places      *listen.Places // of connections
	handshaking atomic.Int64
	pace        pace            // of handshakes, for the goroutine that they begin on
	served      chan struct{}   // closed when no connection is accepted any more
	leaving     context.Context // ends when clients are told to go
	sendAway    context.CancelFunc
}

// Enter counts a connection from peer until leave is called. within reports whether it is within the caps.
type Enter func(peer net.Addr) (leave func(), within bool)

// newPackets listens on a socket, which shutdown closes. Early data are refused: they could be sent again by others.
func (s *Server) newPackets(socket net.PacketConn, secure *tls.Config, reset quic.StatelessResetKey, enter Enter) (*packets, error) {
	caps := s.cfg
	caps.MaxConns, caps.MaxConnsPerAddr = maxConns, min(caps.MaxConnsPerAddr, maxConnsOfAddr)
	p := &packets{server: s, enter: enter, places: caps.Places(), pace: pace{most: maxBegun * runtime.GOMAXPROCS(0)}, served: make(chan struct{})}
	p.leaving, p.sendAway = context.WithCancel(context.Background())
	p.http3 = &http3.Server{
		Handler:        http.HandlerFunc(serveStream),
		MaxHeaderBytes: s.cfg.MaxHeadBytes + (s.cfg.MaxFields+pseudoFields)*fieldOverhead, // what the judge takes, as it counts here
		ConnContext:    p.withClient,
		Logger:         slog.New(slog.DiscardHandler),
	}
	p.transport = &quic.Transport{
		Conn:                socket,
		VerifySourceAddress: func(net.Addr) bool { return p.handshaking.Load() > doubtful },
		ConnContext:         p.begin,
		StatelessResetKey:   &reset,
	}
	var err error
	p.listener, err = p.transport.Listen(http3.ConfigureTLSConfig(secure), &quic.Config{
		HandshakeIdleTimeout:           s.cfg.ReadHeader,
		MaxIdleTimeout:                 s.cfg.Idle,
		MaxIncomingStreams:             maxBidiStreams,
		MaxIncomingUniStreams:          maxUniStreams,
		InitialStreamReceiveWindow:     streamWindow / 2,
		MaxStreamReceiveWindow:         streamWindow,
		InitialConnectionReceiveWindow: connectionWindow / 2,
		MaxConnectionReceiveWindow:     connectionWindow,
	})
	return p, err
}

// pace allows so many events a second.
type pace struct {
	most  int
	begun time.Time // the second that is counted in
	count int       // in it
}

func (p *pace) allows(now time.Time) bool {
	if now.Sub(p.begun) >= time.Second {
		p.begun, p.count = now, 0
	}
	p.count++
	return p.count <= p.most
}

// attempt is a connection that is being established.
type attempt struct {
	of    *packets
	ended atomic.Bool
}

func (a *attempt) end() {
	if !a.ended.Swap(true) {
		a.of.handshaking.Add(-1)
	}
}

type (
	attemptKey struct{}
	clientKey  struct{}
)

var errTooMany = errors.New("too many connections are being established")

// begin counts an attempt, and refuses it when there are too many.
func (p *packets) begin(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	a := &attempt{of: p}
	if p.handshaking.Add(1) > maxHandshaking || !p.pace.allows(time.Now()) {
		a.end()
		return nil, errTooMany
	}
	context.AfterFunc(ctx, a.end)
	return context.WithValue(ctx, attemptKey{}, a), nil
}

// Accept returns the next connection within the caps.
func (p *packets) Accept(ctx context.Context) (*quic.Conn, error) {
	for {
		conn, err := p.listener.Accept(ctx)
		if err != nil {
			return nil, err
		}
		if a, ok := conn.Context().Value(attemptKey{}).(*attempt); ok {
			a.end()
		}
		leave, within := p.enter(conn.RemoteAddr())
		release, free := p.places.Take(peerOf(conn))
		context.AfterFunc(conn.Context(), func() { release(); leave() })
		if within && free {
			return conn, nil
		}
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "too many connections")
	}
}

// Addr returns the address of the socket.
func (p *packets) Addr() net.Addr { return p.listener.Addr() }

// Close ends Accept.
func (p *packets) Close() error { return p.listener.Close() }

// peerOf returns the address of a client, which is not valid if it is not known.
func peerOf(conn *quic.Conn) netip.Addr {
	if udp, ok := conn.RemoteAddr().(*net.UDPAddr); ok {
		return listen.PeerOf(udp.AddrPort().Addr())
	}
	return netip.Addr{}
}

// withClient adds who the streams of a connection are from. It closes a connection on which no request is served for so
// long, whatever its client sends: the library takes a stream without a head for work.
func (p *packets) withClient(ctx context.Context, conn *quic.Conn) context.Context {
	from := &client{Server: p.server, version: "3.0", peer: peerOf(conn)}
	if from.peer.IsValid() {
		from.text = from.peer.String()
	}
	from.idle = time.AfterFunc(p.server.cfg.ReadHeader, func() {
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "no request")
	})
	context.AfterFunc(conn.Context(), from.stopIdle)
	stop := context.AfterFunc(p.leaving, func() { from.sendAway(conn) })
	context.AfterFunc(conn.Context(), func() { stop() })
	return context.WithValue(ctx, clientKey{}, from)
}

// leaveWait is how long a client has to end a connection itself: after it was told to go, and after its last answer, of which
// the library has not sent the end when the handler returns.
const leaveWait = time.Second

// sendAway ends a connection whose client was told to go (RFC 9114 §5.2) as soon as its requests are answered. A phone that
// sleeps would keep the socket.
func (c *client) sendAway(conn *quic.Conn) {
	leaves := func() bool {
		select {
		case <-conn.Context().Done():
			return true
		case <-time.After(leaveWait):
			return false
		}
	}
	if leaves() {
		return
	}
	c.end()
	if !leaves() {
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	}
}

// serveStream serves a stream of HTTP/3.
func serveStream(w http.ResponseWriter, r *http.Request) {
	if from, ok := r.Context().Value(clientKey{}).(*client); ok {
		from.ServeHTTP(w, r)
	}
}

// serve serves the streams of every connection that comes, until shutdown.
func (p *packets) serve() error {
	defer close(p.served)
	if err := p.http3.ServeListener(p); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shutdown lets the connections end, cuts those that are left when ctx ends, and closes the socket. The listener is closed
// before: a handshake that began here and could not end would keep its client from a successor on the same port.
func (p *packets) shutdown(ctx context.Context) error {
	<-p.served
	p.sendAway()
	err := p.http3.Shutdown(ctx)
	if errors.Is(err, ctx.Err()) {
		err = nil // they are cut
	}
	return errors.Join(err, p.transport.Close(), p.transport.Conn.Close())
}

// ServePackets answers requests of HTTP/3 on a socket of UDP until Shutdown, which may have been called before, and
// closes it. reset, a secret, ends connections that an earlier process with the same one has left behind (RFC 9000 §10.3).
func (s *Server) ServePackets(socket net.PacketConn, secure *tls.Config, reset [32]byte, enter Enter) error {
	p, err := s.newPackets(socket, secure, reset, enter)
	if err != nil {
		return errors.Join(fmt.Errorf("serving HTTP/3 on %s: %w", socket.LocalAddr(), err), socket.Close())
	}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		close(p.served)
		return errors.Join(p.listener.Close(), p.shutdown(context.Background()))
	}
	s.packets = p
	if udp, ok := socket.LocalAddr().(*net.UDPAddr); ok {
		announcement := `h3=":` + strconv.Itoa(udp.Port) + `"; ma=86400`
		s.announced.Store(&announcement)
	}
	s.mu.Unlock()
	return p.serve()
}

// Announcement is the Alt-Svc of answers over TLS while HTTP/3 is served (RFC 7838 §3); "": it is not.
func (s *Server) Announcement() string {
	if announcement := s.announced.Load(); announcement != nil {
		return *announcement
	}
	return ""
}

// Shutdown lets the connections of HTTP/3 end, and cuts them when ctx ends. No socket is served from then on.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.ended = true
	p := s.packets
	s.packets = nil
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	closed := p.listener.Close()
	s.announced.Store(nil)
	return errors.Join(closed, p.shutdown(ctx))
}

var _ http3.QUICListener = (*packets)(nil)
