package listen

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"wxgate/gateway/wire"
)

// placeholder is what the server reads in place of a refused head or trailer section. It completes no line, so the server
// asks for more and receives the verdict; fasthttp takes an error before the first byte of either for a silent end.
const placeholder = '?'

// shared is what the connections of one listener have in common.
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

// Conn is a client connection whose Read passes judged bytes only. Read and Write have one user each, the server; every
// other method may be called from anywhere.
type Conn struct {
	net.Conn // the client: a TCP or a TLS connection
	*shared
	release func() // tells the listener

	// The following belong to Read.
	judge  wire.Judge
	buf    *[]byte // the memory of rest, from buffers
	rest   []byte  // what the client sent and the server has not read
	ok     int     // how many of rest may pass
	unseen bool    // rest has bytes that were not judged
	asked  bool    // the placeholder was given
	err    error   // how the client's side ended
	left   bool    // it goes on in another process
	reads  readClock

	note any // belongs to the handlers, which come one after the other

	writes writeClock // belongs to Write
	probe  peerProbe

	fault       atomic.Pointer[wire.MalformedError]
	passthrough atomic.Bool
	inMessage   atomic.Bool
	hasBody     atomic.Bool
	awaitsBody  atomic.Bool
	noContinue  atomic.Bool
	closed      atomic.Bool
	onClose     atomic.Pointer[func()] // nil: nobody wants to know
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

// Requests returns how many heads were passed. It equals fasthttp's ConnRequestNum in every handler; a difference means
// that the server took bytes of an unread body for a request, which must be refused.
func (c *Conn) Requests() uint64 { return c.requests.Load() }

// HasBody reports whether the current request is framed with a body of one byte or more, or chunked.
func (c *Conn) HasBody() bool { return c.hasBody.Load() }

// BodyRemaining reports whether a part of the current request was not handed to the server yet. When it is false the rest
// may still lie in the server's buffer: a streamed body is consumed once its reader has returned io.EOF.
func (c *Conn) BodyRemaining() bool { return c.inMessage.Load() }

// AwaitsBody reports whether nothing of the current request's body has come yet. It is false for a body in chunks.
func (c *Conn) AwaitsBody() bool { return c.awaitsBody.Load() }

// SkipContinue swallows the interim answer 100 that the server is about to write: the client did not ask for one.
func (c *Conn) SkipContinue() { c.noContinue.Store(true) }

// BytesSent returns how many bytes the client's side took.
func (c *Conn) BytesSent() int64 { return c.sent.Load() }

// Note returns what a handler left with SetNote, nil for nothing.
func (c *Conn) Note() any { return c.note }

// SetNote leaves something for the handlers of the connection's later requests.
func (c *Conn) SetNote(note any) { c.note = note }

// notifyClose makes Close call f, once, in place of what it was to call before. A connection that is closed already calls
// nothing.
func (c *Conn) notifyClose(f func()) { c.onClose.Store(&f) }

// gone tells the listener, and the one who wanted to know.
func (c *Conn) gone() {
	c.release()
	if f := c.onClose.Swap(nil); f != nil {
		(*f)()
	}
}

// Passthrough ends the judging, for good: what follows an upgrade is not HTTP. Nothing is lost, bytes that came early
// are read first. A handler calls it before fasthttp's Hijack; from then on deadlines are the caller's.
func (c *Conn) Passthrough() {
	if !c.passthrough.Swap(true) {
		c.conns.remove(c) // nobody may move its deadlines any more
		_ = c.Conn.SetDeadline(time.Time{})
	}
}
