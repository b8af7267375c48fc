package upstream_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/upstreamtest"
)

// The tenant of a service that many share is who its Host names: over TLS it must be the one whose certificate was
// checked.
func TestAServiceGetsTheHostThatItsCertificateWasCheckedFor(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		scheme, host, asked, want string // want "": the target's
	}{
		{"http", "", "tenant.evil", "tenant.evil"},
		{"http", "client", "tenant.evil", "tenant.evil"},
		{"http", "target", "tenant.evil", ""},
		{"http", "recipes.internal", "tenant.evil", "recipes.internal"},
		{"https", "", "tenant.evil", ""},
		{"https", "client", "tenant.evil", "tenant.evil"},
		{"https", "target", "tenant.evil", ""},
		{"https", "recipes.internal:8443", "tenant.evil", "recipes.internal:8443"},
		{"http", "", "", ""},
		{"https", "client", "", ""},
	} {
		t.Run(fmt.Sprintf("%s %q %q", tc.scheme, tc.host, tc.asked), func(t *testing.T) {
			t.Parallel()
			service := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) }))
			if service.Start(); tc.scheme == "https" {
				service.Close()
				service = httptest.NewTLSServer(service.Config.Handler)
			}
			t.Cleanup(service.Close)
			u := newUpstream(t, service.URL, func(c *upstream.Config) { c.Host = tc.host })
			t.Cleanup(u.Close)
			for range 2 { // on a new and on a kept connection
				req := newRequest("GET", "/")
				if tc.asked != "" {
					req.Host = []byte(tc.asked)
				}
				var resp message.Response
				_, err := u.Do(soon(), req, &resp, 0)
				want := tc.want
				if want == "" {
					want = strings.Split(service.URL, "//")[1]
				}
				if err != nil || string(resp.Body) != want {
					t.Errorf("the service got Host %q, %v, want %q", resp.Body, err, want)
				}
			}
		})
	}
}

// Each target gets the Host that is right for it, also when it is the second one that is tried.
func TestARetryAtAnotherTargetHasTheHostForThatOne(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) }))
	t.Cleanup(plain.Close)
	down := strings.Replace(upstreamtest.Refused(t), "http:", "https:", 1)
	u := newUpstream(t, down, func(c *upstream.Config) {
		c.Targets = append(c.Targets, upstream.Target{URL: plain.URL, Weight: 1})
	})
	t.Cleanup(u.Close)
	for range 10 {
		req := newRequest("POST", "/")
		req.Host = []byte("tenant.example")
		req.Content = []byte("{}")
		var resp message.Response
		if _, err := u.Do(soon(), req, &resp, 0); err != nil || string(resp.Body) != "tenant.example" {
			t.Errorf("the http:// target got Host %q, %v, want the client's", resp.Body, err)
		}
	}
}

func TestHealthChecksHaveTheHostOfTheService(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"recipes.internal": "recipes.internal", "": "", "client": "", "target": ""} {
		var mu sync.Mutex
		var hosts []string
		service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			hosts = append(hosts, r.Host)
		}))
		t.Cleanup(service.Close)
		newUpstream(t, service.URL, func(c *upstream.Config) {
			c.Host, c.Health = host, upstream.Health{Path: "/healthz", Interval: time.Millisecond, Timeout: time.Second, UnhealthyAfter: 3, HealthyAfter: 2}
		})
		if want == "" {
			want = strings.Split(service.URL, "//")[1]
		}
		eventually(t, "a health check with Host "+want, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Contains(hosts, want) && !slices.ContainsFunc(hosts, func(h string) bool { return h != want })
		})
	}
}

func TestAHostThatIsNoneIsAFault(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"http://x", "a b", "a/b", "u@x", "*.example.com", "a,b", "x:port", "a\r\nb", ":80"} {
		cfg := upstream.DefaultConfig()
		cfg.Targets, cfg.Host = []upstream.Target{{URL: "http://x", Weight: 1}}, host
		want := fmt.Sprintf("[host: %q is not client, target or a name such as recipes.example.com]", host)
		if got := fmt.Sprint(cfg.Validate()); got != want {
			t.Errorf("got\n%s, want\n%s", got, want)
		}
	}
}

func TestHostIsTheTargetsWhenTheRequestHasNone(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	u := newUpstream(t, service.URL)
	get(t, u, "/")
	plain := newRequest("GET", "/")
	if _, err := u.Do(soon(), plain, new(message.Response), 0); err != nil {
		t.Fatal(err)
	}
	for i, req := range service.Requests() {
		if got := req.Values("Host"); len(got) != 1 || got[0] != service.Addr {
			t.Errorf("request %d: Host is %q, want %q alone", i, got, service.Addr)
		}
	}
}

func TestHostFollowsTheRequestToAnotherTarget(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.services[0].Become(t, upstreamtest.Refusing)
	for range 4 {
		plain := newRequest("POST", "/")
		if _, err := r.Do(soon(), plain, new(message.Response), 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, req := range r.services[1].Requests() {
		if got := req.Values("Host"); len(got) != 1 || got[0] != r.services[1].Addr {
			t.Errorf("Host is %q, want %q alone", got, r.services[1].Addr)
		}
	}
}
