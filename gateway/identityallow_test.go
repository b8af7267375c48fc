package gateway

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"wxgate/authn/issuer"
	"wxgate/upstream/upstreamtest"
)

func TestWhatSpeaksOfTheCallerCannotBeAllowed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"X-WX-Skey": "", "X-User-Agent": "", "x-wx-code": "", "X-WX-Encrypted-Data": "", "X-WX-IV": "", "X-User-Token": "", "X-User-Timezone": "",
		"X-User-Id": "says who", "X-User-Openid": "says who", "x_user_id": "says who", "X-User": "says who", "X-User-Role": "says who", "X-User-IsAdmin": "says who",
		"X-WX-Risk-Rank": "is for 微信网关 to say", "x-wx-device": "is for 微信网关 to say", "X-WX-OPENID": "says who", "X-WX-UNIONID": "says who", "X-WX-APPID": "says who", "X-WX-SOURCE": "says who", "X-WX-FROM-OPENID": "says who",
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

// TestTheLogOffersOnlyWhatMayBeAllowed meets headers of both kinds, and those of an issuer alone.
func TestTheLogOffersOnlyWhatMayBeAllowed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{"X-User-Id: 1", "X-WX-Skey: a"}, `identity.allow lets exact names pass" headers="X-User-Id X-WX-Skey" allowable=X-WX-Skey `},
		{[]string{"X-User-Id: 1", "X-Admin-Id: 1"}, `identity.allow cannot let these pass" headers="X-User-Id X-Admin-Id" `},
	} {
		var log bytes.Buffer
		withAdmin := func(cfg *Config) {
			cfg.Issuers = []issuer.Config{{Name: "admin", Secret: "an-administration-of-its-own-0123456789", Algorithms: []string{"HS256"}, Headers: map[string]string{"X-Admin-Id": "sub"}}}
		}
		e := newEdgeWith(t, upstreamtest.Echo(t).URL, withAdmin, func(d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		e.send(t, head("GET /public/x", "", c.lines...))
		if !strings.Contains(log.String(), c.want) {
			t.Errorf("%q: the log is\n%s\nwant %s", c.lines, log.String(), c.want)
		}
	}
}
