package authn

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
	asText    = '\ufe0e' // how the character before it is shown
	asPicture = '\ufe0f'

	blankBraille = '\u2800'
)

// stripInvisible removes what shows nothing or reorders what stands around it: with such characters two names look alike,
// a name looks empty, or it turns the line that it is shown in. They are the ones that RFC 8264 §9.13 keeps out of
// nicknames (RFC 8266). People paste them without knowing, so a text is not refused for them. Where they make one picture
// or letter of several characters they stay. The separators U+2028 and U+2029 become spaces, as does the Braille pattern
// without dots.
func stripInvisible(text string) string {
	if !utf8.ValidString(text) || strings.IndexFunc(text, invisible) < 0 {
		return text
	}
	var kept strings.Builder
	var last rune
	for rest := strings.NewReplacer("\u2028", " ", "\u2029", " ", string(blankBraille), " ").Replace(text); rest != ""; {
		if flag := leadingFlag(rest); flag != "" {
			kept.WriteString(flag)
			rest = rest[len(flag):]
			continue
		}
		r, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		if !invisible(r) || combines(last, r, rest) {
			kept.WriteRune(r)
			last = r
		}
	}
	return kept.String()
}

// invisible reports whether a character has no shape of its own. Arabic number signs are format characters with one.
func invisible(r rune) bool {
	return r == blankBraille || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point) &&
		!unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// combines reports whether an invisible character changes the shape of last, the one before it, or joins it to what follows.
func combines(last, r rune, following string) bool {
	switch {
	case r == joiner, r == nonJoiner:
		next, _ := utf8.DecodeRuneInString(following)
		return following != "" && joins(last, next)
	case r == asText, r == asPicture:
		return last > unicode.MaxASCII && unicode.IsSymbol(last) || strings.ContainsRune("#*0123456789‼⁉〰〽", last)
	case unicode.Is(unicode.Mongolian, r): // the form of a letter, as its writer chose it
		return unicode.Is(unicode.Mongolian, last)
	case r >= '\U000E0100' && r <= '\U000E01EF': // selects a form of a Chinese character
		return unicode.Is(unicode.Han, last)
	}
	return false
}

// joins reports whether a joiner may stand between two characters: pictures (the first with its skin tone), a letter and
// a mark of an Indic script in either order, letters of a script that is written joined.
func joins(last, next rune) bool {
	skinTone := last >= '\U0001F3FB' && last <= '\U0001F3FF'
	switch {
	case skinTone, last == asPicture, unicode.Is(unicode.So, last):
		return next > unicode.MaxASCII && unicode.IsSymbol(next)
	case invisible(next), unicode.IsSpace(next):
		return false
	}
	return unicode.IsMark(last) && !unicode.Is(unicode.Inherited, last) || unicode.Is(unicode.Mn, next) && indic(last) ||
		unicode.In(last, unicode.Arabic, unicode.Syriac, unicode.Mongolian)
}

// indic reports whether a character belongs to a script of India with joiners before the sign that ends a syllable.
func indic(r rune) bool {
	return unicode.In(r, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil,
		unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala)
}

// leadingFlag is the flag of England, Scotland or Wales that a text begins with: a black flag, and the name of the region in
// characters that are invisible alone. "": none.
func leadingFlag(text string) string {
	for _, flag := range []string{
		"\U0001F3F4\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F",
		"\U0001F3F4\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F",
		"\U0001F3F4\U000E0067\U000E0062\U000E0077\U000E006C\U000E0073\U000E007F",
	} {
		if strings.HasPrefix(text, flag) {
			return flag
		}
	}
	return ""
}
