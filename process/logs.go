package process

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"

	"wxgate/gateway"
	"wxgate/gateway/accesslog"
)

// Logs is the log of a process, whose level and format a reload can change.
type Logs struct {
	*slog.Logger
	Access *accesslog.Log // into the same queue
	level  slog.LevelVar
	text   atomic.Bool
	out    *console // into queue
	queue  *LogQueue
}

// NewLogs returns a log that writes to queue as the section log says.
func NewLogs(cfg gateway.LogConfig, queue *LogQueue) *Logs {
	out := &console{to: queue, coloured: queue.terminal && wantsColours(os.Getenv)}
	l := &Logs{Access: accesslog.New(out, accesslog.Off), out: out, queue: queue}
	l.set(cfg)
	options := &slog.HandlerOptions{Level: &l.level}
	l.Logger = slog.New(&eitherFormat{&l.text, slog.NewTextHandler(out, options), slog.NewJSONHandler(escapedJSON{queue}, options)})
	queue.onDropped = func(dropped uint64) { l.Warn("lines of the log were dropped", "lines", dropped) }
	return l
}

// set changes the level and the format, from the next line on.
func (l *Logs) set(cfg gateway.LogConfig) {
	if l.level.UnmarshalText([]byte(cfg.Level)) != nil {
		l.level.Set(slog.LevelInfo) // unreachable: Validate refuses every other level
	}
	onConsole := cfg.Format == "console" || cfg.Format == "auto" && l.queue.terminal
	l.text.Store(onConsole || cfg.Format == "text")
	l.out.arranged.Store(onConsole)
	l.Access.SetFormat(l.accessFormat())
}

// accessFormat is the format of the access lines, whose level is info.
func (l *Logs) accessFormat() accesslog.Format {
	switch {
	case l.level.Level() > slog.LevelInfo:
		return accesslog.Off
	case l.text.Load():
		return accesslog.Text
	}
	return accesslog.JSON
}

// eitherFormat passes records to one of two handlers. All loggers derived from it share the switch.
type eitherFormat struct {
	text         *atomic.Bool
	asText, json slog.Handler
}

func (h *eitherFormat) now() slog.Handler {
	if h.text.Load() {
		return h.asText
	}
	return h.json
}

// Enabled implements slog.Handler.
func (h *eitherFormat) Enabled(ctx context.Context, level slog.Level) bool {
	return h.json.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *eitherFormat) Handle(ctx context.Context, r slog.Record) error {
	return h.now().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *eitherFormat) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &eitherFormat{h.text, h.asText.WithAttrs(attrs), h.json.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h *eitherFormat) WithGroup(name string) slog.Handler {
	return &eitherFormat{h.text, h.asText.WithGroup(name), h.json.WithGroup(name)}
}
