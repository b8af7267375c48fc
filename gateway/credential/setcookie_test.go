package credential

import (
	"strings"
	"testing"
)

func TestACookieHasTheAttributesThatItIsGiven(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"token":                      "token=t.o.k; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax",
		"sid; Secure; SameSite=None": "sid=t.o.k; Max-Age=60; Secure; SameSite=None; Path=/",
		"sid; Path=/api; Domain=shop.example.com": "sid=t.o.k; Max-Age=60; Path=/api; Domain=shop.example.com",
	} {
		c, err := ParseSetCookie(text)
		if got := c.Line("t.o.k", 60); err != nil || got != want {
			t.Errorf("%s: got %s (%v), want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                                 "is not a name",
		"a b":                              "is not a name",
		"sid; Max-Age=5":                   `"Max-Age=5": wants`,
		"sid; Secure=1":                    `"Secure=1": wants`,
		"sid; Secure; secure":              `"secure": wants`,
		"sid; Path=/\r\nX-User-Id: 1":      "wants a name and",
		"sid; Domain=a b":                  "wants a name and",
		"sid; SameSite=None":               "without Secure",
		"sid; ":                            `"": wants`,
		"sid; Path=/" + long(maxNameBytes): "are the most",
	} {
		if _, err := ParseSetCookie(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func long(n int) string { return strings.Repeat("a", 4*n) }
