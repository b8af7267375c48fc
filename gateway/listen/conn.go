package listen

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"wxgate/gateway/wire"
)

// placeholder is what the server reads in place of a refused head or trailer section. It completes no line, so the
// server asks for more and gets the verdict; fasthttp would take an error before the first byte of either for a silent
// end.
const placeholder = '?'

// shared is what the connections of a listener share.
type shared struct {
	cfg     Config
	buffers sync.Pool            // of *[]byte, each bufferBytes long
	give    atomic.Pointer[Give] // nil: connections stay
	drain   draining
	conns   conns
}

const bufferBytes = 4 << 10

func newShared(cfg Config) *shared {
	s := &shared{cfg: cfg}
	s.drain.ended = make(chan struct{})
	s.buffers.New = func() any { b := make([]byte, bufferBytes); return &b }
	return s
}

// Conn is a client connection whose Read returns judged bytes only. Only the server calls Read and Write, from one
// goroutine at a time; all other methods are safe for concurrent use.
type Conn struct {
	net.Conn // the client: a TCP or a TLS connection
	*shared
	release func() // tells the listener

	// The following belong to Read.
	judge  wire.Judge
	buf    *[]byte // the memory behind rest, from buffers
	rest   []byte  // what the client sent and the server has not read
	ok     int     // how many bytes of rest may pass
	unseen bool    // rest has bytes that were not judged
	asked  bool    // the placeholder was given
	err    error   // how the client's side ended
	left   bool    // it continues in another process
	reads  readClock

	note any // belongs to the handlers, which run one after the other

	writes writeClock // belongs to Write
	probe  peerProbe

	fault       atomic.Pointer[wire.MalformedError]
	passthrough atomic.Bool
	inMessage   atomic.Bool
	hasBody     atomic.Bool
	awaitsBody  atomic.Bool
	noContinue  atomic.Bool
	closed      atomic.Bool
	onClose     atomic.Pointer[func()] // nil: nobody is notified
	requests    atomic.Uint64
	received    atomic.Int64
	sent        atomic.Int64
}

// NewConn wraps one client connection, as a Listener does for each.
func NewConn(client net.Conn, cfg Config) *Conn {
	return newConn(client, newShared(cfg), func() {})
}

func newConn(client net.Conn, s *shared, release func()) *Conn {
	c := &Conn{Conn: client, shared: s, release: release, judge: wire.NewJudge(&s.cfg.Limits)}
	c.reads.head = time.Now()
	return c
}

// NetConn returns the wrapped connection. Reading or writing it breaks the promises of this package.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Requests returns how many heads were passed on. In every handler it equals fasthttp's ConnRequestNum; a difference
// means that the server took bytes of an unread body for a request, which must be refused.
func (c *Conn) Requests() uint64 { return c.requests.Load() }

// HasBody reports whether the current request is framed with a body of one byte or more, or chunked.
func (c *Conn) HasBody() bool { return c.hasBody.Load() }

// BodyRemaining reports whether a part of the current request has not been passed to the server yet. If not, the rest
// may still be in the server's buffer: a streamed body is consumed once its reader has returned io.EOF.
func (c *Conn) BodyRemaining() bool { return c.inMessage.Load() }

// AwaitsBody reports whether none of the current request's body has arrived yet. It is false for a chunked body.
func (c *Conn) AwaitsBody() bool { return c.awaitsBody.Load() }

// SkipContinue suppresses the 100 Continue that the server is about to write: the client did not ask for it.
func (c *Conn) SkipContinue() { c.noContinue.Store(true) }

// BytesSent returns how many bytes were written to the client.
func (c *Conn) BytesSent() int64 { return c.sent.Load() }

// Note returns what a handler stored with SetNote, or nil.
func (c *Conn) Note() any { return c.note }

// SetNote stores something for the handlers of later requests on the connection.
func (c *Conn) SetNote(note any) { c.note = note }

// notifyClose makes Close call f, once, instead of an earlier f. If the connection is closed already, f is not called.
func (c *Conn) notifyClose(f func()) { c.onClose.Store(&f) }

// gone notifies the listener, and whoever called notifyClose.
func (c *Conn) gone() {
	c.release()
	if f := c.onClose.Swap(nil); f != nil {
		(*f)()
	}
}

// Passthrough ends the judging for good: what follows an upgrade is not HTTP. Nothing is lost, bytes that arrived early
// are read first. A handler calls it before fasthttp's Hijack; from then on the caller sets deadlines.
func (c *Conn) Passthrough() {
	if !c.passthrough.Swap(true) {
		c.conns.remove(c) // nobody else may move its deadlines any more
		_ = c.Conn.SetDeadline(time.Time{})
	}
}
