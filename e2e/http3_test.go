package e2e

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// TestTheGatewaySpeaksHTTP3 beside TLS on the same port, announces it, and goes on with it after a hand-over.
func TestTheGatewaySpeaksHTTP3(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t)
	w.rewrite(`http: "127.0.0.1:0"`, `http3: true, http: "127.0.0.1:0"`)
	w.serveSecurely()
	token := w.login("alice")
	announced := w.call("GET", "/api/v1/recipes", token, "")
	port := w.address()[strings.LastIndexByte(w.address(), ':'):]
	eventually(t, 60*time.Second, func() bool {
		announced = w.call("GET", "/api/v1/recipes", token, "")
		return announced.header.Get("Alt-Svc") != ""
	})
	if got, want := announced.header.Get("Alt-Svc"), `h3="`+port+`"; ma=86400`; got != want {
		t.Errorf("Alt-Svc is %q, want %q", got, want)
	}
	over := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.authority.Pool(), ServerName: "api.test"},
		Dial: func(ctx context.Context, _ string, secure *tls.Config, cfg *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, w.address(), secure, cfg)
		},
	}
	defer over.Close()
	w.client.Transport = over
	bob := w.login("bob")
	if got := w.call("GET", "/whoami", bob, ""); got.status != http.StatusOK || !strings.Contains(got.body, "https") {
		t.Errorf("over HTTP/3: %d %s", got.status, got.body)
	}
	w.want("a forged one", w.call("GET", "/api/v1/user/profile", bob+"x", ""), http.StatusUnauthorized, "token_invalid")
	w.restart()
	_ = over.Close()
	over = &http3.Transport{TLSClientConfig: over.TLSClientConfig, Dial: over.Dial}
	w.client.Transport = over
	defer over.Close()
	eventually(t, 60*time.Second, func() bool {
		got, err := w.try("GET", "/api/v1/recipes", token, "")
		return err == nil && got.status == http.StatusOK
	})
	if code := w.stop(t); code != 0 {
		t.Errorf("stopped with %d", code)
	}
}
