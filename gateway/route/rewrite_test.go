package route

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestARewriteIsMadeOfTheVeryBytes(t *testing.T) {
	t.Parallel()
	for _, row := range [][4]string{
		{"/api/:id", "/v2/:id", "/api/7?a=b%20c", "/v2/7?a=b%20c"},
		{"/api/:id", "/V2/:id/", "/api/caf%C3%a9", "/V2/caf%C3%a9/"},
		{"/a/:x/:y", "/:y/:x", "/a/1/2", "/2/1"},
		{"/a/:x/**", "/b/**", "/a/1/2/3?q", "/b/2/3?q"},
		{"/a/:x/**", "/:x/**", "/a/1", "/1"},
		{"/a/**", "/b/**", "/a/", "/b/"},
		{"/**", "/b/**", "/", "/b/"},
		{"/a/**", "/**", "/a", "/"},
		{"/a/**", "/**", "/a?q=1", "/?q=1"},
		{"/a/**", "/fixed", "/a/b/c?q", "/fixed?q"},
		{"/a", "/菜谱/\"x", "/a", "/%E8%8F%9C%E8%B0%B1/%22x"},
		{"/a/:x", "/b/:x", "/a/~!$&'()*+,=:@%7E", "/b/~!$&'()*+,=:@%7E"},
	} {
		w, err := NewRewriting(row[0], row[1])
		if err != nil {
			t.Fatal(err)
		}
		if got := string(w.Apply([]byte(row[2]))); got != row[3] {
			t.Errorf("%s -> %s: %s became %s, want %s", row[0], row[1], row[2], got, row[3])
		}
	}
}

func TestRewritesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for _, row := range [][2]string{
		{"/a/:id", "/b/:other"},
		{"/a/:id", "/b/**"},
		{"/a/:id", "b/:id"},
		{"/a/:id", "/b/../:id"},
		{"/a/:id", "/b?x=:id"},
		{"/a/**", "/b/**/c"},
		{"/a/:id", "/b/:id%20"},
		{"/:id/:id", "/:id"},
		{"/a/:id", ""},
		{"/a", "/b/:"},
	} {
		if _, err := NewRewriting(row[0], row[1]); err == nil {
			t.Errorf("%s -> %s: want an error", row[0], row[1])
		}
	}
}

// TestARewrittenTargetIsAsCleanAsItsSource rewrites any target that the gateway lets in.
func TestARewrittenTargetIsAsCleanAsItsSource(t *testing.T) {
	t.Parallel()
	all, err := NewRewriting("/a/:x/**", "/b/:x/MARK/**")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte("/a/" + rapid.StringMatching(`([a-z0-9~!:@.%/?=]|%[0-9a-fA-F]{2}){0,20}`).Draw(t, "rest"))
		if target, ok := ParseRequestTarget(raw, nil); !ok || len(target.Path) == len("/a/") {
			return
		}
		out := all.Apply(raw)
		if _, ok := ParseRequestTarget(out, nil); !ok {
			t.Fatalf("%s became %s, which is refused", raw, out)
		}
		if strings.TrimPrefix(string(raw), "/a") != strings.Replace(strings.TrimPrefix(string(out), "/b"), "/MARK", "", 1) {
			t.Fatalf("%s became %s", raw, out)
		}
	})
}
