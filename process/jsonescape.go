package process

import (
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"wxgate/lograte"
)

// escapedJSON writes JSON with \u escapes for characters that encoding/json leaves as they are and that a terminal
// obeys instead of showing: DEL, the C1 controls, and what is invisible or changes the direction of writing. To a JSON
// parser the text is the same. No Write may end within a character.
type escapedJSON struct{ to io.Writer }

// EscapeJSON returns a writer for JSON whose output is safe to show on a terminal.
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
		if lograte.Hidden(r) {
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

// hiddenIndex returns the index of the first hidden character, or -1.
func hiddenIndex(text []byte) int {
	for i := 0; i < len(text); {
		if text[i] < 0x7f {
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if lograte.Hidden(r) {
			return i
		}
		i += size
	}
	return -1
}
