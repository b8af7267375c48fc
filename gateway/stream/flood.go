package stream

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"wxgate/gateway/listen"
)

// A client may send frames that ask for work and carry nothing: pings, settings, priorities, resets, empty data. An
// honest one sends some for each answer: it opens both windows for each frame of data, however small. A stream that we
// reset costs more than its answer earned.
const (
	idleBurst = 1000 // at once
	idleRate  = 200  // a second
	perData   = 2    // more for each frame of data that we write
	perHead   = 4    // likewise for each head
	perReset  = -8   // likewise for each reset
	frameHead = 9    // bytes (RFC 9113 §4.1)

	prefaceSize = len(http2.ClientPreface)
)

// errFlood ends a connection of too many frames that carry nothing (RFC 9113 §10.5).
var errFlood = errors.New("too many frames that carry nothing")

// metered is a connection whose frames that carry nothing are counted as they are read.
type metered struct {
	*tls.Conn
	read   frames
	wrote  frames
	tokens float64
	seen   time.Time    // when tokens were earned last
	earned atomic.Int64 // since then, by what we wrote
	open   *openStreams
}

func newMetered(conn *tls.Conn, open *openStreams) *metered {
	return &metered{Conn: conn, read: frames{skip: prefaceSize}, tokens: idleBurst, seen: time.Now(), open: open}
}

// Read fails once the client sends too much that carries nothing.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	for b := p[:n]; ; {
		kind, flags, size, rest := m.read.next(b)
		if b = rest; size < 0 {
			return n, err
		}
		if carriesNothing(kind, flags, size) && !m.take() {
			return 0, errFlood
		}
		switch id := m.read.stream(); kind {
		case http2.FrameHeaders:
			if !m.open.begin(id) {
				return 0, errFlood
			}
		case http2.FrameRSTStream:
			m.open.end(id)
		}
	}
}

// Write counts what the client gets. The library writes from one goroutine at a time.
func (m *metered) Write(p []byte) (int, error) {
	for b := p; ; {
		kind, flags, size, rest := m.wrote.next(b)
		if b = rest; size < 0 {
			break
		}
		if kind == http2.FrameRSTStream || (kind == http2.FrameData || kind == http2.FrameHeaders) && flags.Has(http2.FlagDataEndStream) {
			m.open.end(m.wrote.stream())
		}
		switch kind {
		case http2.FrameData:
			m.earned.Add(perData)
		case http2.FrameHeaders:
			m.earned.Add(perHead)
		case http2.FrameRSTStream:
			m.earned.Add(perReset)
		}
	}
	return m.Conn.Write(p)
}

// frames finds the heads of frames in what comes in pieces.
type frames struct {
	head   [frameHead]byte
	filled int // of head
	skip   int // bytes that are no head
}

// next returns what the next head in b says, and what is behind it in b; a size of -1: none is complete.
func (f *frames) next(b []byte) (kind http2.FrameType, flags http2.Flags, size int, rest []byte) {
	n := min(f.skip, len(b))
	f.skip -= n
	b = b[n:]
	n = copy(f.head[f.filled:], b)
	if f.filled += n; f.filled < frameHead {
		return 0, 0, -1, nil
	}
	f.filled = 0
	f.skip = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
	return http2.FrameType(f.head[3]), http2.Flags(f.head[4]), f.skip, b[n:]
}

// stream is the stream of the head that next has returned.
func (f *frames) stream() uint32 { return binary.BigEndian.Uint32(f.head[5:]) &^ (1 << 31) }

// carriesNothing reports whether a frame is neither a part of a request nor the end of one.
func carriesNothing(kind http2.FrameType, flags http2.Flags, size int) bool {
	switch kind {
	case http2.FrameHeaders:
		return false
	case http2.FrameData:
		empty := size == 0 || flags.Has(http2.FlagDataPadded) && size <= 1+math.MaxUint8 // padding may be all of it
		return empty && !flags.Has(http2.FlagDataEndStream)
	}
	return true
}

// take takes a token, if there is one.
func (m *metered) take() bool {
	if m.tokens < 1 {
		now := time.Now()
		m.tokens += now.Sub(m.seen).Seconds()*idleRate + float64(m.earned.Swap(0))
		m.tokens, m.seen = min(m.tokens, idleBurst), now
	}
	m.tokens--
	return m.tokens >= 0
}

// maxOpen is far more than the library lets a client open, be they served, waiting or about to be reset.
const maxOpen = 10 * maxStreams

// openStreams are the streams of a connection from the head of a request to the end of its answer. The library writes a short
// answer when its handler has returned, and holds it while the client opens no window.
type openStreams struct {
	places *listen.Places
	peer   netip.Addr

	mu      sync.Mutex
	last    uint32            // that the client began
	release map[uint32]func() // gives back the place of each
}

// begin notes a stream when its first head comes. It is false when there are too many.
func (o *openStreams) begin(id uint32) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if id > o.last { // else it is a trailer
		o.last = id
		o.release[id], _ = o.places.Take(o.peer) // whether there was one is asked before it is served
	}
	return len(o.release) <= maxOpen
}

func (o *openStreams) end(id uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if release := o.release[id]; release != nil {
		release()
		delete(o.release, id)
	}
}

// endAll is for the end of the connection.
func (o *openStreams) endAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, release := range o.release {
		release()
	}
	clear(o.release)
}

// exceeded reports whether the client, or all together, have more open than they may.
func (o *openStreams) exceeded() bool { return o.places.Exceeded(o.peer) }
