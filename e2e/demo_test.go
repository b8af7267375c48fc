package e2e

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestTheLinesThatTheDemoPrintsWorkWhenPasted runs exactly what `wxgate demo` prints, in a shell.
func TestTheLinesThatTheDemoPrintsWorkWhenPasted(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"sh", "curl", "sed", "tee"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the demo's lines need %s: %v", tool, err)
		}
	}
	p := start(t, []string{"demo", "--listen", "127.0.0.1:0"})
	var lines []string
	eventually(t, 60*time.Second, func() bool {
		lines = curlLines(p.output.String())
		return len(lines) == 5 && strings.Contains(p.output.String(), "msg=serving") || p.gone()
	})
	for i, want := range []string{`"access_token":"`, `"X-User-Id":["1"]`, "401 Unauthorized", `{"ok":true}`, `{"ok":true}`} {
		if i >= len(lines) {
			t.Fatalf("the demo printed %d curl lines, want 5:\n%s", len(lines), p.output)
		}
		out, err := exec.Command("sh", "-c", lines[i]).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) || !strings.HasSuffix(string(out), "\n") {
			t.Errorf("%s\nanswers %v\n%s\nwant %s and a line of its own for the prompt", lines[i], err, out, want)
		}
	}
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.output)
	}
}

func curlLines(output string) []string {
	var lines []string
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "curl ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
