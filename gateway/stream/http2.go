package stream

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"

	"wxgate/gateway/listen"
)

// Bounds of a connection of HTTP/2, beside those of listen.Config.
const (
	maxStreams       = 100       // at a time; as many as RFC 9113 §6.5.2 asks for
	connectionWindow = 256 << 10 // bytes that a client may send without being read, on all streams
	streamWindow     = 128 << 10 // likewise, on one
	maxFrame         = 16 << 10  // the least that RFC 9113 §6.5.2 allows
)

// Server serves the streams of connections.
type Server struct {
	cfg     listen.Config
	handler Handler
	places  *listen.Places // of streams that are served
	open    *listen.Places // of those of HTTP/2 whose answer has not been sent
	texts   sync.Pool      // of *room
	http2   *http2.Server  //nolint:staticcheck // http.Server, named instead, takes a *tls.Conn, above which no frames can be counted
	base    *http.Server   // of http2; its Shutdown says GOAWAY

	mu        sync.Mutex
	packets   *packets // HTTP/3; nil: it is not served
	ended     bool     // nor will it be
	announced atomic.Pointer[string]
}

// NewServer returns a server whose streams have the limits of cfg, those on their number among them: while it is served,
// a stream holds as much memory as a connection of HTTP/1.1.
//
//nolint:staticcheck // see Server
func NewServer(cfg listen.Config, h Handler) (*Server, error) {
	s := &Server{cfg: cfg, handler: h, places: cfg.Places(), open: cfg.Places(), texts: newTexts()}
	s.base = &http.Server{
		ReadHeaderTimeout: cfg.ReadHeader,
		MaxHeaderBytes:    2 * cfg.MaxHeadBytes, // beyond which the library refuses it, not the judge
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, 0),
	}
	s.http2 = &http2.Server{
		MaxConcurrentStreams:         maxStreams,
		MaxReadFrameSize:             maxFrame,
		IdleTimeout:                  cfg.Idle,
		ReadIdleTimeout:              cfg.WriteStall,
		PingTimeout:                  cfg.BodyStall,
		MaxUploadBufferPerConnection: connectionWindow,
		MaxUploadBufferPerStream:     streamWindow,
	}
	return s, http2.ConfigureServer(s.base, s.http2)
}

// Serve serves the streams of a connection on which HTTP/2 was agreed, until it ends.
//
//nolint:staticcheck // see Server
func (s *Server) Serve(c *listen.Conn) {
	from := &client{Server: s, version: "2.0"}
	from.peer, from.text = c.Peer()
	defer from.end()
	secure, ok := c.NetConn().(*tls.Conn)
	if !ok {
		return // HTTP/2 is agreed on by TLS alone
	}
	from.open = &openStreams{places: s.open, peer: from.peer, release: make(map[uint32]func())}
	defer from.open.endAll()
	s.http2.ServeConn(newMetered(secure, from.open), &http2.ServeConnOpts{BaseConfig: s.base, Handler: from})
}

// GoAway lets every connection end as soon as its streams have ended (RFC 9113 §6.8).
func (s *Server) GoAway() { _ = s.base.Shutdown(context.Background()) }
