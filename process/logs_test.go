package process

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wxgate/gateway"
	"wxgate/gateway/accesslog"
)

// TestAccessLinesFollowTheSectionLog changes level and format, as a reload does. Other lines keep their place among them.
func TestAccessLinesFollowTheSectionLog(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	queue := NewLogQueue(&said)
	log := NewLogs(gateway.LogConfig{Level: "info", Format: "json"}, queue)
	entry := accesslog.Entry{Time: time.Unix(1, 0).UTC(), Path: []byte("/a"), Client: netip.MustParseAddr("::1"), Status: 200}
	log.Access.Log(&entry)
	log.Warn("between")
	log.set(gateway.LogConfig{Level: "warn", Format: "text"})
	log.Access.Log(&entry)
	log.set(gateway.LogConfig{Level: "debug", Format: "text"})
	log.Access.Log(&entry)
	queue.Close(time.Minute)
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	want := []string{`{"time":"1970-01-01T00:00:01Z","level":"INFO","msg":"request"`, `{"time":"`, `time=1970-01-01T00:00:01.000Z level=INFO msg=request`}
	if len(lines) != len(want) {
		t.Fatalf("got %d lines, want %d: %q", len(lines), len(want), lines)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) || strings.Contains(line, "between") != (i == 1) {
			t.Errorf("line %d is %q, want %q…", i, line, want[i])
		}
	}
}
