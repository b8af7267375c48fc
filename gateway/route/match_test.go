package route

import (
	"fmt"
	"testing"
)

func mustPattern(tb testing.TB, path string) Pattern {
	tb.Helper()
	p, err := ParsePattern(path)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestTheMostSpecificPatternWinsWhateverTheOrder(t *testing.T) {
	t.Parallel()
	patterns := []string{
		"/**", "/api/**", "/api/v1/recipes", "/api/v1/recipes/:id", "/api/v1/recipes/:id/likes",
		"/api/v1/recipes/top", "/api/:version/users/:id", "/api/v1/:kind/:id/**", "/", "/菜谱/:id",
	}
	for range 2 {
		var m Matcher[string]
		for _, p := range patterns {
			m.Add(mustPattern(t, p), AnyMethod, p)
		}
		for path, want := range map[string]string{
			"/":                        "/",
			"/other":                   "/**",
			"/api":                     "/api/**",
			"/api/":                    "/api/**",
			"/api/v1/recipes":          "/api/v1/recipes",
			"/api/v1/recipes/":         "/api/v1/recipes",
			"/api/v1/recipes/7":        "/api/v1/recipes/:id",
			"/api/v1/recipes/top":      "/api/v1/recipes/top",
			"/api/v1/recipes/7/likes":  "/api/v1/recipes/:id/likes",
			"/api/v1/recipes/7/other":  "/api/v1/:kind/:id/**",
			"/api/v1/users/7":          "/api/v1/:kind/:id/**",
			"/api/v2/users/7":          "/api/:version/users/:id",
			"/api/v2/users/7/more":     "/api/**",
			"/菜谱/红烧肉":                  "/菜谱/:id",
			"/apis":                    "/**",
			"/api/v1/recipes/top/more": "/api/v1/:kind/:id/**",
		} {
			if got, ok := m.Find("GET", []byte(path)); !ok || got != want {
				t.Errorf("%s: got %q, %v; want %q", path, got, ok, want)
			}
		}
		for i, j := 0, len(patterns)-1; i < j; i, j = i+1, j-1 {
			patterns[i], patterns[j] = patterns[j], patterns[i]
		}
	}
}

func TestAPatternForOtherMethodsGivesWayToALessSpecificOne(t *testing.T) {
	t.Parallel()
	var m Matcher[string]
	m.Add(mustPattern(t, "/a/:id"), "GET", "get")
	m.Add(mustPattern(t, "/a/**"), AnyMethod, "any")
	for method, want := range map[string]string{"GET": "get", "POST": "any"} {
		if got, _ := m.Find(method, []byte("/a/7")); got != want {
			t.Errorf("%s /a/7: got %q, want %q", method, got, want)
		}
	}
	if got, ok := m.Find("GET", []byte("/b")); ok {
		t.Errorf("GET /b: got %q, want no route", got)
	}
}

func TestTwoEqualPatternsAreNoticed(t *testing.T) {
	t.Parallel()
	var m Matcher[int]
	m.Add(mustPattern(t, "/a/:id"), "GET", 1)
	if other, taken := m.Add(mustPattern(t, "/a/:name"), "GET", 2); !taken || other != 1 {
		t.Errorf("got %d, %v; want 1, taken", other, taken)
	}
	if _, taken := m.Add(mustPattern(t, "/a/:name"), "POST", 3); taken {
		t.Error("another method counts as equal")
	}
}

func TestPatternsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "api", "/a/**/b", "/a*", "/a/:", "/a//b", "/a/../b", "/./a", "/a?b", "/a%20b", "/a b", "/x:y"} {
		if p, err := ParsePattern(path); err == nil {
			t.Errorf("%q: got %+v, want an error", path, p)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, routes := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("routes=%d", routes), func(b *testing.B) {
			var m Matcher[int]
			for i := range routes {
				m.Add(mustPattern(b, fmt.Sprintf("/api/v1/service%d/:id", i)), "GET", i)
			}
			path := []byte(fmt.Sprintf("/api/v1/service%d/42", routes/2))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := m.Find("GET", path); !ok {
					b.Fatal("no route")
				}
			}
		})
	}
}

// TestLettersOfEveryScriptAreMatchedWithoutCase is about paths that are not ASCII: beside a capital one it lost its
// route.
func TestLettersOfEveryScriptAreMatchedWithoutCase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pattern, RequestTarget string }{
		{"/api/Ärzte/**", "/api/%C3%84rzte/x"},
		{"/api/Ärzte/**", "/Api/%C3%84rzte/x"},
		{"/api/Ärzte/**", "/api/%C3%A4rzte/x"},
		{"/api/ärzte/**", "/API/%C3%84RZTE/x"},
		{"/API/ÄRZTE", "/api/%c3%a4rzte"},
		{"/菜谱/Ω", "/%E8%8F%9C%E8%B0%B1/%CF%89"},
		{"/kitchen", "/%E2%84%AAitchen"},
		{"/secret", "/%C5%BFecret"},
		{"/secret", "/%C5%BFECRET"},
	} {
		var m Matcher[string]
		m.Add(mustPattern(t, c.pattern), AnyMethod, "found")
		target, ok := ParseRequestTarget([]byte(c.RequestTarget), nil)
		if !ok {
			t.Fatalf("%s is refused", c.RequestTarget)
		}
		if found, _ := m.Find("GET", target.Folded); found == "" {
			t.Errorf("%s is not found by %s", c.RequestTarget, c.pattern)
		}
	}
}
