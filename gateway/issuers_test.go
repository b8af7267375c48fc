package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/authn/issuer"
	"wxgate/authn/issuer/issuertest"
	"wxgate/gateway/accesslog"
	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

const adminIssuer, adminAudience = "https://auth.example.com", "admin-api"

// issuerOf is an issuer of keys at an address.
func issuerOf(name, jwks, header string) issuer.Config {
	return issuer.Config{
		Name: name, Issuer: adminIssuer, JWKS: jwks, Algorithms: []string{"EdDSA"}, Audience: issuer.Audience{adminAudience}, Subject: "sub",
		Headers: map[string]string{header: "sub", header + "-Name": "name"},
	}
}

// issued is a gateway whose routes below /admin and /ops want tokens of two issuers.
func issued(t *testing.T, serviceURL string, change func(*Config), with func(*Deps), issuers ...issuer.Config) (*edge, *issuer.Set) {
	t.Helper()
	var set *issuer.Set
	e := newEdgeWith(t, serviceURL, func(cfg *Config) {
		cfg.Issuers = issuers
		cfg.Routes = append(cfg.Routes,
			RouteConfig{Path: "/admin/**", Upstream: "service", Auth: AuthRequired, Issuer: "admin", TokenQuery: "token"},
			RouteConfig{Path: "/desk/**", Upstream: "service", Auth: AuthOptional, Issuer: "admin"},
			RouteConfig{Path: "/limited/**", Upstream: "service", Auth: AuthRequired, Issuer: "admin", RateLimit: RateLimitConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 1, Per: time.Hour}, Burst: 1}})
		if len(issuers) > 1 {
			cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/ops/**", Upstream: "service", Auth: AuthRequired, Issuer: "ops"})
		}
		if change != nil {
			change(cfg)
		}
	}, func(d *Deps) {
		set = issuer.NewSet(issuers, 5*time.Second, d.Metrics, d.Log, d.Now)
		t.Cleanup(set.Close)
		d.Issuers = set
		if with != nil {
			with(d)
		}
	})
	return e, set
}

// TestAHeaderThatIsRenamedIsNotTheClients is the moment within a reload in which the issuers are new and the snapshot is not,
// and the whole of a request that began before: the names that it removed are those that it tells.
func TestAHeaderThatIsRenamedIsNotTheClients(t *testing.T) {
	t.Parallel()
	key := issuertest.NewKey(t, "1", "EdDSA")
	server := issuertest.NewServer(t, false, key)
	service := upstreamtest.Echo(t)
	before := issuerOf("admin", server.URL, "X-Admin")
	after := before
	after.Headers = map[string]string{"X-Boss": "sub"}
	e, set := issued(t, service.URL, nil, nil, before)
	admin := key.Sign(t, issuertest.Claims(adminIssuer, adminAudience, "root", nil))
	arrives := func(step string, want ...string) {
		t.Helper()
		seen := len(service.Requests())
		if resp, body := e.send(t, head("GET /admin/x", admin, "X-Admin: forged", "X-Boss: forged")); resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", step, resp.StatusCode, body)
		}
		got := service.Requests()[seen]
		if all := append(got.Values("X-Admin"), got.Values("X-Boss")...); !slices.Equal(all, want) {
			t.Errorf("%s: X-Admin and X-Boss arrived as %q, want %q", step, all, want)
		}
	}
	arrives("before", "root", "forged") // X-Boss means nothing yet
	retire := set.Configure([]issuer.Config{after})
	arrives("between", "root", "forged")
	r := e.snapshot.Load()
	cfg := r.cfg
	cfg.Issuers = []issuer.Config{after}
	e.reload(t, cfg, r.upstreams)
	arrives("in force", "forged", "root")
	retire()
	arrives("after", "forged", "root")
}

// TestAnAdministratorIsNeverTakenForAUser has tokens of a user, of an administrator and of an operator, on routes of each,
// and forged headers with all of them.
func TestAnAdministratorIsNeverTakenForAUser(t *testing.T) {
	t.Parallel()
	adminKey, opsKey := issuertest.NewKey(t, "1", "EdDSA"), issuertest.NewKey(t, "1", "EdDSA")
	admins, ops := issuertest.NewServer(t, false, adminKey), issuertest.NewServer(t, false, opsKey)
	service := upstreamtest.Echo(t)
	e, _ := issued(t, service.URL, func(cfg *Config) {
		cfg.CloudRun = true
		cfg.TokenFrom = []string{"Authorization", "X-Token"}
		cfg.Identity.Headers = map[string]identityField{"X-User-Id": fieldID, "X-WX-SOURCE": "literal:wx_client"}
		cfg.Identity.Signed.Header = "X-Identity"
	}, nil, issuerOf("admin", admins.URL, "X-Admin"), issuerOf("ops", ops.URL, "X-Ops"))
	tokens := map[string]string{
		"user": e.token(t, "alice"), "nobody": "",
		"admin": adminKey.Sign(t, issuertest.Claims(adminIssuer, adminAudience, "root", map[string]any{"name": "管理员\r\nX-User-Id: 1"})),
		"ops":   opsKey.Sign(t, issuertest.Claims(adminIssuer, adminAudience, "root", nil)),
	}
	forgeries := []string{
		"X-Admin: forged", "X_Admin: forged", "x.admin.name: forged", "X-Admin-Name: forged", "X-Ops: forged", "X-OPS-NAME: forged", "X-User-Id: forged", "X_User_Id: forged",
		"X-WX-OPENID: forged", "X-WX-APPID: " + testAppID, "X-WX-SOURCE: forged", "X-Identity: forged", "Connection: X-Admin, X-Ops, X-User-Id", "Remote-User: forged",
	}
	identity := []string{"X-User-Id", "X-WX-SOURCE", "X-Identity", "X-Admin", "X-Admin-Name", "X-Ops", "X-Ops-Name"}
	for _, row := range []struct {
		path, who string
		status    int
		headers   string // of identity, by who is passed on
	}{
		{"/private/x", "user", 200, "X-User-Id=1 X-WX-SOURCE=wx_client X-Identity"},
		{"/private/x", "admin", 401, ""},
		{"/private/x", "ops", 401, ""},
		{"/optional/x", "admin", 401, ""},
		{"/public/x", "admin", 200, ""},
		{"/public/x", "user", 200, ""},
		{"/admin/x", "admin", 200, "X-Admin=root X-Admin-Name=%E7%AE%A1%E7%90%86%E5%91%98%0D%0AX-User-Id:%201"},
		{"/admin/x", "user", 401, ""},
		{"/admin/x", "ops", 401, ""},
		{"/admin/x", "nobody", 401, ""},
		{"/ops/x", "ops", 200, "X-Ops=root"},
		{"/ops/x", "admin", 401, ""},
		{"/ops/x", "user", 401, ""},
		{"/desk/x", "nobody", 200, ""},
		{"/desk/x", "admin", 200, "X-Admin=root X-Admin-Name=%E7%AE%A1%E7%90%86%E5%91%98%0D%0AX-User-Id:%201"},
		{"/desk/x", "user", 401, ""},
		{"/api/v1/user/profile", "admin", 401, ""},
		{"/api/v1/auth/sessions", "ops", 401, ""},
	} {
		for range 2 { // from the cache, too
			before := len(service.Requests())
			resp, body := e.send(t, head("GET "+row.path, tokens[row.who], forgeries...))
			if resp.StatusCode != row.status || row.status == 401 && !strings.Contains(body, `"token_`) {
				t.Errorf("%s of %s: %d %s, want %d", row.path, row.who, resp.StatusCode, body, row.status)
			}
			for _, req := range service.Requests()[before:] {
				var got []string
				for _, name := range identity {
					for _, value := range req.Values(name) {
						if name != "X-Identity" {
							name += "=" + value
						}
						got = append(got, name)
					}
				}
				if strings.Join(got, " ") != row.headers || strings.Contains(req.Head(), "forged") {
					t.Errorf("%s of %s arrived with %q, want %q:\n%s", row.path, row.who, got, row.headers, req.Head())
				}
			}
			if after := len(service.Requests()) - before; (after == 1) != (row.status == 200) {
				t.Errorf("%s of %s arrived %d times", row.path, row.who, after)
			}
		}
	}
	for _, line := range []string{"X-Token: " + tokens["admin"], "Authorization: " + tokens["admin"]} {
		if resp, body := e.send(t, head("GET /admin/x", "", line)); resp.StatusCode != 200 {
			t.Errorf("%.20s: %d %s", line, resp.StatusCode, body)
		}
	}
	if resp, body := e.send(t, head("GET /admin/x?token="+tokens["admin"], "")); resp.StatusCode != 200 || strings.Contains(service.Requests()[len(service.Requests())-1].Target, "token") {
		t.Errorf("in the query: %d %s", resp.StatusCode, body)
	}
	if resp, body := e.send(t, head("GET /admin/x", tokens["admin"], "X-Token: "+tokens["user"])); resp.StatusCode != 401 {
		t.Errorf("two people: %d %s", resp.StatusCode, body)
	}
}

// TestTheOtherEndingOfAPathAsksItsOwnIssuer is about a user's route that would take an administrator's path with a slash.
func TestTheOtherEndingOfAPathAsksItsOwnIssuer(t *testing.T) {
	t.Parallel()
	k := issuertest.NewKey(t, "1", "EdDSA")
	service := upstreamtest.Echo(t)
	e, _ := issued(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/admin", Upstream: "service", Auth: AuthRequired}, RouteConfig{Path: "/desk", Upstream: "service", Auth: AuthNone},
			RouteConfig{Path: "/files/:name", Upstream: "service", Auth: AuthRequired, PathRules: PathRules{EncodedSlash: allow}},
			RouteConfig{Path: "/files/a/b", Upstream: "service", Auth: AuthRequired, Issuer: "admin", PathRules: PathRules{EncodedSlash: allow}})
	}, nil, issuerOf("admin", issuertest.NewServer(t, false, k).URL, "X-Admin"))
	user, admin := e.token(t, "alice"), k.Sign(t, issuertest.Claims(adminIssuer, adminAudience, "root", nil))
	for _, row := range []struct {
		path, token string
		status      int
	}{
		{"/admin", user, 200},
		{"/admin", admin, 401},
		{"/admin/", user, 401},
		{"/admin/", admin, 200},
		{"/desk/", user, 401},
		{"/desk/", admin, 200},
		{"/files/c", user, 200},
		{"/files/a/b", user, 401},
		{"/files/a/b", admin, 200},
		{"/files/a%2Fb", user, 400}, // a service may take it for either
		{"/files/a%2Fb", admin, 400},
	} {
		if resp, body := e.send(t, head("GET "+row.path, row.token)); resp.StatusCode != row.status {
			t.Errorf("%s: %d %s, want %d", row.path, resp.StatusCode, body, row.status)
		}
	}
}

// TestCallersAreLimitedAndLoggedOnTheirOwn counts by who calls, not by address, and the log names the issuer alone.
func TestCallersAreLimitedAndLoggedOnTheirOwn(t *testing.T) {
	t.Parallel()
	k := issuertest.NewKey(t, "1", "EdDSA")
	service := upstreamtest.Echo(t)
	var log lockedText
	e, _ := issued(t, service.URL, func(cfg *Config) { cfg.Log.Access = true }, func(d *Deps) { d.Access = accesslog.New(&log, accesslog.JSON) },
		issuerOf("admin", issuertest.NewServer(t, false, k).URL, "X-Admin"))
	for _, row := range []struct {
		sub    string
		status int
	}{{"one", 200}, {"one", 429}, {"two", 200}, {"two", 429}} {
		resp, body := e.send(t, head("GET /limited/x", k.Sign(t, issuertest.Claims(adminIssuer, adminAudience, row.sub, nil))))
		if resp.StatusCode != row.status {
			t.Errorf("%s: %d %s, want %d", row.sub, resp.StatusCode, body, row.status)
		}
	}
	eventually(t, "four lines", func() bool { return strings.Count(log.String(), "\n") == 4 })
	if lines := log.String(); strings.Count(lines, `"issuer":"admin"`) != 4 || strings.Contains(lines, "user_id") || strings.Contains(lines, `"one"`) {
		t.Errorf("the log is\n%s", lines)
	}
}

func TestATokenThatNobodyCanJudgeIs503(t *testing.T) {
	t.Parallel()
	k := issuertest.NewKey(t, "1", "EdDSA")
	keys := issuertest.NewServer(t, false, k)
	keys.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	e, _ := issued(t, upstreamtest.Echo(t).URL, nil, nil, issuerOf("admin", keys.URL, "X-Admin"))
	resp, body := e.send(t, head("GET /admin/x", k.Sign(t, issuertest.Claims(adminIssuer, adminAudience, "root", nil))))
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, `"issuer_unavailable"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := e.send(t, head("GET /private/x", e.token(t, "alice"))); resp.StatusCode != 200 {
		t.Errorf("a user meanwhile: %d %s", resp.StatusCode, body)
	}
}

// TestAWebSocketOfACallerEndsWithItsIssuer also ends those whose token expires.
func TestAWebSocketOfACallerEndsWithItsIssuer(t *testing.T) {
	t.Parallel()
	k := issuertest.NewKey(t, "1", "EdDSA")
	cfg := issuerOf("admin", issuertest.NewServer(t, false, k).URL, "X-Admin")
	e, set := issued(t, upstreamtest.Echo(t).URL, nil, nil, cfg)
	c, err := set.Verify(context.Background(), "admin", "Bearer "+k.Sign(t, issuertest.Claims(adminIssuer, adminAudience, "root", nil)))
	if err != nil {
		t.Fatal(err)
	}
	alive := e.admission.aliveLater(&Exchange{caller: c})
	if err := alive(); err != nil {
		t.Errorf("while it is there: %v", err)
	}
	set.Configure(nil)()
	if err := alive(); err == nil {
		t.Error("it goes on without its issuer")
	}
	if e.admission.aliveLater(&Exchange{}) != nil {
		t.Error("nobody ends")
	}
}

func TestFaultsOfIssuersAndTheirRoutesAreNamed(t *testing.T) {
	t.Parallel()
	const jwks = "https://auth.example.com/jwks.json"
	for want, change := range map[string]func(*Config){
		`routes[0].issuer: "ops" is not one of admin`:     func(c *Config) { c.Routes[0].Issuer = "ops" },
		`routes[0].issuer: has no effect with auth: none`: func(c *Config) { c.Routes[0].Auth = AuthNone },
		`routes[0].issuer: conflicts with auth: prefetch`: func(c *Config) { c.Routes[0].Auth = AuthPrefetch },
		`which is empty`: func(c *Config) { c.Issuers = nil },
		`X-User-Id: a service could take it for that of identity`:    func(c *Config) { c.Issuers[0].Headers = map[string]string{"X-User-Id": "sub"} },
		`x_user_id: a service could take it for that of identity`:    func(c *Config) { c.Issuers[0].Headers = map[string]string{"x_user_id": "sub"} },
		`X-User-Role: is a name for users of the mini-program`:       func(c *Config) { c.Issuers[0].Headers = map[string]string{"X-User-Role": "role"} },
		`X-WX-OPENID: is a name for users`:                           func(c *Config) { c.Issuers[0].Headers = map[string]string{"X-WX-OPENID": "sub"} },
		`Authorization: "Authorization" is not a header name that`:   func(c *Config) { c.Issuers[0].Headers = map[string]string{"Authorization": "sub"} },
		`X-Forwarded-For: "X-Forwarded-For" is a header that means`:  func(c *Config) { c.Issuers[0].Headers = map[string]string{"X-Forwarded-For": "sub"} },
		`could take it for that of authn.issuers[0].headers.X-Admin`: func(c *Config) { c.Issuers = append(c.Issuers, issuerOf("two", jwks, "X-Admin")) },
		`could take it for that of identity.signed.header`:           func(c *Config) { c.Identity.Signed.Header = "X-Admin" },
		`token_from[1]: X-Admin says who is calling`:                 func(c *Config) { c.TokenFrom = []string{"Authorization", "X-Admin"} },
		`headers.set.X_Admin: X_Admin says who is calling`:           func(c *Config) { c.Routes[0].Headers.Set = map[string]string{"X_Admin": "1"} },
	} {
		cfg := DefaultConfig()
		cfg.Upstreams, cfg.Issuers = []string{"service"}, []issuer.Config{issuerOf("admin", jwks, "X-Admin")}
		cfg.Routes = []RouteConfig{{Path: "/a", Upstream: "service", Auth: AuthRequired, Issuer: "admin"}}
		change(&cfg)
		if got := fmt.Sprint(cfg.Validate()); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	cfg := DefaultConfig()
	cfg.Upstreams, cfg.Issuers = []string{"service"}, []issuer.Config{issuerOf("admin", jwks, "X-Admin")}
	cfg.Routes = []RouteConfig{{Path: "/a", Upstream: "service", Auth: AuthRequired}}
	if !slices.Contains(newReservedHeaders(cfg).names, "x-admin") {
		t.Error("its headers pass")
	}
}
