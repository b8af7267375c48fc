package strictyaml

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// strange finds the first character of a text that a Chinese keyboard or a copied page puts where YAML wants an ASCII
// one, and says what to type instead. at is its place in the text, in characters.
func strange(text string) (advice string, at int) {
	for _, r := range text {
		if advice := instead(r); advice != "" {
			return advice, at
		}
		at++
	}
	return "", 0
}

// instead says what to type for one such character; empty for all others.
func instead(r rune) string {
	switch {
	case r == '\t':
		return "a tab does not indent: use spaces"
	case r == '：':
		return `the colon ： (U+FF1A) is a full-width one: write ": ", with a blank behind it`
	case strings.ContainsRune("“”‘’「」『』", r):
		return fmt.Sprintf("the quote %c (%U) is none of YAML: write \" or '", r, r)
	case narrow(r) != 0:
		return fullWidth(r)
	case r > unicode.MaxASCII && unicode.IsSpace(r), r == '\u200b', r == '\ufeff':
		return fmt.Sprintf("the blank %U is not a space: indent and separate with spaces", r)
	}
	return ""
}

func fullWidth(r rune) string {
	what := "no ASCII"
	if r >= '！' {
		what = "a full-width"
	}
	return fmt.Sprintf("%c (%U) is %s character: write %c", r, r, what, narrow(r))
}

// narrow is the ASCII character of which a Chinese keyboard has another form, 0 if r is none of these.
func narrow(r rune) rune {
	switch {
	case r >= '！' && r <= '～': // the full-width forms of ! to ~
		return r - '！' + '!'
	case r == '【':
		return '['
	case r == '】':
		return ']'
	case r == '。':
		return '.'
	case r == '、':
		return ','
	case r == '￥':
		return '$'
	case r == '—', r == '–', r == '•', r == '·':
		return '-'
	}
	return 0
}

// misspelled reports whether all that a text has beyond ASCII are such characters: then it is no sentence in Chinese,
// which has them by right.
func misspelled(text string) bool {
	found := false
	for _, r := range text {
		if r > unicode.MaxASCII {
			if instead(r) == "" {
				return false
			}
			found = true
		}
	}
	return found
}

// control finds a control character, which no text file has on purpose.
func control(text string) *misread {
	at := strings.IndexFunc(text, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r <= 0x9f
	})
	if at < 0 {
		return nil
	}
	r, _ := utf8.DecodeRuneInString(text[at:])
	return &misread{placeOf(text[:at]), fmt.Sprintf("the control character %U is not text; remove it", r)}
}

// placeOf is the place behind a text.
func placeOf(before string) position {
	lastLine := before[strings.LastIndexByte(before, '\n')+1:]
	return position{line: 1 + strings.Count(before, "\n"), col: 1 + utf8.RuneCountInString(lastLine)}
}

// withAdvice adds what to type instead of a strange character in what somebody wrote where keys are wanted.
func withAdvice(message, written string) string {
	if advice, _ := strange(written); advice != "" {
		return message + "; " + advice
	}
	return message
}

// withAdviceOnValue is withAdvice for a value, in which a colon is a character like others.
func withAdviceOnValue(message, written string) string {
	if _, at := strange(written); strings.HasPrefix(string([]rune(written)[at:]), "：") {
		return message + "; " + fullWidth('：')
	}
	return withAdvice(message, written)
}

// withoutQuoted puts blanks in the place of what stands in quotes, where every character is as good as another, and of
// comments: what is left is what YAML reads as its own, at the same place.
func withoutQuoted(line string) string {
	code, before, quote := []rune(line), ' ', rune(0)
	for i, r := range code {
		switch {
		case quote == 0 && r == '#' && unicode.IsSpace(before):
			return string(code[:i])
		case quote == 0 && (r == '"' || r == '\'') && strings.ContainsRune(" [{,", before):
			quote = r
		case quote != 0 && r == quote && before != '\\':
			quote = 0
		case quote != 0:
			code[i] = ' '
		}
		before = r
	}
	return string(code)
}
