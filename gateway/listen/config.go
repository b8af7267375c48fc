// Package listen owns the connections of clients: it accepts them within its caps, reads their requests as package wire
// judges them (RFC 9112), writes the answers, and closes, drains and hands over connections without resetting a client.
//
// A Listener runs one loop for each connection (Conn), on a goroutine of its own: wait for a head, serve the request,
// wait for the next one. It promises its Handler four things:
//
//   - A request was judged whole: a head that breaks a rule reaches Handler.Refuse alone, in its turn among pipelined
//     requests.
//   - A body arrives without its framing, up to the first byte that breaks it. One that ends early is
//     io.ErrUnexpectedEOF, never a clean end.
//   - What follows a message stays here until the next request is due. An unread body is never taken for a request.
//   - An answer that is not whole never looks whole to the client.
//
// Time is bounded by what the connection waits for (see Config). A connection that waits for a request holds no buffer.
package listen

import (
	"crypto/tls"
	"net/netip"
	"time"

	"wxgate/gateway/wire"
)

// Config holds the limits of a Listener and its connections. It begins as DefaultConfig.
type Config struct {
	wire.Limits
	MaxConns int // open connections; zero is as many as RLIMIT_NOFILE bears, more than that is lowered to it

	SharedSocket bool // another process (systemd) holds the listening socket, too: closing it here resets nobody

	MaxConnsPerAddr int                   // of these, from one IPv4 address or IPv6 /64, half of them at most; zero is no such limit
	Exempt          func(netip.Addr) bool // whose connections are exempt from that; nil: nobody's

	TLS             *tls.Config // nil: clients speak plain HTTP
	HandshakeFailed func(error) // is told of a client with which there is no TLS; may be nil
	HTTP2           Protocol    // of TLS connections that agreed on h2; nil: TLS must not offer it
	StreamRefused   func()      // is told of a stream beyond MaxConns or MaxConnsPerAddr, which bound streams like connections

	Proxied func(netip.Addr) bool // whose connections begin with a PROXY protocol header, below TLS; nil: nobody's

	ReadHeader time.Duration // from the accept, or from the first byte of a later request, to the end of the head; for a TLS handshake
	Idle       time.Duration // between two requests
	BodyStall  time.Duration // without one byte of a body that is being read
	BodyGrace  time.Duration // before BodyRate counts
	BodyRate   int64         // bytes a second, over the whole body, below which an upload is cut
	WriteStall time.Duration // how long a client may be slower than WriteRate while an answer waits for it
	WriteRate  int64         // bytes a second that a client must take

	TooManyConnections func() []byte // the answer to a connection over a cap, with Connection: close; nil: a bare 503

	// NextRequest is how long Drain waits on connections between two requests: a busy client sends the next one within
	// that time, and the answer tells it that the connection ends. Closing the connection instead could cross with a
	// request, which would then be lost (RFC 9112 §9.6).
	NextRequest time.Duration

	Linger      time.Duration // how long the end of a connection waits for its client, so that it reads our answer
	LingerBytes int64         // how much of what that client sends is read and discarded
}

// Protocol serves connections that carry another one than HTTP/1.1.
type Protocol interface {
	// Serve serves the connection until it ends.
	Serve(c *Conn)
	// GoAway lets every connection end as soon as its requests are answered. It returns at once, and may be called again.
	GoAway()
}

// DefaultConfig returns the limits that gateway.yaml documents.
func DefaultConfig() Config {
	return Config{
		Limits:        wire.Limits{MaxHeadBytes: 16 << 10, MaxFields: 100},
		StreamRefused: func() {},
		ReadHeader:    5 * time.Second,
		Idle:          75 * time.Second,
		BodyStall:     10 * time.Second,
		BodyGrace:     10 * time.Second,
		BodyRate:      1 << 10,
		WriteStall:    30 * time.Second,
		WriteRate:     1 << 10,
		NextRequest:   500 * time.Millisecond,
		Linger:        2 * time.Second,
		LingerBytes:   16 << 20,
	}
}

// bearable returns how many connections to accept: want, or as many as the descriptors allow. A quarter of them, and at
// least 64, are reserved for upstreams, storage and the log.
func bearable(want int) int {
	most := int(min(DescriptorLimit(), 1<<20))
	most = max(1, most-max(64, most/4))
	if want <= 0 {
		return most
	}
	return min(want, most)
}
