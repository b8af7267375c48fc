package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// started is what a process has logged until it serves, as messages.
func started(t *testing.T, p *process) (messages []string) {
	t.Helper()
	eventually(t, 60*time.Second, func() bool { return strings.Contains(p.output.String(), "serving") || p.gone() })
	for line := range strings.Lines(p.output.String()) {
		var said struct{ Msg string }
		if json.Unmarshal([]byte(line), &said) == nil {
			messages = append(messages, said.Msg)
		}
	}
	return messages
}

// wantStart fails the test unless a start says what is open, in at most ten lines.
func wantStart(t *testing.T, what string, messages []string) {
	t.Helper()
	said := strings.Join(messages, "|")
	for _, message := range []string{"storing", "routing", "serving"} {
		if !strings.Contains("|"+said+"|", "|"+message+"|") {
			t.Errorf("the start of %s does not say %q", what, message)
		}
	}
	if len(messages) == 0 || len(messages) > 10 {
		t.Errorf("the start of %s takes %d lines, want ten at most:\n%s", what, len(messages), strings.Join(messages, "\n"))
	}
}

// TestAStartIsTenLinesAtMost is about the file that shows every key, and about one with a warning for each of twelve routes.
func TestAStartIsTenLinesAtMost(t *testing.T) {
	t.Parallel()
	full, err := os.ReadFile("../gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	everything := strings.NewReplacer(`":8080"`, `"127.0.0.1:0"`, `"127.0.0.1:9090"`, `"127.0.0.1:0"`, "dir: ./data", "dir: "+w.dir+"/full").Replace(string(full))
	if err := os.WriteFile(w.config, []byte(everything), 0o600); err != nil {
		t.Fatal(err)
	}
	wantStart(t, "gateway.yaml", started(t, start(t, []string{"serve", "-c", w.config})))

	const open = `
  - { path: /open%d/**, upstream: recipes, auth: none }
  - { path: /open%d/private/**, upstream: recipes }`
	var routes strings.Builder
	for _, n := range strings.Fields("1 2 3 4 5 6 7 8 9 10 11 12") {
		routes.WriteString(strings.ReplaceAll(open, "%d", n))
	}
	w.writeConfig(routes.String())
	messages := started(t, start(t, []string{"serve", "-c", w.config}))
	wantStart(t, "a file with many warnings", messages)
	if !strings.Contains(strings.Join(messages, "|"), "there are more warnings: run wxgate check") {
		t.Errorf("the warnings that are left out are not mentioned:\n%s", strings.Join(messages, "\n"))
	}
}

// TestTheStartOfTheDemoIsTenLinesAtMost counts what is no line to paste.
func TestTheStartOfTheDemoIsTenLinesAtMost(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"demo", "--listen", "127.0.0.1:0"})
	eventually(t, 60*time.Second, func() bool { return strings.Contains(p.output.String(), "msg=serving") || p.gone() })
	lines := 0
	for line := range strings.Lines(p.output.String()) {
		if strings.HasPrefix(line, "time=") {
			lines++
		}
	}
	if lines == 0 || lines > 10 {
		t.Errorf("%d lines, want ten at most:\n%s", lines, p.output)
	}
}
