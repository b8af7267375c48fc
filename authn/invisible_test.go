package authn

import (
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestInvisibleCharactersAreStripped(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"abc\u202etxt.exe": "abctxt.exe", "\u202a\u202b\u202c\u202d\u202ea": "a", "\u2066小爱\u2069": "小爱", "\u2067\u2068a": "a",
		"小\u200e爱\u200f\u061c": "小爱", "小\u200b爱": "小爱", "\ufeff小爱": "小爱", "小\u00ad爱\u2060": "小爱",
		"\u3164": "", "\uffa0a\u115f\u1160": "a", "a\u034fb": "ab", "\U000E0068\U000E0069小爱": "小爱", "a\ufff9b\ufffa": "ab",
		"a\ufdd0b\uffff": "ab", "a\u2028b\u2029c": "a b c", "": "", "小爱": "小爱", "a b": "a b",
		"张\u200d三": "张三", "张\u200c三": "张三", "\u200d小爱": "小爱", "👩\u200d": "👩", "👩\u200d 三": "👩 三", "👩\u200d\u202e🍳": "👩🍳",
		"a+\ufe0f": "a+", "张\ufe0f": "张", "a\U000E0100": "a", "🏴\U000E0067\U000E0062": "🏴", "e\u0301\u200dx": "e\u0301x",
		"👩\u200d三": "👩三", "👩\u200dx": "👩x", "小\u2800爱\u2800": "小 爱 ", "a\u180bb": "ab", "小\u180e爱": "小爱", "র\u200dস": "রস",
		"a\xffb\u202e": "a\xffb\u202e", // no UTF-8: refused as that
	} {
		if got := stripInvisible(from); got != want {
			t.Errorf("%+q became %+q, want %+q", from, got, want)
		}
	}
}

func TestEmojiAndScriptsKeepWhatJoinsThem(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"👩‍🍳", "👨‍👩‍👧‍👦", "👩🏽‍🚀", "🏳️‍🌈", "🏴‍☠️", "❤️‍🔥", "👁️‍🗨️", "🏃🏿‍♀️‍➡️", "🙂‍↔️", "1️⃣", "#️⃣", "‼️", "☎︎", "©️", "👍🏿",
		"🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F赢", "🏴\U000E0067\U000E0062\U000E0077\U000E006C\U000E0073\U000E007F",
		"🇨🇳", "ᠠ\u180bᠨ\u180eᠠ", "র\u200d্য", "ರ\u200d್ಕ", "می\u200cخواهم", "क्\u200dष", "ශ්\u200dරී", "葛\U000E0100城", "\u0601٢", "小爱🐟", "\ue415",
	} {
		if got := stripInvisible(text); got != text {
			t.Errorf("%s %+q became %+q", text, text, got)
		}
	}
}

func TestWhatWasStrippedStaysAsItIs(t *testing.T) {
	t.Parallel()
	pieces := rapid.SampledFrom([]rune("a张+👩🍳🏽❤🏴ي्क1#\u0301\u200c\u200d\u200b\u202e\u2028\u2066\ufe0e\ufe0f\u3164\U000E0067\U000E0062\U000E007F\U000E0100 "))
	rapid.Check(t, func(t *rapid.T) {
		from := string(rapid.SliceOfN(pieces, 0, 12).Draw(t, "from"))
		once := stripInvisible(from)
		if again := stripInvisible(once); again != once {
			t.Fatalf("%+q became %+q, and that %+q", from, once, again)
		}
		for _, r := range once {
			if unicode.Is(unicode.Bidi_Control, r) || r == '\u3164' || r == '\u200b' {
				t.Fatalf("%+q became %+q, which has %U", from, once, r)
			}
		}
	})
}
