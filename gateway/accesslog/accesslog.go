// Package accesslog writes one line per request, as text or JSON. A line is byte for byte what log/slog would write of
// the same attributes, formatted without allocating anything. It is one Write of the log that the process writes anyway:
// what bounds and counts the lines of that log bounds and counts these too.
package accesslog

import (
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Format is how lines are written.
type Format uint32

// The formats of log.format, and none for a level of log.level above info.
const (
	Off Format = iota
	Text
	JSON
)

// Entry is what a line says of a request. Its texts may be in buffers of the request: Log does not keep them.
type Entry struct {
	Time         time.Time // of the line; never zero
	RequestID    string
	TraceID      [16]byte // zero: there is no trace
	Method       string
	Route        string // the pattern
	Path         []byte // decoded; 1 KiB of it is logged
	BytesIn      int64
	Client       netip.Addr // invalid: unknown
	Version      string     // of HTTP; "": 1.1, and it is left out
	Upstream     string     // the service of the route; "": none, and the next two are left out
	UpstreamTime time.Duration
	Attempts     int
	UserID       int64  // 0: nobody
	Issuer       string // of a token that is not ours; "": there was none
	Detail       string // what is wrong with the request of a 400; "": left out
	Began        int    // the status that the client received of an answer that was cut off; 0: left out
	Status       int
	BytesOut     int64
	Duration     time.Duration
	Reason       string // of the error table; "": left out
}

// Log writes access lines. It is safe for concurrent use.
type Log struct {
	out    io.Writer
	format atomic.Uint32 // a Format
	lines  sync.Pool     // of *line
}

// New returns a log that passes each line to out in one Write, which must not block and must not keep the line. Errors of
// out are ignored: whoever writes the log counts what it loses.
func New(out io.Writer, format Format) *Log {
	l := &Log{out: out, lines: sync.Pool{New: func() any { return &line{text: make([]byte, 0, 1<<10)} }}}
	l.SetFormat(format)
	return l
}

// SetFormat changes the format, from the next line on.
func (l *Log) SetFormat(format Format) { l.format.Store(uint32(format)) }

// largestKept is the size in bytes up to which the buffer of a line is used again.
const largestKept = 16 << 10

// Log writes the line of a request.
func (l *Log) Log(e *Entry) {
	format := Format(l.format.Load())
	if format == Off {
		return
	}
	n, _ := l.lines.Get().(*line) // there is nothing else in the pool
	n.json = format == JSON
	n.text = n.text[:0]
	n.entry(e)
	_, _ = l.out.Write(n.text)
	if cap(n.text) <= largestKept {
		l.lines.Put(n)
	}
}
