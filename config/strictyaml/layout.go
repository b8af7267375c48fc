package strictyaml

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// keyLine is a line that begins with a key: what stands before it, the key, and its value.
type keyLine struct {
	number int // from 1
	column int // of the key, from 1
	key    string
	value  string
}

// findKey reads a line; false when it does not begin with a key.
func findKey(lines []string, number int) (keyLine, bool) {
	if number < 1 || number > len(lines) {
		return keyLine{}, false
	}
	m := regexp.MustCompile(`^([ ]*(?:- +)*)([^\s#:"'{\[-][^:]*):(?:\s+(.*?)\s*)?$`).FindStringSubmatch(lines[number-1])
	if m == nil {
		return keyLine{}, false
	}
	return keyLine{number, 1 + utf8.RuneCountInString(m[1]), m[2], m[3]}, true
}

// keyAbove is the nearest key line above another one.
func keyAbove(lines []string, number int) (keyLine, bool) {
	for n := number - 1; n > 0; n-- {
		if above, found := findKey(lines, n); found {
			return above, true
		}
	}
	return keyLine{}, false
}

// misplaced says what is wrong with how the lines around a syntax fault are laid out, in the words of who wrote them,
// and where. It never shows a value: that may be a secret.
func misplaced(lines []string, at position) *misread {
	if fault := withoutBlank(lines, at); fault != nil {
		return fault
	}
	if fault := withoutQuote(lines, at); fault != nil {
		return fault
	}
	if fault := ofAnotherFormat(lines, at); fault != nil {
		return fault
	}
	if key, found := findKey(lines, at.line); found {
		if m := regexp.MustCompile(`^[^"'{\[]*, *([a-z][a-z_]*): `).FindStringSubmatch(key.value); m != nil {
			return &misread{position{key.number, key.column}, fmt.Sprintf("%q and %q go on lines of their own, or between { }", key.key, m[1])}
		}
		if m := regexp.MustCompile(`^[^"'{\[].*:(\s|$)`).FindStringSubmatch(key.value); m != nil {
			where := map[bool]string{true: "at its end", false: "with a blank behind it"}[m[1] == ""]
			return &misread{position{key.number, key.column}, fmt.Sprintf("the value of %q has a colon %s, so it needs quotes", key.key, where)}
		}
	}
	for _, number := range []int{at.line, at.line + 1} {
		key, found := findKey(lines, number)
		above, known := keyAbove(lines, number)
		if !found || !known || key.column == above.column {
			continue
		}
		if key.column > above.column && above.value == "" || key.column < above.column && (number > at.line || goesOn(lines, key)) {
			continue // that is how a section begins and ends
		}
		if above.value == "[]" || above.value == "{}" {
			return &misread{position{above.number, above.column}, fmt.Sprintf("%q is empty, but something stands below it: remove %s", above.key, above.value)}
		}
		if strings.HasPrefix(above.key, "* ") {
			return &misread{position{above.number, above.column}, `an entry of a list begins with "- "`}
		}
		return &misread{position{key.number, key.column}, fmt.Sprintf("%q begins in column %d, but %q on line %d in column %d; keys of one section begin in the same column",
			key.key, key.column, above.key, above.number, above.column)}
	}
	return nil
}

// goesOn reports whether a key stands below another one of its section, with deeper ones between them.
func goesOn(lines []string, key keyLine) bool {
	for above, found := keyAbove(lines, key.number); found && above.column >= key.column; above, found = keyAbove(lines, above.number) {
		if above.column == key.column {
			return true
		}
	}
	return false
}

// withoutBlank finds a key whose colon, or a dash, has no blank behind it, on the line of a syntax fault or the one
// before: YAML takes it for a text.
func withoutBlank(lines []string, at position) *misread {
	for _, number := range []int{at.line, at.line - 1} {
		if number < 1 || number > len(lines) {
			continue
		}
		if m := regexp.MustCompile(`^( *)-(\w+):`).FindStringSubmatch(lines[number-1]); m != nil {
			return &misread{position{number, 1 + len(m[1])}, fmt.Sprintf(`the dash needs a blank behind it: "- %s"`, m[2])}
		}
		if before, key := keyWithoutBlank(lines[number-1]); key != "" {
			return &misread{position{number, 1 + len(before)}, blankAfter(key)}
		}
	}
	return nil
}

// keyWithoutBlank is the key that a line begins with, and what stands before it, when no blank is behind its colon. A
// URL and an address begin with no key.
func keyWithoutBlank(line string) (before, key string) {
	m := regexp.MustCompile(`^( *(?:- +)*)([a-z][a-z_]*):[^\s/]|^( *(?:- +)*)(path|prefix|file|ca):/`).FindStringSubmatch(line)
	if m == nil || m[2] == "localhost" {
		return "", ""
	}
	return m[1] + m[3], m[2] + m[4]
}

// withBlank adds that where what somebody wrote in the place of a section begins with such a key.
func withBlank(message, written string) string {
	if _, key := keyWithoutBlank(written); key != "" {
		return message + "; " + blankAfter(key)
	}
	return message
}

func blankAfter(key string) string { return fmt.Sprintf("%q needs a blank behind its colon", key+":") }

// withoutQuote finds a text that begins with a quote and does not end on its line, at a syntax fault or before it: whatever
// quote comes next ends it, and what is behind that makes no sense.
func withoutQuote(lines []string, at position) *misread {
	for i, line := range lines[:min(at.line, len(lines))] {
		if col, quote := openQuote(line); col > 0 {
			return &misread{position{i + 1, col}, fmt.Sprintf("a text that begins with %c does not end on its line: write another %c", quote, quote)}
		}
	}
	return nil
}

// openQuote is the column, from 1, of a quote that begins a value and has no other one behind it on the line; 0: there is none.
func openQuote(line string) (col int, quote rune) {
	before, begins := ' ', 0
	for i, r := range []rune(line) {
		switch {
		case quote != 0:
			if r == quote && before != '\\' {
				quote = 0
			}
		case r == '#' && before == ' ':
			return 0, 0
		case (r == '"' || r == '\'') && strings.ContainsRune(" [{,", before):
			quote, begins = r, i+1
		}
		before = r
	}
	if quote == 0 {
		return 0, 0
	}
	return begins, quote
}

// withoutBlocks empties the lines of texts that | or > begins: whatever they hold is right.
func withoutBlocks(lines []string) []string {
	kept := slices.Clone(lines)
	key := -1 // the indentation of the key whose text the lines are
	for i, line := range lines {
		indentation := len(line) - len(strings.TrimLeft(line, " "))
		if key >= 0 && (indentation > key || strings.TrimSpace(line) == "") {
			kept[i] = ""
			continue
		}
		key = -1
		if regexp.MustCompile(`(: +|- +)[|>][-+0-9]*\s*$`).MatchString(withoutQuoted(line)) {
			key = indentation
		}
	}
	return kept
}
