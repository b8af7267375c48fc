package strictyaml

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// ofAnotherFormat finds on the line of a syntax fault what is right in another format: comments, equals signs and sections
// of others, marks of lists in texts, templates. It shows keys and never a value, which may be a secret.
func ofAnotherFormat(lines []string, at position) *misread {
	for _, habit := range []struct{ pattern, message string }{ // the first group is what is at fault
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
