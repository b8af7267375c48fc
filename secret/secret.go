// Package secret keeps secrets out of logs and output, and knows how they go wrong on their way from a console into a
// configuration.
package secret

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Mistake says what is wrong with a text that was meant to be a secret or an id, or nothing. It never repeats the text.
func Mistake(text string) string {
	trimmed := strings.TrimSpace(text)
	switch {
	case text == "":
		return ""
	case strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\r"):
		return "ends with a line break, as a file or `echo` adds it: remove it (printf %s)"
	case trimmed != text:
		return "begins or ends with a blank: remove it"
	case strings.ContainsFunc(text, unicode.IsControl):
		return "has a line break or another control character in it: copy it again"
	case inQuotes(text):
		return "stands in quotes that are part of it: leave them out (docker's --env-file keeps them)"
	case regexp.MustCompile(`^\$(\w+|\{\w+\}|\(.*\))$`).MatchString(text), regexp.MustCompile(`^%\w+%$|^\{\{.*\}\}$`).MatchString(text):
		return "is the name of a variable and not its value: nothing has replaced it; in gateway.yaml write ${NAME}"
	case isPlaceholder(text):
		return "is a placeholder: write the real one"
	}
	return ""
}

func inQuotes(text string) bool {
	first, last := text[0], text[len(text)-1]
	return len(text) > 1 && first == last && strings.IndexByte("\"'`", first) >= 0
}

// isPlaceholder knows what manuals write where a value is to be filled in: wx..., ..., xxx, <secret>, your-secret.
func isPlaceholder(text string) bool {
	return regexp.MustCompile(`^(?i:wx)?(\.{2,}|…+|(?i:x{3,})|\*{3,})$|^<.*>$|^(?i:your[-_ ].*)$`).MatchString(text)
}

// WellKnown reports whether a secret is made of so few characters, or of such words, that it was never random.
func WellKnown(text string) bool {
	different := map[rune]bool{}
	for _, r := range text {
		different[r] = true
	}
	lower := strings.ToLower(text)
	return len(different) < 8 || slices.ContainsFunc([]string{"changeme", "change-me", "your-secret", "your_secret", "secretkey", "your-256-bit-secret"},
		func(word string) bool { return strings.Contains(lower, word) })
}
