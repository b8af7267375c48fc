package gateway

import (
	"fmt"
	"slices"
	"testing"
)

func TestWaysToAPathThatAServiceKeepsForTheGatewayAreNamed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		routes []RouteConfig
		want   []string // index and path that is asked for
	}{
		"none":                         {[]RouteConfig{{Path: "/api/**", Upstream: "people"}}, nil},
		"below a route":                {[]RouteConfig{{Path: "/**", Upstream: "people", Auth: AuthRequired}}, []string{"0 /in/users"}},
		"whatever the case":            {[]RouteConfig{{Path: "/IN/:x", Upstream: "people"}}, []string{"0 /in/users"}},
		"another service":              {[]RouteConfig{{Path: "/**", Upstream: "other"}}, nil},
		"another method":               {[]RouteConfig{{Path: "/**", Upstream: "people", Methods: []string{"GET", "PUT"}}}, nil},
		"closed by a fixed answer":     {[]RouteConfig{{Path: "/**", Upstream: "people"}, {Path: "/in/**", Respond: fixedAnswer{Status: 404}}}, nil},
		"closed for one method":        {[]RouteConfig{{Path: "/**", Upstream: "people"}, {Path: "/in/users", Methods: []string{"GET"}, Respond: fixedAnswer{Status: 404}}}, []string{"0 /in/users"}},
		"closed on one host":           {[]RouteConfig{{Path: "/**", Upstream: "people"}, {Path: "/in/**", Host: "a.example", Respond: fixedAnswer{Status: 404}}}, []string{"0 /in/users"}},
		"on one host":                  {[]RouteConfig{{Path: "/**", Host: "a.example", Upstream: "people"}}, []string{"0 /in/users"}},
		"behind strip_prefix":          {[]RouteConfig{{Path: "/p/**", Upstream: "people", StripPrefix: "/p"}}, []string{"0 /p/in/users"}},
		"closed behind strip_prefix":   {[]RouteConfig{{Path: "/p/**", Upstream: "people", StripPrefix: "/p"}, {Path: "/p/in/users", Respond: fixedAnswer{Status: 404}}}, nil},
		"rewritten":                    {[]RouteConfig{{Path: "/a/:b/**", Upstream: "people", Rewrite: "/:b/**"}}, []string{"0 "}},
		"rewritten to something else":  {[]RouteConfig{{Path: "/a/:b", Upstream: "people", Rewrite: "/out/:b"}}, nil},
		"the same path, not rewritten": {[]RouteConfig{{Path: "/in/users", Upstream: "people", Rewrite: "/out"}}, nil},
	} {
		var got []string
		for _, way := range (Config{Routes: row.routes}).Ways("POST", "/in/users?v=1", func(name string) bool { return name == "people" }) {
			got = append(got, fmt.Sprint(way.Route, " ", way.Asked))
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}
