package cors

import (
	"strings"
	"testing"
)

func origins(t *testing.T, texts ...string) Origins {
	t.Helper()
	list := make(Origins, len(texts))
	for i, text := range texts {
		if err := list[i].UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func TestOriginsMatchExactlyOrBelowAName(t *testing.T) {
	t.Parallel()
	list := origins(t, "https://Admin.example.com", "http://localhost:5173", "https://*.shop.example.com", "https://*.dev.example.com:8443", "http://[::1]:3000", "http://192.168.1.7")
	for _, same := range []string{
		"https://admin.example.com", "http://localhost:5173", "https://a.shop.example.com", "https://a.b.shop.example.com", "https://x.dev.example.com:8443",
		"http://[::1]:3000", "http://192.168.1.7",
	} {
		if !list.Match(same) {
			t.Errorf("got %q unknown, want it to match %v", same, list)
		}
	}
	for _, other := range []string{
		"", "null", "*", "https://", "http://admin.example.com", "https://admin.example.com:8443", "https://admin.example.com/", "https://admin.example.com.evil.net",
		"https://evil-admin.example.com", "HTTPS://ADMIN.EXAMPLE.COM", "http://localhost", "http://localhost:51730", "https://shop.example.com", "https://.shop.example.com",
		"https://evilshop.example.com", "https://evil.net/.shop.example.com", "https://evil.net#.shop.example.com", "https://a@b.shop.example.com", "https://a..shop.example.com",
		"https://evil.net:1.shop.example.com", "https://a.shop.example.com:8443", "https://x.dev.example.com", "https://a.shop.example.com\r\nX: 1",
		"https://" + strings.Repeat("a", 300) + ".shop.example.com",
	} {
		if list.Match(other) {
			t.Errorf("got %q matched, want it unknown to %v", other, list)
		}
	}
}

// TestNobodyVouchesForAnyOrigin is what deciding about cookies relies on.
func TestNobodyVouchesForAnyOrigin(t *testing.T) {
	t.Parallel()
	list := origins(t, "*")
	if !list.Any() || list.Match("https://evil.example.com") || list.Match("") {
		t.Errorf("got Any %v, a match %v and %v, want true, false and false", list.Any(), list.Match("https://evil.example.com"), list.Match(""))
	}
	if named := origins(t, "https://admin.example.com"); named.Any() || Origins(nil).Any() || Origins(nil).Match("https://admin.example.com") {
		t.Errorf("got a list of one name, or none, that takes every origin")
	}
}

func TestOriginsThatAreNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              "is not an origin",
		"null":                          "is not an origin",
		"admin.example.com":             "is not an origin",
		"//admin.example.com":           "is not an origin",
		"ftp://admin.example.com":       "is not an origin",
		"https://":                      "is not an origin",
		"https://*":                     "is not an origin",
		"https://*.com":                 "is not an origin",
		"https://*example.com":          "is not an origin",
		"https://a.*.example.com":       "is not an origin",
		"https://例子.example.com":        "is not an origin",
		"https://admin.example.com/app": "is not an origin",
		"https://user@example.com":      "is not an origin",
		"https://admin.example.com:0":   "is not an origin",
		"https://admin.example.com:x":   "is not an origin",
		"https://admin.example.com:":    "is not an origin",
		"https://[::1":                  "is not an origin",
		"https://[0:0::1]":              "is not an origin",
		"https://Admin.example.com/":    "as an origin it is https://admin.example.com",
		"https://*.example.com/":        "as an origin it is https://*.example.com",
		"https://admin.example.com:443": "browsers leave out port 443: write https://admin.example.com",
		"http://*.example.com:80":       "browsers leave out port 80: write http://*.example.com",
	} {
		err := new(Origin).UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
}

func TestOriginsAreShownAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"*", "https://*.example.com:8443", "http://localhost:5173"} {
		if got := origins(t, text)[0].String(); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}
