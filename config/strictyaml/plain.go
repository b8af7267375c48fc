package strictyaml

import (
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// joinPlain makes one token of a list's element such as http://10.0.0.1:3000 or 2001:db8::/32. A colon that no blank
// follows belongs to a plain scalar (YAML 1.2.2 §7.3.3), but within { } the lexer cuts there, also in a list within.
func joinPlain(tokens token.Tokens) token.Tokens {
	var joined token.Tokens
	var open []token.Type // the brackets around, innermost last
	for i := 0; i < len(tokens); i++ {
		tk := tokens[i]
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			open = append(open, tk.Type)
		case token.SequenceEndType, token.MappingEndType:
			open = open[:max(0, len(open)-1)]
		}
		inList := len(open) > 0 && open[len(open)-1] == token.SequenceStartType
		switch {
		case inList && i+2 < len(tokens) && isPlain(tk) && isColon(tokens[i+1]) && isPlain(tokens[i+2]) &&
			touch(tk, tokens[i+1]) && touch(tokens[i+1], tokens[i+2]):
			tk = plain(tk.Value+":"+tokens[i+2].Value, tk)
			i += 2
		case inList && i+1 < len(tokens) && isColon(tk) && isPlain(tokens[i+1]) && touch(tk, tokens[i+1]):
			tk = plain(":"+tokens[i+1].Value, tk)
			i++
		}
		joined.Add(tk)
	}
	return joined
}

func isColon(tk *token.Token) bool { return tk.Type == token.MappingValueType }

// isPlain reports whether tk is a scalar without quotes, on one line.
func isPlain(tk *token.Token) bool {
	return tk.CharacterType == token.CharacterTypeMiscellaneous && tk.Indicator == token.NotIndicator &&
		!strings.Contains(strings.TrimSpace(tk.Origin), "\n")
}

// touch reports whether b follows a without a blank.
func touch(a, b *token.Token) bool {
	return a.Position.Line == b.Position.Line && a.Position.Column+utf8.RuneCountInString(a.Value) == b.Position.Column
}

func plain(text string, at *token.Token) *token.Token { return token.String(text, text, at.Position) }
