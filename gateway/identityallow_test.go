package gateway

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"wxgate/authn/issuer"
	"wxgate/authn/issuer/issuertest"
	"wxgate/gateway/answer"
	"wxgate/upstream/upstreamtest"
)

// TestIdentityIsUnforgeableWithEveryCombinationOfKeys sends forgeries to every kind of route, for each combination of the
// keys that let something of the client pass.
func TestIdentityIsUnforgeableWithEveryCombinationOfKeys(t *testing.T) {
	t.Parallel()
	forgeries := []string{
		"X-User-Id: forged", "X_User_Id: forged", "x.user.id: forged", "X-WX-OPENID: forged", "X_WX_OPENID: forged", "X-WX-SOURCE: forged", "X-WX-APPID: forged",
		"X-User-Openid: forged", "X-User-Role: forged", "X-WX-From-Openid: forged", "Remote-User: forged",
		"X_User_Agent: forged", "X.WX.Skey: forged", "X_WX_Skey: forged", "Connection: X-User-Id, X-WX-OPENID, X-WX-SOURCE",
	}
	const secret = "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA"
	admin := issuertest.Key{Algorithm: "HS256", Signing: []byte(secret)}.Sign(t, issuertest.Claims("", "", "root", map[string]any{"iss": nil, "aud": nil}))
	issuers := []issuer.Config{{Name: "admin", Secret: secret, Subject: "sub", Headers: map[string]string{"X-Admin-Id": "sub"}}}
	for n := range 1 << 7 {
		on := func(bit int) bool { return n>>bit&1 == 1 }
		service := upstreamtest.Echo(t)
		e := newEdgeWith(t, service.URL, func(cfg *Config) {
			if on(6) {
				cfg.Issuers = issuers
				cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/admin/**", Upstream: "service", Auth: AuthRequired, Issuer: "admin", TokenQuery: "token"})
			}
			if on(0) {
				cfg.TokenFrom = []string{"Authorization", "token", "X-WX-Skey", "cookie:sid", "subprotocol:bearer"}
			}
			if on(1) {
				cfg.Identity.Allow = []string{"X-User-Agent", "X-WX-Skey"}
			}
			if on(2) {
				cfg.Identity.Headers = map[string]identityField{"X-User-Id": fieldID, "X-WX-OPENID": fieldOpenID, "X-WX-SOURCE": "literal:wx_client"}
			}
			if on(3) {
				cfg.Identity.Signed.Header = "X-Identity"
			}
			cfg.Identity.ForwardAuthorization = on(4)
			if on(5) {
				cfg.Endpoints.Login, cfg.Endpoints.Logout = append(cfg.Endpoints.Login, "GET /weapp/login"), append(cfg.Endpoints.Logout, "GET /weapp/logout?token")
				if on(0) {
					cfg.SetCookie = "sid"
				}
				cfg.Answers = answer.Config{Preset: "errno", Login: `{"t":{access_token},"X-User-Id":{openid}}`}
				cfg.Routes[1].Answers = answer.Config{RefusalStatus: "own"}
			}
			cfg.Routes[0].TokenQuery = "token"
		}, func(d *Deps) {
			d.Issuers = issuer.NewSet(issuers, 0, d.Metrics, d.Log, d.Now)
			t.Cleanup(d.Issuers.Close)
		})
		token := e.token(t, "alice")
		if resp, body := e.send(t, head("GET /private/x", token[:len(token)-6]+"AAAAAA")); len(service.Requests()) > 0 || (resp.StatusCode == 200) != on(5) || resp.Header.Get("X-Wxgate-Reason") != "token_invalid" {
			t.Errorf("%07b: a forged token: %d %s at %d requests", n, resp.StatusCode, body, len(service.Requests()))
		}
		paths := []string{"/private/x?token=" + token, "/public/x", "/optional/x"}
		if on(6) {
			paths = append(paths, "/admin/x?token="+admin)
		}
		for _, path := range paths {
			sent, token := slices.Clone(forgeries), token
			if on(6) {
				sent = append(sent, "X-Admin-Id: forged", "X_Admin_Id: forged", "Connection: X-Admin-Id")
			}
			byAdmin := strings.HasPrefix(path, "/admin")
			if byAdmin {
				token = admin
			}
			if on(3) {
				sent = append(sent, "X-Identity: forged", "X_Identity: forged")
			}
			resp, body := e.send(t, head("GET "+path, token, append(sent, "X-User-Agent: grpc-web", "X-WX-Skey: "+token)...))
			if resp.StatusCode != 200 {
				t.Fatalf("%07b, %.12s: %d %s", n, path, resp.StatusCode, body)
			}
			req := service.Requests()[len(service.Requests())-1]
			want := map[bool]string{true: "", false: "1"}[path == "/public/x" || byAdmin]
			if got := strings.Join(req.Values("X-Admin-Id"), "|"); got != map[bool]string{true: "root"}[byAdmin] || byAdmin && req.Field("X-Identity") != "" {
				t.Errorf("%07b, %.12s: the administrator is %q", n, path, got)
			}
			source := map[bool]string{true: "wx_client"}[on(2) && want != ""]
			if strings.Contains(req.Head(), "forged") || strings.Join(req.Values("X-User-Id"), "|") != want || strings.Join(req.Values("X-WX-SOURCE"), "|") != source {
				t.Errorf("%07b, %.12s: the service received\n%s", n, path, req.Head())
			}
			if got := len(req.Values("X-User-Agent")) == 1; got != on(1) {
				t.Errorf("%07b, %.12s: X-User-Agent passes: %v, want %v", n, path, got, on(1))
			}
			if got := len(req.Values("X-WX-Skey")) == 1; got != (on(1) && !on(0) || on(0) && on(4)) {
				t.Errorf("%07b, %.12s: X-WX-Skey passes: %v", n, path, got)
			}
		}
	}
}

func TestWhatSpeaksOfTheCallerCannotBeAllowed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"X-WX-Skey": "", "X-User-Agent": "", "x-wx-code": "", "X-WX-Encrypted-Data": "", "X-WX-IV": "", "X-User-Token": "", "X-User-Timezone": "",
		"X-User-Id": "says who", "X-User-Openid": "says who", "x_user_id": "says who", "X-User": "says who", "X-User-Role": "says who", "X-User-IsAdmin": "says who",
		"X-WX-OPENID": "says who", "X-WX-UNIONID": "says who", "X-WX-APPID": "says who", "X-WX-SOURCE": "says who", "X-WX-FROM-OPENID": "says who",
		"X-Wxgate-Signature": "says who", "Remote-User": "says who", "X-Caller": "says who", "X-Identity": "says who", "X-Auth-Request-User": "says who",
		"X-Real-Ip": "how a request came", "X-Forwarded-For": "how a request came", "X-Token": "without this line", "a b": "is not a header name",
	} {
		cfg := DefaultConfig()
		cfg.Upstreams, cfg.Routes = []string{"service"}, []RouteConfig{{Path: "/a", Upstream: "service", Auth: AuthRequired}}
		cfg.Identity.Headers["X-Caller"], cfg.Identity.Signed.Header, cfg.Identity.Allow = fieldID, "X-Identity", []string{name}
		if got := fmt.Sprint(cfg.Validate()); (want == "") != (got == "[]") || !strings.Contains(got, want) || want != "" && !strings.Contains(got, "identity.allow[0]") {
			t.Errorf("%s: %s, want %q", name, got, want)
		}
	}
	for literal, valid := range map[identityField]bool{"literal:wx_client": true, "literal:": false, "literal:a b": false, "literal:客": false, "text": false} {
		cfg := DefaultConfig().Identity
		cfg.Headers["X-WX-SOURCE"] = literal
		if faults := cfg.validate(); (len(faults) == 0) != valid {
			t.Errorf("%s: %v", literal, faults)
		}
	}
}

func TestRemovedHeadersAreNamedInTheLog(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level][2]int{slog.LevelDebug: {3, 1}, slog.LevelInfo: {0, 1}, slog.LevelWarn: {0, 0}} {
		var log bytes.Buffer
		service := upstreamtest.Echo(t)
		e := newEdgeWith(t, service.URL, nil, func(d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level})) })
		for range 3 {
			e.send(t, head("GET /public/x", "", "X-WX-Skey: hidden", "X_User_Agent: hidden", "Accept: */*"))
		}
		each, minute := strings.Count(log.String(), "were removed"), strings.Count(log.String(), "identity.allow lets")
		if each != want[0] || minute != want[1] || strings.Contains(log.String(), "hidden") || want[1] == 1 && !strings.Contains(log.String(), `headers="X-WX-Skey X_User_Agent"`) {
			t.Errorf("%v: the log is\n%s", level, log.String())
		}
	}
}
