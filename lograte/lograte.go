// Package lograte keeps a log readable and cheap when clients provoke its lines: of each kind one a second is written,
// with the number left out before it. What only such lines would show must also be counted in a metric.
package lograte

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// interval is the minimum time between two lines of one kind.
const interval = time.Second

// Kind is what lines have in common. Its values come from closed sets, never from a client: each Kind is remembered.
type Kind struct {
	Message  string
	Reason   string // of the error table; "": none
	Upstream string // the name of the service; "": none
}

// Log writes lines that clients can provoke. It is safe for concurrent use.
type Log struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	kinds map[Kind]kindState
}

// kindState is when a line of a Kind was last written.
type kindState struct {
	lastWritten time.Time
	leftOut     int // since then
}

// New returns a Log that writes to log.
func New(log *slog.Logger, now func() time.Time) *Log {
	return &Log{log: log, now: now, kinds: make(map[Kind]kindState)}
}

// Info logs a line with args, unless one of its kind was written a moment ago.
func (l *Log) Info(k Kind, args ...any) { l.write(slog.LevelInfo, k, args) }

// Warn logs a warning with args, unless one of its kind was written within the last second.
func (l *Log) Warn(k Kind, args ...any) { l.write(slog.LevelWarn, k, args) }

// Error logs an error with args, unless one of its kind was written within the last second.
func (l *Log) Error(k Kind, args ...any) { l.write(slog.LevelError, k, args) }

func (l *Log) write(level slog.Level, k Kind, args []any) {
	leftOut, due := l.reserve(k)
	if !due {
		return
	}
	for _, attr := range []struct{ key, value string }{{"reason", k.Reason}, {"upstream", k.Upstream}} {
		if attr.value != "" {
			args = append(args, attr.key, attr.value)
		}
	}
	if leftOut > 0 {
		args = append(args, "left_out", leftOut)
	}
	l.log.Log(context.Background(), level, k.Message, args...)
}

// reserve reports whether a line is due, and how many were left out before it. A clock that was set back makes it due.
func (l *Log) reserve(k Kind) (leftOut int, due bool) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w, known := l.kinds[k]
	if since := now.Sub(w.lastWritten); known && since >= 0 && since < interval {
		w.leftOut++
		l.kinds[k] = w
		return 0, false
	}
	l.kinds[k] = kindState{lastWritten: now}
	return w.leftOut, true
}

// Gate lets one line pass in a time. Where none is due it costs a load, so it suits lines that any request can cause. The
// zero value is ready for use, by many goroutines.
type Gate struct{ passed atomic.Int64 } // when, in Unix nanoseconds

// Pass reports whether the time since the last line that passed is every or more. A clock that was set back lets one pass.
func (g *Gate) Pass(now time.Time, every time.Duration) bool {
	at, last := now.UnixNano(), g.passed.Load()
	if last != 0 && at >= last && at-last < int64(every) {
		return false
	}
	return g.passed.CompareAndSwap(last, at)
}

// MaxClipped bounds how much of an external text a log line contains, in bytes.
const MaxClipped = 1 << 10

// Clip is a copy of an external text, cut between two characters when it is too long.
func Clip(text []byte) string { return string(AppendClipped(nil, text)) }

// AppendClipped appends what Clip returns to a buffer.
func AppendClipped(to, text []byte) []byte {
	if len(text) <= MaxClipped {
		return append(to, text...)
	}
	end := MaxClipped
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return append(append(to, text[:end]...), "…"...)
}

// Hidden reports whether a terminal obeys a character instead of showing it: a control or a format character from DEL
// on. Those below DEL are escaped by every format.
func Hidden(r rune) bool {
	return r >= 0x7f && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r))
}
