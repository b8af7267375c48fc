package doctor

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxgate/authn/wechat"
	"wxgate/gateway/certificate/certificatetest"
	"wxgate/secret"
)

const (
	testPushToken = "push-token-of-the-doctor"
	testPushKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

// serveDomain serves api.example.com over TLS on this machine, and returns the domain as a phone would find it.
func serveDomain(t *testing.T, given string, handler http.Handler) domain {
	t.Helper()
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	if server.TLS, err = authority.Server(certificatetest.Leaf{Names: []string{"api.example.com"}}); err != nil {
		t.Fatal(err)
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	d := parseDomain(given)
	d.roots = authority.Pool()
	d.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != d.address() || d.name != "api.example.com" {
			t.Errorf("connected to %s, want %s", address, d.address())
		}
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	return d
}

// echoing is a gateway with a Token.
func echoing(t *testing.T, token secret.Text) http.HandlerFunc {
	t.Helper()
	push, err := wechat.NewPush("wx1", token, testPushKey)
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		echo, err := push.Echo(r.URL.Query())
		if err != nil || r.Method != http.MethodGet {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, echo)
	}
}

// TestTheAddressOfPushIsTriedOverTheDomain by a right signature and a wrong one, of gateways and of what is none.
func TestTheAddressOfPushIsTriedOverTheDomain(t *testing.T) {
	t.Parallel()
	answering := func(status int, location, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.ReplaceAll(body, "ECHO", r.URL.Query().Get("echostr")))
		}
	}
	sealed := wechat.PushConfig{Token: testPushToken, AESKey: testPushKey, Upstream: "messages"}
	plain := wechat.PushConfig{Token: testPushToken, Upstream: "messages"}
	usual := []string{"/wechat/push"}
	for _, c := range []struct {
		what, given string
		push        wechat.PushConfig
		paths       []string
		answers     http.HandlerFunc
		want        string
	}{
		{"the gateway", "api.example.com", sealed, usual, echoing(t, testPushToken), "ok https://api.example.com/wechat/push answers as WeChat wants, and refuses a wrong signature; choose 安全模式"},
		{"in plain mode", "api.example.com", plain, usual, echoing(t, testPushToken), "ok https://api.example.com/wechat/push answers as WeChat wants, and refuses a wrong signature; choose 明文模式"},
		{"at another path", "api.example.com", sealed, []string{"/hooks/wx", "/wechat/push"}, echoing(t, testPushToken), "ok https://api.example.com/hooks/wx answers"},
		{"at another port", "api.example.com:8443", sealed, usual, echoing(t, testPushToken), "WeChat itself pushes to port 443 only"},
		{"nowhere", "api.example.com", sealed, nil, echoing(t, testPushToken), "FAIL endpoints.push is off"},
		{"with another Token", "api.example.com", sealed, usual, echoing(t, "another-token"), "FAIL a right signature is refused (400); give the gateway there the same Token"},
		{"whatever is asked", "api.example.com", sealed, usual, answering(http.StatusOK, "", "ECHO"), "FAIL a wrong signature is echoed too"},
		{"in JSON", "api.example.com", sealed, usual, answering(http.StatusOK, "", `{"data":"ECHO"}`), "FAIL the answer is 200 but not what was to be echoed"},
		{"without end", "api.example.com", sealed, usual, answering(http.StatusOK, "", strings.Repeat("ECHO", 1<<16)), "FAIL the answer is 200 but not what was to be echoed"},
		{"elsewhere", "api.example.com", sealed, usual, answering(http.StatusFound, "https://www.example.com/wechat/push?ECHO", ""), "FAIL /wechat/push is redirected (302), and WeChat does not follow"},
		{"another site", "api.example.com", sealed, usual, answering(http.StatusNotFound, "", ""), "FAIL there is no /wechat/push at the domain (404)"},
	} {
		d := serveDomain(t, c.given, c.answers)
		got := d.pushFinding(t.Context(), wechat.Config{AppID: "wx1", Push: c.push}, c.paths)
		wantFinding(t, c.what, got, c.want)
		if strings.Contains(got.String(), testPushToken) || strings.Contains(got.String(), "signature=") {
			t.Errorf("%s: tells the Token, or a signature: %s", c.what, got)
		}
	}
	d := serveDomain(t, "api.example.com", echoing(t, testPushToken))
	d.roots = nil
	wantFinding(t, "a certificate of nobody", d.pushFinding(t.Context(), wechat.Config{AppID: "wx1", Push: sealed}, usual), "FAIL asking /wechat/push: tls: failed to verify")
}
