package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxgate/authn/wechat/sandbox"
)

// heard is a service that passes on the headers of each request.
func (w *world) heard() <-chan http.Header {
	heard := make(chan http.Header, 100)
	w.service.Close()
	w.service = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header }))
	w.t.Cleanup(w.service.Close)
	return heard
}

// onOpenPlatform binds the mini-program to an account of the Open Platform, so that people have unionids.
func (w *world) onOpenPlatform() {
	w.t.Helper()
	weChat, err := sandbox.New(sandbox.Config{AppID: appID, Secret: appSecret, OpenPlatform: true})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := weChat.Start("127.0.0.1:0"); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = weChat.Close() })
	w.weChat = weChat
}

// TestAServiceGetsTheIdentityThatItAsksFor: the unionid of those who have one, and a literal, under names of its own.
func TestAServiceGetsTheIdentityThatItAsksFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	heard := w.heard()
	w.onOpenPlatform()
	w.writeConfig(`identity: { headers: { X-WX-OPENID: openid, X-WX-UNIONID: unionid, X-WX-SOURCE: "literal:wx_client" } }`)
	w.serve()
	token := w.login("alice")
	w.call("GET", "/whoami", token, "", "X-WX-UNIONID", "forged", "X_WX_SOURCE", "forged")
	w.call("GET", "/whoami", "", "", "X-WX-UNIONID", "forged", "X-WX-SOURCE", "forged")
	named, anonymous := <-heard, <-heard
	if id := named.Get("X-Wx-Unionid"); !strings.HasPrefix(id, "oU") || named.Get("X-Wx-Source") != "wx_client" || named.Get("X-Wx-Openid") == "" {
		t.Errorf("the service got %v", named)
	}
	for name, values := range anonymous {
		if strings.Contains(strings.ToLower(name), "wx") {
			t.Errorf("without a token it got %s %q", name, values)
		}
	}
	w.does([]string{"explain", "GET", "/whoami"}, "X-WX-UNIONID: <unionid>", "X-WX-SOURCE: wx_client")
}

// TestHeadersThatMayPassDo: identity.allow lets exact names pass; what does not pass can be seen in the log and by explain.
func TestHeadersThatMayPassDo(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"debug", "info"} {
		w := newWorld(t)
		heard := w.heard()
		w.writeConfig("identity: { allow: [X-WX-Skey, x-user-agent] }\nlog: { level: " + level + " }\n")
		w.serve()
		for range 3 {
			w.call("GET", "/whoami", "", "", "X-WX-Skey", "mine", "X-User-Agent", "grpc", "X_User_Agent", "forged", "X-User-Role", "forged", "X-WX-Code", "forged")
			got := <-heard
			for name, want := range map[string]string{"X-Wx-Skey": "mine", "X-User-Agent": "grpc", "X_user_agent": "", "X-User-Role": "", "X-Wx-Code": ""} {
				if got.Get(name) != want {
					t.Errorf("%s: got %q, want %q", name, got.Get(name), want)
				}
			}
		}
		w.stop(t)
		each := strings.Count(w.output.String(), "headers that look like identity were removed")
		minute := strings.Count(w.output.String(), "identity.allow lets exact names pass")
		if want := map[string]int{"debug": 3, "info": 0}[level]; each != want || minute != 1 {
			t.Errorf("at %s: %d lines for 3 requests, and %d for the minute; want %d and 1:\n%s", level, each, minute, want, w.output)
		}
		for _, name := range []string{"X-User-Role", "X-Wx-Code", "X_user_agent"} {
			if !strings.Contains(strings.ToLower(w.output.String()), strings.ToLower(name)) {
				t.Errorf("the log does not name %s:\n%s", name, w.output)
			}
		}
		if strings.Contains(w.output.String(), "forged") || strings.Contains(w.output.String(), "grpc") {
			t.Errorf("the log has a value:\n%s", w.output)
		}
	}
	w := newWorld(t)
	w.writeConfig("identity: { allow: [X-WX-Skey] }\n")
	output, code := w.command("explain", "GET", "/whoami", "-H", "X-WX-Skey: a", "-H", "X-WX-Code: b", "-H", "X-User-Role: c", "-c", w.config)
	for _, line := range []string{
		"passes          X-WX-Skey: a\n", "removes         X-WX-Code: b\n", "X-WX-Code looks like identity; identity.allow lets exact names pass\n",
		"X-User-Role looks like identity, which only the gateway may set\n",
	} {
		if code != 0 || !strings.Contains(output, line) {
			t.Errorf("explain: exit %d\n%s\nwant %q", code, output, line)
		}
	}
	w.writeConfig("identity: { allow: [X-User-Role] }\n")
	if output, code := w.command("check", "-c", w.config); code != 1 || !strings.Contains(output, "identity.allow[0]: X-User-Role says who is calling; only the gateway may set it") {
		t.Errorf("check: exit %d\n%s", code, output)
	}
}
