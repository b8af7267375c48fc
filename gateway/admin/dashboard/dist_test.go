// Package dashboard_test holds what the dashboard's page is built from to what is embedded of it.
package dashboard_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wxgate/gateway/admin/dashboard"
	"wxgate/gateway/answer"
)

// TestDistWasBuiltFromThePage needs no Node: the build wrote down the sum of every file that it read and wrote.
func TestDistWasBuiltFromThePage(t *testing.T) {
	t.Parallel()
	noted := map[string]bool{"dist/SOURCES.txt": true}
	lines := bufio.NewScanner(bytes.NewReader(read(t, "dist/SOURCES.txt")))
	for lines.Scan() {
		want, name, _ := strings.Cut(lines.Text(), "  ")
		noted[name] = true
		if got := sha256.Sum256(read(t, name)); hex.EncodeToString(got[:]) != want {
			t.Errorf("got another %s than the build, want the same: run `make dashboard`", name)
		}
	}
	for _, pattern := range []string{"dist/*", "page/src/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) < 4 {
			t.Errorf("%s: got %v, %v, want files", pattern, files, err)
		}
		for _, name := range files {
			if !noted[filepath.ToSlash(name)] {
				t.Errorf("got %s, which the build does not know: run `make dashboard`", name)
			}
		}
	}
}

// TestEveryReasonIsExplained in both languages, which the page holds to the same keys.
func TestEveryReasonIsExplained(t *testing.T) {
	t.Parallel()
	explained := string(read(t, "page/src/reasons.js"))
	for _, failure := range answer.NewTable() {
		if got := strings.Count(explained, "\n    "+failure.Reason+": '"); got != 2 {
			t.Errorf("%s: got %d explanations in page/src/reasons.js, want one in each language", failure.Reason, got)
		}
	}
}

// TestEveryFaultHasWordsOfThePage in both languages, with the same blanks: those of English are what the gateway says.
func TestEveryFaultHasWordsOfThePage(t *testing.T) {
	t.Parallel()
	words := string(read(t, "page/src/words.js"))
	for fault, text := range dashboard.FaultTexts() {
		name := "\n    'fault." + fault + "': '"
		if strings.Count(words, name) != 2 || strings.Count(words, name+text+"',") != 1 {
			t.Errorf("%s: want words in each language in page/src/words.js, in English %q", fault, text)
		}
	}
}

// TestAFaultIsFilledIn is what a probe and a program are told.
func TestAFaultIsFilledIn(t *testing.T) {
	t.Parallel()
	got := dashboard.NewFault(dashboard.FaultLogUnwritable, "error", "{lines} is full", "lines", "3")
	if got.Text != "the log cannot be written ({lines} is full), 3 lines were dropped" || got.Values["lines"] != "3" || got.Fault != "log_unwritable" {
		t.Errorf("got %+v", got)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v: run `make dashboard`", err)
	}
	return text
}
