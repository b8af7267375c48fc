package process

import (
	"bytes"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"wxgate/gateway"
	"wxgate/gateway/accesslog"
)

// consoleLog is a log for somebody at a terminal, and what it has written when it has ended.
func consoleLog(colours bool) (log *Logs, written func() string) {
	out := new(bytes.Buffer)
	queue := NewLogQueue(out)
	log = NewLogs(gateway.LogConfig{Level: "debug", Format: "console"}, queue)
	log.out.coloured = colours
	return log, func() string { queue.Close(time.Minute); return out.String() }
}

func someRequest(status int, method, path string) *accesslog.Entry {
	return &accesslog.Entry{
		Time: time.Date(2026, 11, 29, 3, 4, 5, 123_456_789, time.UTC), RequestID: "uXH12d5joHDjXHkV", Method: method, Route: "/api/**", Path: []byte(path),
		Client: netip.MustParseAddr("192.0.2.7"), Status: status, Duration: 9_120 * time.Microsecond,
	}
}

func TestAConsoleIsInColumns(t *testing.T) {
	t.Parallel()
	log, written := consoleLog(false)
	log.Access.Log(someRequest(200, "GET", "/api/菜谱/7"))
	log.Access.Log(someRequest(503, "OPTIONS", "/api/recipes with a blank"))
	log.With("component", "x y").Warn("搜索 is slow", "took", 3*time.Second)
	log.Error("x", "error", "two\nlines \x1b[2J")
	want := []string{
		`03:04:05.123 200   GET          9.12ms  /api/菜谱/7 request_id=uXH12d5joHDjXHkV route=/api/** bytes_in=0 client_ip=192.0.2.7 bytes_out=0`,
		`03:04:05.123 503   OPTIONS      9.12ms  "/api/recipes with a blank" request_id=uXH12d5joHDjXHkV route=/api/** bytes_in=0 client_ip=192.0.2.7 bytes_out=0`,
		`TIME WARN  搜索 is slow                         component="x y" took=3s`,
		`TIME ERROR x                                    error="two\nlines \x1b[2J"`,
	}
	lines := strings.Split(strings.TrimSuffix(written(), "\n"), "\n")
	for i := range max(len(lines), len(want)) {
		got := ""
		if i < len(lines) {
			got = lines[i]
		}
		if i > 1 {
			got = regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d\d\d`).ReplaceAllString(got, "TIME")
		}
		if i >= len(want) || got != want[i] {
			t.Errorf("line %d is\n%s\nwant\n%s", i+1, got, append(want, make([]string, len(lines))...)[i])
		}
	}
}

func TestColoursAreForTerminalsAlone(t *testing.T) {
	t.Parallel()
	log, written := consoleLog(true)
	log.Access.Log(someRequest(404, "GET", "/"))
	log.Error("x")
	if got := written(); !strings.Contains(got, "\x1b[33m404  \x1b[0m GET") || !strings.Contains(got, "\x1b[31mERROR\x1b[0m x") {
		t.Errorf("got %q", got)
	}
	for variables, want := range map[[2]string]bool{{}: true, {"", "xterm"}: true, {"1", "xterm"}: false, {"", "dumb"}: false} {
		got := wantsColours(func(name string) string {
			return map[string]string{"NO_COLOR": variables[0], "TERM": variables[1]}[name]
		})
		if got != want {
			t.Errorf("NO_COLOR=%s TERM=%s: got %v, want %v", variables[0], variables[1], got, want)
		}
	}
}

// TestWhatIsNoTerminalGetsJSON is about auto, the default, and about the formats that a file names.
func TestWhatIsNoTerminalGetsJSON(t *testing.T) {
	t.Parallel()
	for format, begins := range map[string]string{"auto": `{"time":`, "json": `{"time":`, "text": "time=", "console": "0"} {
		out := new(bytes.Buffer)
		queue := NewLogQueue(out)
		log := NewLogs(gateway.LogConfig{Level: "info", Format: format}, queue)
		log.Access.Log(someRequest(200, "GET", "/"))
		queue.Close(time.Minute)
		if !strings.HasPrefix(out.String(), begins) {
			t.Errorf("%s: got %s", format, out)
		}
	}
}

// FuzzAConsoleIsSafe writes hostile attributes: no control character comes through, and each line stays one.
func FuzzAConsoleIsSafe(f *testing.F) {
	f.Add("msg", "key", "value\x1b[2J\n")
	f.Add("request", "status", `"`)
	f.Add(`a "b" c=d`, "duration_ms", `x" y="z`)
	f.Fuzz(func(t *testing.T, message, key, value string) {
		var out bytes.Buffer
		c := &console{to: &out}
		c.arranged.Store(true)
		slog.New(slog.NewTextHandler(c, nil)).Info(message, key, value, "status", 200, "duration_ms", 1.5)
		line := out.String()
		if strings.Count(line, "\n") != 1 || strings.ContainsAny(line, "\x1b\x00\r") || !strings.Contains(line, "200") {
			t.Errorf("got %q", line)
		}
	})
}
