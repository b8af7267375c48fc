package proof

import (
	"strings"
	"testing"
	"time"

	"wxgate/secret"
)

func TestOnlyTheTokenAsksAndAnswers(t *testing.T) {
	t.Parallel()
	token, now := secret.Text(strings.Repeat("t", 32)), time.Now()
	value, want := Question(token, "GET", "/a?b", now)
	if got, ok := Answer(token, "GET", "/a?b", value, now.Add(59*time.Second)); !ok || got != want {
		t.Fatalf("the question of the token: %q %v", got, ok)
	}
	at, rest, _ := strings.Cut(value, ".")
	for name, is := range map[string]struct {
		token                 secret.Text
		method, target, value string
		now                   time.Time
	}{
		"another token":   {token + "x", "GET", "/a?b", value, now},
		"no token":        {"", "GET", "/a?b", value, now},
		"another method":  {token, "POST", "/a?b", value, now},
		"another target":  {token, "GET", "/a", value, now},
		"a minute later":  {token, "GET", "/a?b", value, now.Add(62 * time.Second)},
		"from the future": {token, "GET", "/a?b", value, now.Add(-62 * time.Second)},
		"another time":    {token, "GET", "/a?b", "1" + at[1:] + "0." + rest, now},
		"cut":             {token, "GET", "/a?b", value[:len(value)-1], now},
		"empty":           {token, "GET", "/a?b", "", now},
		"dots":            {token, "GET", "/a?b", "..", now},
	} {
		if got, ok := Answer(is.token, is.method, is.target, is.value, is.now); ok || got != "" {
			t.Errorf("%s: %q %v, want no answer", name, got, ok)
		}
	}
	if empty, _ := Question("", "GET", "/", now); func() bool { _, ok := Answer("", "GET", "/", empty, now); return ok }() {
		t.Error("a gateway without a token answers")
	}
}
