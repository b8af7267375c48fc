package gateway

import (
	"net/http"
	"testing"
	"time"

	"wxgate/upstream/upstreamtest"
)

// TestAProtectedGetIsNotReachedByHead asks a service that answers HEAD by what it has for GET.
func TestAProtectedGetIsNotReachedByHead(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = []RouteConfig{
			{Path: "/admin", Methods: []string{"GET"}, Upstream: "service", Auth: AuthRequired},
			{Path: "/users/**", Methods: []string{"GET", "POST"}, Upstream: "service", Auth: AuthRequired},
			{Path: "/file", Methods: []string{"GET"}, Upstream: "service", Auth: AuthRequired},
			{Path: "/file", Methods: []string{"HEAD"}, Upstream: "service", Auth: AuthNone},
			{Path: "/**", Upstream: "service", Auth: AuthNone},
		}
	})
	client := &http.Client{Timeout: 20 * time.Second}
	for target, want := range map[string]int{"/admin": 401, "/admin/": 401, "/users/7": 401, "/file": 200, "/open": 200} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+e.addr+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("HEAD %s is %d, want %d", target, resp.StatusCode, want)
		}
	}
}
