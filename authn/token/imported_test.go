package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"testing"
)

// TestAnImportedPayloadThatIsNoObjectIsRefused is about whoever holds the key of an existing backend. The library passes
// null on as claims that it never read.
func TestAnImportedPayloadThatIsNoObjectIsRefused(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyring(Config{Algorithm: "HS256", Keys: []KeyConfig{{ID: "main", Secret: testSecret}}, AcceptImported: true})
	if err != nil {
		t.Fatal(err)
	}
	l := newLibrary(ring)
	for _, header := range []string{`{"alg":"HS256","typ":"JWT"}`, `{"alg":"HS256"}`} {
		for _, payload := range []string{
			"null", " null", "null\n", "\r\n\t null ", "[]", "[null]", `[{"sub":1,"exp":2}]`, "0", "-1", "1.5e3", "true", "false", `"text"`, `"{}"`, `""`,
			" ", "{", "}", "{null}", "nul", "nullx", "null{}", "{}null", "\ufeff{}", "\x00{}", "\v{}", "\u00a0{}", "\xff",
		} {
			text := segment(header) + "." + segment(payload)
			sum := hmac.New(sha256.New, []byte(testSecret))
			_, _ = sum.Write([]byte(text))
			token := text + "." + base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
			parsed, err := ring.Parse(token)
			if err == nil {
				_, err = ring.Read(token, parsed)
			}
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("Parse and Read of %q: %v, want %v", payload, err, ErrMalformed)
			}
			if _, err := l.verify(token); !errors.Is(err, ErrMalformed) {
				t.Errorf("contrib/jwt with %q: %v, want %v", payload, err, ErrMalformed)
			}
		}
	}
}

func TestTheManualNamesEveryWordOfATokensPurpose(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "### The purpose of a token")
	for begin, words := range map[string][]string{
		"| claims that state the purpose |": purposeClaims(), "| values that mean access |": accessPurposes(), "| claims that mean another purpose": purposeFlags(),
	} {
		_, row, _ := strings.Cut(section, begin)
		row, _, _ = strings.Cut(row, "\n")
		if want := "`" + strings.Join(words, "`, `") + "`"; !strings.Contains(row, want) {
			t.Errorf("docs/migration.md has the row\n%s%s\nwant %s", begin, row, want)
		}
	}
}
