package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"wxgate/upstream/upstreamtest"
)

// TestAProtectedPathIsNotReachedWithASlashBehindIt is about an open /** beside protected paths: Express, NestJS and Spring
// answered /admin/ and /private%3fx as if they were /admin and /private.
func TestAProtectedPathIsNotReachedWithASlashBehindIt(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = []RouteConfig{
			{Path: "/**", Upstream: "service", Auth: AuthNone},
			{Path: "/admin", Upstream: "service", Auth: AuthRequired},
			{Path: "/users/:id", Upstream: "service", Auth: AuthRequired},
			{Path: "/private/**", Upstream: "service", Auth: AuthRequired},
			{Path: "/closed/", Upstream: "service", Auth: AuthRequired},
			{Path: "/page", Upstream: "service", Auth: AuthNone},
			{Path: "/page/**", Upstream: "service", Auth: AuthRequired},
			{Path: "/v1/admin", Upstream: "service", Auth: AuthRequired, StripPrefix: "/v1"},
			{Path: "/v2/:id", Upstream: "service", Auth: AuthRequired, Rewrite: "/users/:id"},
		}
	})
	for target, want := range map[string]int{
		"/admin": 401, "/admin/": 401, "/Admin/": 401, "/%61dmin/?x": 401, "/users/7/": 401, "/closed": 401, "/closed/": 401,
		"/private": 401, "/private/": 401, "/v1/admin/": 401, "/v2/7/": 401, "/page/": 401,
		"/private%3fx": 400, "/admin%3Fx": 400, "/admin%23": 400, "/admin%23x/": 400, "/admin%c2%a0": 400, "/admin%E3%80%80/": 400,
		"/admin%c2%85": 400, "/admin%ef%bb%bf": 400,
		"/page": 200, "/open/": 200, "/admins": 200, "/users/7/photos": 200,
	} {
		before := len(service.Requests())
		resp, body := e.send(t, head("GET "+target, ""))
		if resp.StatusCode != want {
			t.Errorf("%s without a token: got %d %s, want %d", target, resp.StatusCode, body, want)
		}
		if arrived := len(service.Requests()) > before; arrived != (want == http.StatusOK) {
			t.Errorf("%s: arrived at the service: %v", target, arrived)
		}
	}
}

func TestAPathWithTheOtherEndingIsRewrittenAsItCame(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = []RouteConfig{
			{Path: "/v1/admin", Upstream: "service", Auth: AuthNone, StripPrefix: "/v1/admin"},
			{Path: "/v1/users/:id", Upstream: "service", Auth: AuthNone, StripPrefix: "/v1"},
			{Path: "/v2/:id/", Upstream: "service", Auth: AuthNone, Rewrite: "/users/:id/"},
			{Path: "/v3/", Upstream: "service", Auth: AuthNone, StripPrefix: "/v3/"},
		}
	})
	for target, want := range map[string]string{
		"/v1/admin": "/", "/v1/admin/": "/", "/v1/users/7/?x": "/users/7/?x", "/v2/7": "/users/7/", "/v2/7/": "/users/7/", "/v3": "/", "/v3?q": "/?q",
	} {
		if resp, body := e.send(t, head("GET "+target, "")); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", target, resp.StatusCode, body)
		}
		if got := service.Requests()[len(service.Requests())-1].Target; got != want {
			t.Errorf("%s arrived as %s, want %s", target, got, want)
		}
	}
}

