package process

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// escapedJSON passes JSON on with \u escapes for the characters that encoding/json leaves as they are and that a terminal
// or a viewer obeys instead of showing them: DEL, the C1 controls, and what is invisible or changes the direction of
// writing. Each Write has whole characters. A reader of JSON gets the same texts.
type escapedJSON struct{ to io.Writer }

// EscapeJSON returns a writer of JSON that a terminal shows as it is.
func EscapeJSON(to io.Writer) io.Writer { return escapedJSON{to} }

// Write implements io.Writer.
func (e escapedJSON) Write(text []byte) (int, error) {
	first := hiddenIndex(text)
	if first < 0 {
		return e.to.Write(text)
	}
	escaped := append(make([]byte, 0, len(text)+64), text[:first]...)
	for rest := text[first:]; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if hidden(r) {
			for _, unit := range utf16.Encode([]rune{r}) {
				escaped = fmt.Appendf(escaped, `\u%04x`, unit)
			}
		} else {
			escaped = append(escaped, rest[:size]...)
		}
		rest = rest[size:]
	}
	if _, err := e.to.Write(escaped); err != nil {
		return 0, err
	}
	return len(text), nil
}

// hiddenIndex is where the first hidden character begins, -1 when there is none.
func hiddenIndex(text []byte) int {
	for i := 0; i < len(text); {
		if text[i] < 0x7f {
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if hidden(r) {
			return i
		}
		i += size
	}
	return -1
}

// hidden reports whether a character is a control or a format character. Line feeds end lines of JSON, so those below
// DEL, which encoding/json has escaped in strings, are left alone.
func hidden(r rune) bool {
	return r >= 0x7f && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r))
}
