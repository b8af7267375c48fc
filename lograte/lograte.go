// Package lograte keeps a log readable, and cheap, while clients provoke its lines: of each kind one a second is written,
// which tells how many were left out before it. What a line alone would say must be counted elsewhere, in a metric.
package lograte

import (
	"context"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"
)

// interval is how often a line of one kind is written at most.
const interval = time.Second

// Kind is what lines have in common. Its words come from closed sets, never from a client: each Kind is remembered.
type Kind struct {
	Message  string
	Reason   string // of the error table; "": none
	Upstream string // the name of the service; "": none
}

// Log writes lines that clients provoke. It is safe for concurrent use.
type Log struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	kinds map[Kind]kindState
}

// kindState is what became of the lines of a Kind.
type kindState struct {
	lastWritten time.Time
	leftOut     int // since then
}

// New returns a Log that writes to log.
func New(log *slog.Logger, now func() time.Time) *Log {
	return &Log{log: log, now: now, kinds: make(map[Kind]kindState)}
}

// Warn writes a warning with args, unless one of its kind was written within the last second.
func (l *Log) Warn(k Kind, args ...any) { l.write(slog.LevelWarn, k, args) }

// Error writes an error with args, unless one of its kind was written within the last second.
func (l *Log) Error(k Kind, args ...any) { l.write(slog.LevelError, k, args) }

func (l *Log) write(level slog.Level, k Kind, args []any) {
	leftOut, due := l.reserve(k)
	if !due {
		return
	}
	for _, word := range []struct{ key, value string }{{"reason", k.Reason}, {"upstream", k.Upstream}} {
		if word.value != "" {
			args = append(args, word.key, word.value)
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

// maxClipped bounds what of a text from outside a line of the log holds, in bytes.
const maxClipped = 1 << 10

// Clip is a copy of a text from outside, cut between two characters when it is too long.
func Clip(text []byte) string {
	if len(text) <= maxClipped {
		return string(text)
	}
	end := maxClipped
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return string(text[:end]) + "…"
}