func TestAnOpenRouteThatHoldsAProtectedOneIsNamed(t *testing.T) {
	t.Parallel()
	route := func(path string, auth AuthMode, more ...func(*RouteConfig)) RouteConfig {
		r := RouteConfig{Path: path, Upstream: "service", Auth: auth}
		for _, m := range more {
			m(&r)
		}
		return r
	}
	admins := func(r *RouteConfig) { r.Issuer = "admin" }
	for name, row := range map[string]struct {
		routes []RouteConfig
		want   string // open > protected, ...
	}{
		"beside /**":             {[]RouteConfig{route("/**", AuthNone), route("/admin", AuthRequired), route("/b/:id/", AuthPrefetch)}, "/** > /admin /b/:id/"},
		"optional is open":       {[]RouteConfig{route("/**", AuthOptional), route("/admin/**", AuthRequired)}, "/** > /admin/**"},
		"a name holds a text":    {[]RouteConfig{route("/:page", AuthNone), route("/admin", AuthRequired)}, "/:page > /admin"},
		"a text holds no name":   {[]RouteConfig{route("/users/me", AuthNone), route("/users/:id", AuthRequired)}, ""},
		"open within protected":  {[]RouteConfig{route("/api/public/**", AuthNone), route("/api/**", AuthRequired)}, ""},
		"another service":        {[]RouteConfig{route("/**", AuthNone, func(r *RouteConfig) { r.Upstream = "other" }), route("/admin", AuthRequired)}, ""},
		"the same, other name":   {[]RouteConfig{route("/**", AuthNone, func(r *RouteConfig) { r.Upstream = "service2" }), route("/admin", AuthRequired)}, "/** > /admin"},
		"other methods":          {[]RouteConfig{route("/**", AuthNone, func(r *RouteConfig) { r.Methods = []string{"GET"} }), route("/x", AuthRequired, func(r *RouteConfig) { r.Methods = []string{"PUT"} })}, ""},
		"other hosts":            {[]RouteConfig{route("/**", AuthNone, func(r *RouteConfig) { r.Host = "a.example" }), route("/x", AuthRequired, func(r *RouteConfig) { r.Host = "b.example" })}, ""},
		"a host beside any":      {[]RouteConfig{route("/**", AuthNone, func(r *RouteConfig) { r.Host = "*.a.example" }), route("/x", AuthRequired, func(r *RouteConfig) { r.Host = "x.a.example" })}, "*.a.example/** > x.a.example/x"},
		"behind strip_prefix":    {[]RouteConfig{route("/public/**", AuthNone, func(r *RouteConfig) { r.StripPrefix = "/public" }), route("/admin", AuthRequired)}, "/public/** > /admin"},
		"stripped to everything": {[]RouteConfig{route("/public/**", AuthNone, func(r *RouteConfig) { r.StripPrefix = "/public" }), route("/**", AuthRequired)}, "/public/** > /**"},
		"behind rewrite":         {[]RouteConfig{route("/p/:x/**", AuthNone, func(r *RouteConfig) { r.Rewrite = "/:x/**" }), route("/a/b", AuthRequired)}, "/p/:x/** > /a/b"},
		"users beside admins":    {[]RouteConfig{route("/api/**", AuthRequired), route("/api/admin/**", AuthRequired, admins)}, "/api/** > /api/admin/**"},
		"everybody beside them":  {[]RouteConfig{route("/api/**", AuthNone), route("/api/admin/**", AuthOptional, admins), route("/api/ops/**", AuthRequired, admins)}, "/api/** > /api/ops/**"},
		"admins beside admins":   {[]RouteConfig{route("/api/**", AuthRequired, admins), route("/api/admin/**", AuthRequired, admins)}, ""},
		"users within admins":    {[]RouteConfig{route("/api/**", AuthRequired, admins), route("/api/my/**", AuthRequired)}, ""},
		"users elsewhere":        {[]RouteConfig{route("/api/**", AuthRequired), route("/admin/**", AuthRequired, admins)}, ""},
		"another way to one":     {[]RouteConfig{route("/share/:x", AuthNone, func(r *RouteConfig) { r.Rewrite = "/recipes/:x" }), route("/recipes/:id", AuthRequired)}, ""},
	} {
		var got []string
		for _, o := range (Config{Routes: row.routes}).Openings(func(a, b string) bool { return strings.TrimSuffix(a, "2") == strings.TrimSuffix(b, "2") }) {
			got = append(got, o.Path+" > "+strings.Join(o.Holds, " "))
		}
		if strings.Join(got, ", ") != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}

func TestOpeningsOfManyRoutesAreFoundQuickly(t *testing.T) {
	t.Parallel()
	cfg := bigConfig(10_000)
	cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/**", Upstream: "service", Auth: AuthNone})
	found := cfg.Openings(func(a, b string) bool { return a == b })
	if len(found) != 1 || len(found[0].Holds) != 10_000 || !slices.Contains(found[0].Holds, "/api/v1/service0/:id") {
		t.Errorf("got %d openings", len(found))
	}
	if text := found[0].String(); !strings.Contains(text, " and 9997 more;") || !strings.Contains(text, "/** (auth: none) is open") {
		t.Errorf("it says %q", text)
	}
}
