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
