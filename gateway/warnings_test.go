package gateway

import (
	"fmt"
	"slices"
	"testing"
)

func TestWaysToAPathThatAServiceKeepsForTheGatewayAreNamed(t *testing.T) {
	t.Parallel()
	same := func(a, b string) bool { return a == b }
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
		for _, way := range (Config{Routes: row.routes}).Ways("people", "POST", "/in/users?v=1", same) {
			got = append(got, fmt.Sprint(way.Route, " ", way.Asked))
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}

func TestWaysToPushedMessagesAreNamedWhereTheEndpointIsElsewhere(t *testing.T) {
	t.Parallel()
	ways := func(paths Paths, upstream string, routes ...RouteConfig) (got []string) {
		cfg := DefaultConfig()
		cfg.Routes, cfg.Endpoints.Push = routes, paths
		if upstream != "" {
			cfg.PushUpstreams = []string{upstream, upstream}
		}
		for _, way := range cfg.PushWays(func(a, b string) bool { return a == b }) {
			got = append(got, way.Path+" "+way.Asked)
		}
		return got
	}
	all, shop := RouteConfig{Path: "/**", Upstream: "shop"}, RouteConfig{Path: "/shop/**", Upstream: "shop", StripPrefix: "/shop"}
	for name, row := range map[string]struct{ got, want []string }{
		"the endpoint answers":         {ways(Paths{"/wechat/push"}, "shop", all), nil},
		"the endpoint was moved":       {ways(Paths{"/wx/push"}, "shop", all), []string{"/** /wechat/push"}},
		"a prefix leads around it":     {ways(Paths{"/wechat/push"}, "shop", all, shop), []string{"/shop/** /shop/wechat/push"}},
		"a route is of the very path":  {ways(Paths{"/wechat/push"}, "shop", RouteConfig{Path: "/wechat/push", Upstream: "shop"}), []string{"/wechat/push /wechat/push"}},
		"there are no pushed messages": {ways(Paths{"/wx/push"}, "", all), nil},
		"they go to another service":   {ways(Paths{"/wx/push"}, "other", all), nil},
	} {
		if !slices.Equal(row.got, row.want) {
			t.Errorf("%s: got %q, want %q", name, row.got, row.want)
		}
	}
}
