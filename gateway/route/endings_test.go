package route

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestBothEndingsSpelledOutAreTwoPaths(t *testing.T) {
	t.Parallel()
	var m Matcher[string]
	for _, p := range []struct{ path, method string }{{"/a", AnyMethod}, {"/a/", "GET"}, {"/b", "GET"}, {"/b/", AnyMethod}, {"/:x/", AnyMethod}} {
		m.Add(mustPattern(t, p.path), p.method, strings.TrimSpace(p.method+" "+p.path))
	}
	for request, want := range map[string]string{
		"GET /a": "/a", "GET /a/": "GET /a/", "POST /a/": "/a", "GET /b": "GET /b", "GET /b/": "/b/", "POST /b": "/b/", "GET /c": "/:x/",
	} {
		method, path, _ := strings.Cut(request, " ")
		if got, _ := m.Find(method, []byte(path)); got != want {
			t.Errorf("%s: got %q, want %q", request, got, want)
		}
	}
}

// TestNoEndingOpensAProtectedPath draws tables of routes and holds them to the rule: unless both endings are spelled
// out, the ending that is not asks for no less than the one that is.
func TestNoEndingOpensAProtectedPath(t *testing.T) {
	t.Parallel()
	segment := rapid.SampledFrom([]string{"a", "b", ":x"})
	ending := rapid.SampledFrom([]string{"", "/", "/**"})
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable(func(a, b int) bool { return a > b })
		for range rapid.IntRange(1, 6).Draw(t, "routes") {
			path := "/" + strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "segments"), "/") + ending.Draw(t, "ending")
			p, err := ParsePattern(path)
			if err != nil {
				t.Fatal(err)
			}
			host := rapid.SampledFrom([]string{"", "h"}).Draw(t, "host")
			table.Of(host).Add(p, AnyMethod, rapid.IntRange(0, 2).Draw(t, "strictness"))
		}
		path := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3).Draw(t, "path"), "/")
		plain, slash := table.lookup([]byte("h"), "GET", []byte(path), asWritten), table.lookup([]byte("h"), "GET", []byte(path+"/"), asWritten)
		one, _ := table.Find([]byte("h"), "GET", []byte(path))
		other, _ := table.Find([]byte("h"), "GET", []byte(path+"/"))
		for _, row := range []struct {
			written, got int
			ok           bool
		}{{plain.to, one, plain.ok}, {slash.to, other, slash.ok}} {
			if row.ok && row.got < row.written {
				t.Fatalf("%s: as written %d, taken as %d", path, row.written, row.got)
			}
		}
	})
}
