package process

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"

	"wxgate/gateway"
	"wxgate/lograte"
)

// TestNoLineOfTheLogChangesATerminal: C1 controls and bidi characters of a path or a nickname reached the log as they
// were.
func TestNoLineOfTheLogChangesATerminal(t *testing.T) {
	t.Parallel()
	const hostile = "菜\u009b31m\u0085\u007f\u202e\u2066\u200b\ufeff\u061c\u2028\U000e0041\x1b[2J\r\nforged=\"1\"谱👩\u200d🍳"
	for _, format := range []string{"json", "text"} {
		var said bytes.Buffer
		queue := NewLogQueue(&said)
		log := NewLogs(gateway.LogConfig{Level: "info", Format: format}, queue)
		log.With("nickname", hostile).WithGroup(hostile).Info(hostile, "path", hostile, hostile, 1, slog.Group(hostile, "x", hostile))
		queue.Close(time.Minute)
		line := strings.TrimSuffix(said.String(), "\n")
		if at := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); at >= 0 || !strings.Contains(line, "菜") {
			t.Errorf("%s: byte %d of the line is not shown: %q", format, at, line)
		}
		var back struct{ Nickname string }
		if format == "json" && (json.Unmarshal(said.Bytes(), &back) != nil || back.Nickname != hostile) {
			t.Errorf("it is read back as %q, want %q", back.Nickname, hostile)
		}
	}
}

func TestEscapedJSONIsTheSameJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", "菜谱 é", "\u0080", "a\u200fb\u200f", "\U000e0001", "\xff\xc2", strings.Repeat("\u202e", 100)} {
		data, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if n, err := (escapedJSON{&out}).Write(data); n != len(data) || err != nil {
			t.Errorf("%q: wrote %d of %d bytes, %v", text, n, len(data), err)
		}
		var before, after string
		if json.Unmarshal(data, &before) != nil || json.Unmarshal(out.Bytes(), &after) != nil || before != after {
			t.Errorf("%q became %s, which is %q", text, out.Bytes(), after)
		}
		if bytes.ContainsFunc(out.Bytes(), lograte.Hidden) {
			t.Errorf("%q became %q", text, out.Bytes())
		}
	}
}
