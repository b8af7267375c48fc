package process

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// The widths of the columns of a console.
const (
	levelWidth   = 5 // of ERROR
	messageWidth = 36
	methodWidth  = 7  // of OPTIONS
	tookWidth    = 11 // of 123456.789ms
)

// The colours of a console (ECMA-48 §8.3.117).
const (
	colourOff    = "\x1b[0m"
	colourFaint  = "\x1b[2m"
	colourRed    = "\x1b[31m"
	colourGreen  = "\x1b[32m"
	colourYellow = "\x1b[33m"
	colourCyan   = "\x1b[36m"
)

// console is where lines of text go: as they are, or arranged for somebody who reads them on a terminal.
type console struct {
	to       io.Writer
	arranged atomic.Bool
	coloured bool
}

// isTerminal reports whether somebody may be reading what is written.
func isTerminal(out io.Writer) bool {
	file, isFile := out.(*os.File)
	return isFile && term.IsTerminal(int(file.Fd()))
}

// wantsColours reports whether an environment allows colours (https://no-color.org).
func wantsColours(env func(string) string) bool {
	return env("NO_COLOR") == "" && env("TERM") != "dumb"
}

// Write writes one line of slog's text format.
func (c *console) Write(line []byte) (int, error) {
	if !c.arranged.Load() {
		return c.to.Write(line)
	}
	if _, err := c.to.Write(c.arrange(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// arrange is a line in columns. Every control character in it was escaped before.
func (c *console) arrange(line []byte) []byte {
	pairs := splitPairs(bytes.TrimSuffix(line, []byte("\n")))
	if len(pairs) < 3 || pairs[0].key != "time" || pairs[1].key != "level" || pairs[2].key != "msg" {
		return line
	}
	out := c.faint(new(strings.Builder), clockOf(pairs[0].value))
	out.WriteByte(' ')
	level, message := pairs[1].value, pairs[2].text()
	rest := pairs[3:]
	if message == "request" && has(rest, "status") && has(rest, "duration_ms") {
		rest = c.request(out, rest)
	} else {
		c.paint(out, colourOfLevel(level), runewidth.FillRight(level, levelWidth))
		out.WriteString(" " + runewidth.FillRight(message, messageWidth))
	}
	for _, p := range rest {
		out.WriteByte(' ')
		c.faint(out, p.key+"=")
		out.WriteString(p.value)
	}
	return []byte(strings.TrimRight(out.String(), " ") + "\n")
}

// request writes the columns of an access line, and returns the pairs that are left.
func (c *console) request(out *strings.Builder, pairs []pair) (rest []pair) {
	var status, method, path, took string
	for _, p := range pairs {
		switch p.key {
		case "status":
			status = p.value
		case "method":
			method = p.value
		case "path":
			path = p.value
		case "duration_ms":
			took = p.value + "ms"
		default:
			rest = append(rest, p)
		}
	}
	c.paint(out, colourOfStatus(status), runewidth.FillRight(status, levelWidth))
	out.WriteString(" " + runewidth.FillRight(method, methodWidth) + " " + runewidth.FillLeft(took, tookWidth) + "  " + path)
	return rest
}

func (c *console) paint(out *strings.Builder, colour, text string) {
	if !c.coloured || colour == "" {
		out.WriteString(text)
		return
	}
	out.WriteString(colour + text + colourOff)
}

func (c *console) faint(out *strings.Builder, text string) *strings.Builder {
	c.paint(out, colourFaint, text)
	return out
}

func colourOfLevel(level string) string {
	switch {
	case strings.HasPrefix(level, "ERROR"):
		return colourRed
	case strings.HasPrefix(level, "WARN"):
		return colourYellow
	case strings.HasPrefix(level, "INFO"):
		return colourGreen
	}
	return colourFaint
}

func colourOfStatus(status string) string {
	switch status[:min(1, len(status))] {
	case "5":
		return colourRed
	case "4":
		return colourYellow
	case "3":
		return colourCyan
	}
	return colourGreen
}

// clockOf is the time of day of a time in RFC 3339, in milliseconds.
func clockOf(at string) string {
	_, clock, _ := strings.Cut(at, "T")
	return clock[:min(len("15:04:05.000"), len(clock))]
}

// pair is an attribute of a line: its value is quoted where it has to be.
type pair struct{ key, value string }

// text is the value without quotes, unless something in it is escaped.
func (p pair) text() string {
	if text, err := strconv.Unquote(p.value); err == nil && strconv.Quote(text) == `"`+text+`"` {
		return text
	}
	return p.value
}

func has(pairs []pair, key string) bool {
	for _, p := range pairs {
		if p.key == key {
			return true
		}
	}
	return false
}

// splitPairs splits a line as slog.TextHandler writes it.
func splitPairs(line []byte) (pairs []pair) {
	for rest := string(line); rest != ""; {
		key, after, found := cutToken(rest, "=")
		value, next, _ := cutToken(after, " ")
		if !found {
			return pairs
		}
		pairs, rest = append(pairs, pair{key, value}), next
	}
	return pairs
}

// cutToken cuts a text behind its first word, which may be quoted, at a separator.
func cutToken(text, separator string) (word, rest string, found bool) {
	if quoted, err := strconv.QuotedPrefix(text); err == nil && strings.HasPrefix(text, `"`) {
		rest, found = strings.CutPrefix(text[len(quoted):], separator)
		return quoted, rest, found
	}
	return strings.Cut(text, separator)
}
