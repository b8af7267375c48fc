package stream

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// A client may send frames that ask for work and carry nothing: pings, settings, priorities, resets, empty data. An
// honest one sends some for each request, and for what it receives.
const (
	idleBurst     = 1000 // at once
	idleRate      = 200  // a second
	idlePerSent   = 512  // bytes that were sent earn one more
	idlePerAnswer = 8    // more for each request that was answered
	frameHead     = 9    // bytes (RFC 9113 §4.1)
	prefaceSize   = len(http2.ClientPreface)
)

// errFlood ends a connection of too many frames that carry nothing (RFC 9113 §10.5).
var errFlood = errors.New("too many frames that carry nothing")

// metered is a connection whose frames that carry nothing are counted as they are read.
type metered struct {
	*tls.Conn
	head   [frameHead]byte
	filled int // of head
	skip   int // bytes that are no head
	tokens float64
	seen   time.Time    // when tokens were earned last
	sent   atomic.Int64 // since then
	served atomic.Int64 // likewise: requests that were answered
}

func newMetered(conn *tls.Conn) *metered {
	return &metered{Conn: conn, skip: prefaceSize, tokens: idleBurst, seen: time.Now()}
}

// Read fails once the client sends too much that carries nothing.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if !m.pass(p[:n]) {
		return 0, errFlood
	}
	return n, err
}

// Write counts what the client gets.
func (m *metered) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.sent.Add(int64(n))
	return n, err
}

// pass reports whether the frames in b may pass.
func (m *metered) pass(b []byte) bool {
	for len(b) > 0 {
		if m.skip > 0 {
			n := min(m.skip, len(b))
			m.skip -= n
			b = b[n:]
			continue
		}
		n := copy(m.head[m.filled:], b)
		b = b[n:]
		if m.filled += n; m.filled < frameHead {
			return true
		}
		m.filled = 0
		m.skip = int(m.head[0])<<16 | int(m.head[1])<<8 | int(m.head[2])
		if m.carriesNothing() && !m.take() {
			return false
		}
	}
	return true
}

// carriesNothing reports whether the frame whose head was read is neither a part of a request nor the end of one.
func (m *metered) carriesNothing() bool {
	switch kind, flags := http2.FrameType(m.head[3]), http2.Flags(m.head[4]); kind {
	case http2.FrameHeaders:
		return false
	case http2.FrameData:
		return m.skip == 0 && !flags.Has(http2.FlagDataEndStream)
	}
	return true
}

// take takes a token, if there is one.
func (m *metered) take() bool {
	if m.tokens < 1 {
		now := time.Now()
		m.tokens += now.Sub(m.seen).Seconds()*idleRate + float64(m.sent.Swap(0))/idlePerSent + float64(m.served.Swap(0))*idlePerAnswer
		m.tokens, m.seen = min(m.tokens, idleBurst), now
	}
	m.tokens--
	return m.tokens >= 0
}
