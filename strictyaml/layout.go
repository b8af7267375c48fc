package strictyaml

import (
	"fmt"
	"regexp"
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

// misplaced says what is wrong with how the lines around a syntax fault are laid out, in the words of who wrote them, and
// where. It never shows a value: that may be a secret.
func misplaced(lines []string, at position) *misread {
	if key, found := findKey(lines, at.line); found && regexp.MustCompile(`^[^"'{\[].*:\s`).MatchString(key.value) {
		return &misread{position{key.number, key.column}, fmt.Sprintf("the value of %q has a colon with a blank behind it, so it needs quotes", key.key)}
	}
	for _, number := range []int{at.line, at.line + 1} {
		key, found := findKey(lines, number)
		above, known := keyAbove(lines, number)
		if !found || !known || key.column == above.column {
			continue
		}
		if key.column > above.column && above.value == "" || key.column < above.column && number > at.line {
			continue // that is how a section begins and ends
		}
		return &misread{position{key.number, key.column}, fmt.Sprintf("%q begins in column %d, but %q on line %d in column %d; keys of one section begin in the same column",
			key.key, key.column, above.key, above.number, above.column)}
	}
	return nil
}
