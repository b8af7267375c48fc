// Package stream serves requests that come on streams: of HTTP/2 (RFC 9113) on connections of package listen, and
// of HTTP/3 (RFC 9114) on a socket of UDP. Libraries own the frames, flow control and the compression of fields. A request
// is then written down as HTTP/1.1 has it and judged by package wire, so that the same rules decide everywhere what a
// request is; its answer goes out in time or not at all, as on a connection of its own.
package stream

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"wxgate/gateway/listen"
	"wxgate/gateway/wire"
	"wxgate/message"
)

// Handler serves the requests of streams, each on a goroutine of its own.
type Handler interface {
	// ServeStream serves the request that has come on s: it reads it with ReadRequest, and answers with WriteResponse. The
	// stream is reset if it does not.
	ServeStream(s *Stream)
	// RefuseStream answers a request whose head broke a rule.
	RefuseStream(s *Stream, fault *wire.MalformedError)
}

// client is who opened a connection, and what its streams share.
type client struct {
	*Server
	peer netip.Addr
	text string // peer as text
	note listen.Note
	open *openStreams // of HTTP/2; nil: of HTTP/3, which has few

	version string // of HTTP

	mu      sync.Mutex
	ended   bool           // no stream is served any more
	served  int            // streams
	serving sync.WaitGroup // likewise
	idle    *time.Timer    // ends a connection of HTTP/3 while there are none; nil: the library of HTTP/2 does
}

// enter counts a stream until leave is called. It is false when the stream may not be served: the connection has ended, for
// the library starts streams and waits for none, or there is no place.
func (c *client) enter() (leave func(), within bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil, false
	}
	release, within := c.places.Take(c.peer)
	if !within || c.open != nil && c.open.exceeded() {
		release()
		c.cfg.StreamRefused()
		return nil, false
	}
	c.serving.Add(1)
	if c.served++; c.idle != nil {
		c.idle.Stop()
	}
	return func() { release(); c.leave() }, true
}

func (c *client) leave() {
	defer c.serving.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.served--; c.served == 0 && c.idle != nil {
		c.idle.Reset(max(c.cfg.Idle, c.cfg.WriteStall)) // the end of the answer may still wait for its client
	}
}

// stopIdle keeps the timer of a connection that has ended from running on.
func (c *client) stopIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle.Stop()
	c.idle = nil
}

// end waits for the streams that are being served.
func (c *client) end() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.serving.Wait()
}

// Stream is one request and its answer. Its methods are for the goroutine that serves it, apart from PeerGone.
type Stream struct {
	client  *client
	writer  http.ResponseWriter
	control *http.ResponseController
	source  *http.Request
	gone    <-chan struct{}
	judge   wire.Judge
	head    []byte

	left     int64  // of the body; -1: not known
	first    []byte // of it, read ahead
	empty    int    // reads of it that brought nothing
	isHead   bool   // it is a HEAD
	read     clock
	written  clock
	answered bool // whole, as far as we know
}

// room is for a head as HTTP/1.1 has it.
type room struct {
	bytes []byte
	lines []message.Line
}

// newTexts returns the room for heads.
func newTexts() sync.Pool {
	return sync.Pool{New: func() any { return &room{make([]byte, 0, 4<<10), make([]message.Line, 32)} }}
}

// maxKeptText is the longest room that is used again.
const maxKeptText = 16 << 10

// ServeHTTP serves a request of the client. It resets the stream when its answer is not whole.
func (c *client) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	leave, within := c.enter()
	if !within {
		panic(http.ErrAbortHandler)
	}
	defer leave()
	text, _ := c.texts.Get().(*room)
	s := &Stream{
		client: c, writer: w, control: http.NewResponseController(w), source: r, gone: r.Context().Done(),
		judge: wire.NewJudge(&c.cfg.Limits), isHead: r.Method == http.MethodHead,
	}
	s.judge.Lend(text.lines)
	s.lookForBody()
	var reason wire.Reason
	if s.head, reason = writeDown(text.bytes[:0], r); reason == "" {
		_, reason = s.judge.Head(s.head)
	}
	text.bytes = s.head
	if reason == "" {
		c.handler.ServeStream(s)
	} else {
		c.handler.RefuseStream(s, &wire.MalformedError{Reason: reason})
	}
	if cap(text.bytes) <= maxKeptText {
		c.texts.Put(text)
	}
	if !s.answered {
		panic(http.ErrAbortHandler)
	}
}

