package route

import (
	"bytes"
	"slices"
	"testing"
)

func FuzzAmbiguous(f *testing.F) {
	for _, path := range []string{"/a%2Fb", "/a;b/c", "/50%25ab", "/%20a", "/a%2F;%2520/b", "/..;/a", "/a%252fb", "/a%2F..", "/a;%2Fb;%20/%2541?x=;"} {
		f.Add([]byte(path))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, ok := ParseAmbiguous(raw)
		if _, plain := ParseRequestTarget(raw, nil); plain && ok {
			t.Fatalf("%q is both plain and ambiguous", raw)
		}
		if !ok {
			return
		}
		if a.Needs == 0 || len(a.Readings) < 2 || len(a.Readings) > maxReadings {
			t.Fatalf("%q needs %b and has %d readings", raw, a.Needs, len(a.Readings))
		}
		for _, reading := range a.Readings {
			for segment := range bytes.SplitSeq(reading, []byte{'/'}) {
				if len(segment) > 0 && len(bytes.Trim(segment, ".")) == 0 || bytes.ContainsAny(segment, "\\?#\x00") {
					t.Fatalf("%q can be read as %q", raw, reading)
				}
			}
			if bytes.Contains(reading, []byte("//")) || reading[0] != '/' {
				t.Fatalf("%q can be read as %q", raw, reading)
			}
		}
	})
}

func TestReadingsOfAPath(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][]string{
		"/A%2fb;C/%20d?x=%2F": {
			"/a%2fb;c/ d", "/a/b;c/ d", "/a%2fb/ d", "/a%2fb;c/d", "/a/b/ d", "/a/b;c/d", "/a%2fb/d", "/a/b/d",
		},
		"/a;x%2Fb":    {"/a;x%2fb", "/a;x/b", "/a", "/a/b"},
		"/50%25ab":    {"/50%ab", "/50\ufffd"},
		"/%2561dmin/": {"/%61dmin/", "/admin/"},
	} {
		a, ok := ParseAmbiguous([]byte(raw))
		var got []string
		for _, reading := range a.Readings {
			got = append(got, string(reading))
		}
		if !ok || !slices.Equal(got, want) || string(a.Folded) != want[0] {
			t.Errorf("%s: got %q, %v, want %q", raw, got, ok, want)
		}
	}
}

func TestAPrefixIsPutBack(t *testing.T) {
	t.Parallel()
	r := NewRelocation("/shop/")
	for value, want := range map[string]string{
		"/":                            "/shop/",
		"/a?b#c":                       "/shop/a?b#c",
		"a":                            "a",
		"?x":                           "?x",
		"":                             "",
		"/\\evil.net":                  "/\\evil.net",
		"//api.example.com/a":          "//api.example.com/shop/a",
		"//evil.net/a":                 "//evil.net/a",
		"https://API.example.com":      "https://API.example.com/shop",
		"http://api.example.com?x":     "http://api.example.com/shop?x",
		"https://api.example.com:81/a": "https://api.example.com:81/a",
		"https://a@api.example.com/a":  "https://a@api.example.com/a",
		"myapp://api.example.com/a":    "myapp://api.example.com/a",
	} {
		if got, moved := r.Location([]byte(value), []byte("api.example.com")); string(got) != want || moved != (want != value) {
			t.Errorf("Location %q: got %q, %v, want %q", value, got, moved, want)
		}
	}
	if got, moved := r.Location([]byte("///evil.net"), nil); moved {
		t.Errorf("a request without a host: got %q", got)
	}
	for value, want := range map[string]string{
		"a=1; Path=/; HttpOnly":   "a=1; Path=/shop; HttpOnly",
		"a=1;path = /x ;Secure":   "a=1;path =/shop/x;Secure",
		"a=1":                     "a=1",
		"path=/; Max-Age=1":       "path=/; Max-Age=1",
		"a=1; Path=":              "a=1; Path=",
		"a=1; Path=x":             "a=1; Path=x",
		"a=1; Path=\"/x\"":        "a=1; Path=\"/x\"",
		"__Host-a=1; Path=/":      "__Host-a=1; Path=/",
		"a=\"b; c\"; Path=/; Pat": "a=\"b; c\"; Path=/shop; Pat",
	} {
		if got, moved := r.Cookie([]byte(value)); string(got) != want || moved != (want != value) {
			t.Errorf("Set-Cookie %q: got %q, %v, want %q", value, got, moved, want)
		}
	}
	if NewRelocation("/") != nil || NewRelocation("") != nil {
		t.Error("got a relocation without a prefix")
	}
}
