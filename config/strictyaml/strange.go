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
		switch {
		case r == '\t':
			return "a tab does not indent: use spaces", at
		case r == '：':
			return `the colon ： (U+FF1A) is a full-width one: write ": ", with a blank behind it`, at
		case r == '“' || r == '”' || r == '‘' || r == '’':
			return fmt.Sprintf("the quote %c (%U) is none of YAML: write \" or '", r, r), at
		case r >= '！' && r <= '～': // the full-width forms of ! to ~
			return fmt.Sprintf("%c (%U) is a full-width character: write %c", r, r, r-'！'+'!'), at
		case r > unicode.MaxASCII && unicode.IsSpace(r), r == '\u200b', r == '\ufeff':
			return fmt.Sprintf("the blank %U is not a space: indent and separate with spaces", r), at
		}
		at++
	}
	return "", 0
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

// withAdvice adds what to type instead of a strange character in what somebody wrote.
func withAdvice(message, written string) string {
	if advice, _ := strange(written); advice != "" {
		return message + "; " + advice
	}
	return message
}