// firstBytes are read of a body to see whether there is one.
const firstBytes = 4 << 10

// lookForBody finds out whether a request of HTTP/3 that names no length has a body: its head does not say.
func (s *Stream) lookForBody() {
	if s.source.ProtoMajor != 3 || s.source.ContentLength >= 0 {
		return
	}
	s.read.move(s.control.SetReadDeadline, s.client.cfg.BodyStall)
	first := make([]byte, firstBytes)
	for {
		n, err := s.readSource(first)
		if n > 0 {
			s.first = first[:n]
			return
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				s.source.ContentLength = 0
			}
			return // a failure comes again
		}
	}
}

// ReadRequest makes req the request that has come. It is valid until ServeStream returns.
func (s *Stream) ReadRequest(req *message.Request) {
	s.judge.Request(s.head, req)
	req.Head, req.Secure, req.Version = s.head, true, s.client.version
	if s.left = req.Length; s.left != 0 {
		req.Body = body{s}
	}
}

// BodyRemaining reports whether a part of the request has not arrived yet, or cannot.
func (s *Stream) BodyRemaining() bool { return s.left != 0 }

// Peer returns the IP address of the client, as listen.Conn has it.
func (s *Stream) Peer() (peer netip.Addr, text string) { return s.client.peer, s.client.text }

// PeerGone reports whether the client has reset the stream, or left.
func (s *Stream) PeerGone() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// Note returns the note of the connection.
func (s *Stream) Note() *listen.Note { return &s.client.note }

// writeDown appends the head of a request as HTTP/1.1 has it.
func writeDown(b []byte, r *http.Request) ([]byte, wire.Reason) {
	if !isLine(r.Method) || !isLine(r.RequestURI) || !isLine(r.Host) {
		return b, wire.ReasonStreamByte
	}
	b = append(append(b, r.Method...), ' ')
	b = append(append(b, r.RequestURI...), " HTTP/1.1\r\n"...)
	if r.Host != "" {
		b = append(append(append(b, "Host: "...), r.Host...), "\r\n"...)
	}
	for name, values := range r.Header {
		if name == "Host" {
			continue // which is the authority: the libraries refuse another
		}
		for _, value := range values {
			if !isLine(name) || !isLine(value) {
				return b, wire.ReasonStreamByte
			}
			if isAboutConnection(name, value) {
				return b, wire.ReasonConnField
			}
			b = append(append(b, name...), ": "...)
			b = append(append(b, value...), "\r\n"...)
		}
	}
	if r.ContentLength < 0 {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(b, "\r\n"...), ""
}

// isLine reports whether a text stays within its line (RFC 9113 §8.2.1). The rest is for the judge.
func isLine(s string) bool {
	for i := range len(s) {
		if s[i] == '\r' || s[i] == '\n' || s[i] == 0 {
			return false
		}
	}
	return true
}

// isAboutConnection reports whether a field is about a connection of HTTP/1.1, where there is none (RFC 9113 §8.2.2).
func isAboutConnection(name, value string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
		return true
	case "Te":
		return value != "trailers"
	}
	return false
}

// clock is a deadline, which is moved only when it is off by much: each move is a message to the connection.
type clock struct {
	deadline time.Time
	waited   time.Duration
	bytes    int64 // read in all
}

// move moves the deadline to wait from now on.
func (c *clock) move(set func(time.Time) error, wait time.Duration) (now time.Time) {
	now = time.Now()
	if off := now.Add(wait).Sub(c.deadline); off.Abs() > listen.Slack(wait) {
		c.deadline = now.Add(wait)
		_ = set(c.deadline)
	}
	return now
}
