package e2e

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestPathsAndRedirectsOfAServiceBelowAPrefix: a file whose name has a slash, and a login page of the service's own.
func TestPathsAndRedirectsOfAServiceBelowAPrefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.Close()
	w.service = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.SetCookie(rw, &http.Cookie{Name: "at", Value: "1", Path: "/"})
		rw.Header().Set("Location", "/login?of="+r.RequestURI)
		rw.WriteHeader(http.StatusSeeOther)
	}))
	t.Cleanup(w.service.Close)
	w.writeConfig("  - { path: /shop/**, upstream: recipes, auth: none, strip_prefix: /shop, rewrite_location: true, path_rules: { encoded_slash: allow } }\n" +
		"  - { path: /shop/admin/**, upstream: recipes }\n")
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.serve()
	resp := w.ask("GET", "/shop/a%2Fb", "https://page.example.com")
	if got := resp.Header.Get("Location"); got != "/shop/login?of=/a%2Fb" || resp.Header.Get("Set-Cookie") != "at=1; Path=/shop" {
		t.Errorf("got Location %q and Set-Cookie %q", got, resp.Header.Get("Set-Cookie"))
	}
	for path, want := range map[string]int{"/shop/admin%2Fusers": 400, "/shop/..%2Fadmin": 400, "/shop/a;b": 400, "/shop/admin/users": 401} {
		if resp := w.ask("GET", path, "https://page.example.com"); resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, resp.StatusCode, want)
		}
	}
}
