package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"wxgate/gateway/listen"
)

// Bounds of a socket of HTTP/3: those of a connection are the ones of HTTP/2.
const (
	maxUniStreams  = 8    // that a client opens; HTTP/3 has three (RFC 9114 §6.2)
	maxHandshaking = 1024 // connections that are being established
	doubtful       = 64   // of them, from which on a client must first prove its address (RFC 9000 §8.1.2)
)

// packets serves the streams of HTTP/3 on a socket of UDP.
type packets struct {
	server      *Server
	http3       *http3.Server
	transport   *quic.Transport
	listener    *quic.Listener
	enter       Enter
	handshaking atomic.Int64
	served      chan struct{}   // closed when no connection is accepted any more
	leaving     context.Context // ends when clients are told to go
	sendAway    context.CancelFunc
}

// Enter counts a connection from peer until leave is called. within reports whether it is within the caps.
type Enter func(peer net.Addr) (leave func(), within bool)

// newPackets listens on a socket, which shutdown closes. Early data are refused: they could be sent again by others.
func (s *Server) newPackets(socket net.PacketConn, secure *tls.Config, enter Enter) (*packets, error) {
	p := &packets{server: s, enter: enter, served: make(chan struct{})}
	p.leaving, p.sendAway = context.WithCancel(context.Background())
	p.http3 = &http3.Server{Handler: http.HandlerFunc(serveStream), MaxHeaderBytes: 2 * s.cfg.MaxHeadBytes, IdleTimeout: s.cfg.Idle, ConnContext: p.withClient, Logger: slog.New(slog.DiscardHandler)}
	p.transport = &quic.Transport{
		Conn:                socket,
		VerifySourceAddress: func(net.Addr) bool { return p.handshaking.Load() > doubtful },
		ConnContext:         p.begin,
	}
	var err error
	p.listener, err = p.transport.Listen(http3.ConfigureTLSConfig(secure), &quic.Config{
		HandshakeIdleTimeout:           s.cfg.ReadHeader,
		MaxIdleTimeout:                 s.cfg.Idle,
		MaxIncomingStreams:             maxStreams,
		MaxIncomingUniStreams:          maxUniStreams,
		InitialStreamReceiveWindow:     streamWindow / 2,
		MaxStreamReceiveWindow:         streamWindow,
		InitialConnectionReceiveWindow: connectionWindow / 2,
		MaxConnectionReceiveWindow:     connectionWindow,
	})
	return p, err
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
	if p.handshaking.Add(1) > maxHandshaking {
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
		context.AfterFunc(conn.Context(), leave)
		if within {
			return conn, nil
		}
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "too many connections")
	}
}

// Addr returns the address of the socket.
func (p *packets) Addr() net.Addr { return p.listener.Addr() }

// Close ends Accept.
func (p *packets) Close() error { return p.listener.Close() }

// withClient adds who the streams of a connection are from.
func (p *packets) withClient(ctx context.Context, conn *quic.Conn) context.Context {
	from := &client{Server: p.server, version: "3.0"}
	if udp, ok := conn.RemoteAddr().(*net.UDPAddr); ok {
		from.peer = listen.PeerOf(udp.AddrPort().Addr())
		from.text = from.peer.String()
	}
	stop := context.AfterFunc(p.leaving, func() { from.sendAway(conn) })
	context.AfterFunc(conn.Context(), func() { stop() })
	return context.WithValue(ctx, clientKey{}, from)
}

// leaveWait is how long a client has to end a connection itself after it was told to go.
const leaveWait = time.Second

// sendAway ends a connection whose client was told to go (RFC 9114 §5.2) as soon as its requests are answered. A phone that
// sleeps would keep the socket.
func (c *client) sendAway(conn *quic.Conn) {
	select {
	case <-conn.Context().Done():
		return
	case <-time.After(leaveWait):
	}
	c.end()
	_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
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
// closes it.
func (s *Server) ServePackets(socket net.PacketConn, secure *tls.Config, enter Enter) error {
	p, err := s.newPackets(socket, secure, enter)
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
