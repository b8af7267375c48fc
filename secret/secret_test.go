package secret_test

import (
	"strings"
	"testing"

	"wxgate/secret"
)

func TestWhatGoesWrongOnTheWayIsSaid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA\n": "line break", "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA\r\n": "line break", "a\nb": "line break",
		" wx1234567890abcdef": "blank", "wx1234567890abcdef ": "blank", "\u3000x": "blank", "a\x00b": "control character",
		`"wx1234567890abcdef"`: "quotes", "'secret'": "quotes", "`secret`": "quotes",
		"$WX_SECRET": "variable", "${WX_SECRET}": "variable", "$(cat secret)": "variable", "%WX_SECRET%": "variable", "{{ secret }}": "variable",
		"wx...": "placeholder", "...": "placeholder", "wx…": "placeholder", "xxxx": "placeholder", "wxXXXXXX": "placeholder", "***": "placeholder",
		"<appid>": "placeholder", "your-app-secret": "placeholder", "YOUR_SECRET": "placeholder",
	} {
		got := secret.Mistake(text)
		if !strings.Contains(got, want) || len(text) > 6 && strings.Contains(got, strings.Trim(text, "\"'`$\n\r {}")) {
			t.Errorf("%q: got %q, want a word on the %s and not the text", text, got, want)
		}
	}
}

func TestRealSecretsAreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "wx1234567890abcdef", "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA", "0123456789abcdef0123456789abcdef", "pa$word", "$ecret!", "a b", "it's", `"`, "x", "密钥",
		"correct horse battery staple", "yourself", "a...b", "100%",
	} {
		if got := secret.Mistake(text); got != "" {
			t.Errorf("%q: %s", text, got)
		}
	}
}
