package strictyaml

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// ofAnotherFormat finds on the line of a syntax fault what is right in another format: comments, equals signs and sections
// of others, marks of lists in texts, templates. It shows keys and never a value, which may be a secret.
func ofAnotherFormat(lines []string, at position) *misread {
	for _, habit := range []struct{ pattern, message string }{ // the first group is what is at fault
		{"^\\s*(```)", "``` is of Markdown: remove the line"},
		{`^\s*(//|/\*|<!--|;)`, "a comment begins with #"},
		{`^\s*(?:- )?([A-Za-z][\w.-]*)\s*:?=`, `a key and its value are written "%s: …", with a colon and a blank`},
		{`^[^{\[]*:\s+(\{\{|<%|\{%)`, "no template is filled in here: a variable of the environment is ${NAME}"},
		{`^\s*(?:- )?[A-Za-z][^{\["']*:\s+(?:" *"|' *')\s*([^\s#])`, "nothing but a comment may stand behind the quote that ends a text"},
	} {
		at = at.inside(lines)
		line := withoutQuoted(lines[at.line-1])
		if m := regexp.MustCompile(habit.pattern).FindStringSubmatchIndex(line); m != nil {
			return &misread{position{at.line, 1 + utf8.RuneCountInString(line[:m[2]])}, strings.ReplaceAll(habit.message, "%s", line[m[2]:m[3]])}
		}
	}
	return nil
}

// unresolved finds what git leaves in a file where two changes meet.
func unresolved(lines []string) *misread {
	for i, line := range lines {
		if strings.HasPrefix(line, "<<<<<<< ") || strings.HasPrefix(line, ">>>>>>> ") {
			return &misread{position{i + 1, 1}, "a conflict of git is not resolved here"}
		}
	}
	return nil
}

// bracket is one that begins a list or a section, and where.
type bracket struct {
	position
	open rune
}

// leftOpen finds a { or [ that begins a value and is never closed, or is closed by the bracket of the other kind.
func leftOpen(lines []string) *misread {
	var open []bracket
	closing := map[rune]rune{'{': '}', '[': ']'}
	for number, line := range lines {
		before := ' '
		for i, r := range []rune(withoutQuoted(withoutReferences(line))) {
			switch {
			case closing[r] != 0 && strings.ContainsRune(" [{,", before):
				open = append(open, bracket{position{number + 1, i + 1}, r})
			case (r == '}' || r == ']') && len(open) > 0 && closing[open[len(open)-1].open] != r:
				last := open[len(open)-1]
				return &misread{last.position, fmt.Sprintf("what begins with %c ends with %c on line %d", last.open, r, number+1)}
			case (r == '}' || r == ']') && len(open) > 0:
				open = open[:len(open)-1]
			}
			before = r
		}
	}
	if len(open) == 0 {
		return nil
	}
	first := open[0]
	what := map[rune]string{'{': "section", '[': "list"}[first.open]
	return &misread{first.position, fmt.Sprintf("a %s that begins with %c does not end: write %c", what, first.open, closing[first.open])}
}

// withoutReferences puts blanks in the place of ${NAME}.
func withoutReferences(line string) string {
	return regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllStringFunc(line, func(reference string) string {
		return strings.Repeat(" ", utf8.RuneCountInString(reference))
	})
}
