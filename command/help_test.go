package command

import (
	"regexp"
	"strings"
	"testing"

	"wxgate/command/cli"
	"wxgate/command/lesson"
)

// testProgram is the command line of the program.
func testProgram(t *testing.T) *cli.Node {
	t.Helper()
	program, err := newProgram(new(commands))
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func TestEveryCommandRuns(t *testing.T) {
	t.Parallel()
	for _, leaf := range testProgram(t).Leaves() {
		if runOf(leaf.Command()) == nil {
			t.Errorf("%s: %T has no Run", leaf.Path(), leaf.Command())
		}
	}
}

func TestTheHelpOfEveryCommandTeachesByExamples(t *testing.T) {
	t.Parallel()
	all, known := lesson.All(), map[string]bool{}
	for _, leaf := range testProgram(t).Leaves() {
		name := leaf.Path()
		known[name] = true
		if l := all[name]; len(l.About) < 20 || len(l.Examples) < 2 || len(l.Examples) > 4 {
			t.Errorf("%s: got %d examples and the text %q, want 2 to 4 and when to use it", name, len(l.Examples), l.About)
		}
		if !strings.Contains(leaf.Detail, "\n    wxgate") && !strings.Contains(leaf.Detail, "| wxgate") {
			t.Errorf("%s: its help has no example:\n%s", name, leaf.Detail)
		}
	}
	for name := range all {
		if !known[name] {
			t.Errorf("there is a lesson for %s, which is no command", name)
		}
	}
}

// TestExamplesOfTheHelpAreCommandLines reads every example with the parser of the program.
func TestExamplesOfTheHelpAreCommandLines(t *testing.T) {
	t.Parallel()
	all := lesson.All()
	all[""] = lesson.Beginning()
	for name, each := range all {
		for _, e := range each.Examples {
			words := wordsOfExample(e.Line)
			if words == nil {
				t.Errorf("%s: %q does not run wxgate", name, e.Line)
				continue
			}
			command, err := testProgram(t).Parse(words)
			if err != nil {
				t.Errorf("%s: %q: %v", name, e.Line, err)
				continue
			}
			if got := command.Path(); name != "" && got != name {
				t.Errorf("%s: %q runs %s", name, e.Line, got)
			}
		}
	}
}

// wordsOfExample are the arguments of wxgate in a line of a shell, nil if it is not in it.
func wordsOfExample(line string) []string {
	plain := regexp.MustCompile(`\$\([^w].*?\)`).ReplaceAllString(line, "x") // but for "$(wxgate …)"
	m := regexp.MustCompile(`(?:^|\| |\$\()wxgate\b([^|<>)]*)`).FindStringSubmatch(plain)
	if m == nil {
		return nil
	}
	words := []string{}
	for _, word := range regexp.MustCompile(`(?:[^\s'"]+|'[^']*'|"[^"]*")+`).FindAllString(m[1], -1) {
		words = append(words, strings.NewReplacer("'", "", `"`, "").Replace(word))
	}
	return words
}
