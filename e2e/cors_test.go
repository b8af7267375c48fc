package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// ask sends a request as a page of an origin, and returns the answer without its body.
func (w *world) ask(method, path, origin string, fields ...string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequest(method, w.url+path, http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Origin", origin)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Set(name, value)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

// TestPagesOfOtherOriginsCallTheAPI is what a browser does for an H5 build: a preflight, then the request. The list of
// origins changes while the gateway runs.
func TestPagesOfOtherOriginsCallTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(origins string) {
		text := strings.Replace(string(file), `admin: "127.0.0.1:0" }`, `admin: "127.0.0.1:0", cors: { origins: [`+origins+`] } }`, 1)
		if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const page, other = "https://h5.example.com", "https://a.shop.example.com"
	write(page)
	w.serve()
	if resp := w.ask("OPTIONS", "/api/v1/recipes", page, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"); resp.StatusCode != 204 ||
		resp.Header.Get("Access-Control-Allow-Origin") != page || resp.Header.Get("Access-Control-Allow-Headers") != "authorization" {
		t.Errorf("the preflight: got %d with %v", resp.StatusCode, resp.Header)
	}
	for path, want := range map[string]int{"/api/v1/recipes": 401, "/nowhere": 404, "/healthz": 200} {
		if resp := w.ask("GET", path, page); resp.StatusCode != want || resp.Header.Get("Access-Control-Allow-Origin") != page {
			t.Errorf("%s: got %d with %v, want %d that the page can read", path, resp.StatusCode, resp.Header, want)
		}
	}
	if resp := w.ask("GET", "/api/v1/recipes", page, "Authorization: Bearer "+w.login("alice")); resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != page {
		t.Errorf("with a token: got %d with %v", resp.StatusCode, resp.Header)
	}
	write(`"https://*.shop.example.com"`)
	eventually(t, 20*time.Second, func() bool { return w.ask("GET", "/healthz", other).Header.Get("Access-Control-Allow-Origin") == other })
	if resp := w.ask("GET", "/healthz", page); resp.Header.Get("Access-Control-Allow-Origin") != "" || resp.Header.Get("Vary") != "Origin" {
		t.Errorf("after the reload: got %v, want nothing but Vary for the origin that is gone", resp.Header)
	}
}
