package gateway

import (
	"strings"
	"testing"
	"unicode/utf8"

	"wxgate/lograte"
	"wxgate/upstream/upstreamtest"
)

// TestALongPathMakesNoLongLogLine: a path of 15 KB made a line of 15 KB, for a request that is refused as well.
func TestALongPathMakesNoLongLogLine(t *testing.T) {
	t.Parallel()
	const most = 1 << 10
	for name, target := range map[string]string{
		"one that is forwarded": "/public/" + strings.Repeat("a", 15_000),
		"one without a route":   "/nowhere/" + strings.Repeat("a", 15_000),
		"one of Chinese":        "/public/x" + strings.Repeat("%E8%8F%9C", 1_600),
	} {
		e, journal := newLoggedEdge(t, upstreamtest.Echo(t).URL, func(*upstreamConfig) {})
		e.send(t, head("GET "+target, ""))
		path, _ := journal.onlyLine(t)["path"].(string)
		if len(path) > most+len("…") || !strings.HasSuffix(path, "…") || !utf8.ValidString(path) || len(path) < most-3 {
			t.Errorf("%s: the line has a path of %d bytes that ends in %q", name, len(path), path[max(0, len(path)-9):])
		}
		if size := len(journal.text.String()); size > 2<<10 {
			t.Errorf("%s: the line has %d bytes", name, size)
		}
	}
	if got := lograte.Clip([]byte("/a")); got != "/a" {
		t.Errorf("a short path is logged as %q", got)
	}
}
