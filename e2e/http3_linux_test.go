package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
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
	over := w.overQUIC()
	defer over.Close()
	w.client.Transport = over
	bob := w.login("bob")
	if got := w.call("GET", "/whoami", bob, ""); got.status != http.StatusOK || !strings.Contains(got.body, "https") {
		t.Errorf("over HTTP/3: %d %s", got.status, got.body)
	}
	w.want("a forged one", w.call("GET", "/api/v1/user/profile", bob+"x", ""), http.StatusUnauthorized, "token_invalid")
	w.restart()
	_ = over.Close()
	over = w.overQUIC()
	w.client.Transport = over
	defer over.Close()
	eventually(t, 60*time.Second, func() bool {
		got, err := w.try("GET", "/api/v1/recipes", token, "")
		return err == nil && got.status == http.StatusOK
	})
	if code := w.stop(t); code != 0 {
		t.Errorf("stopped with %d", code)
	}
	if said := w.output.String(); !strings.Contains(said, `"http_version":"3.0"`) {
		t.Errorf("the log does not say which requests came over HTTP/3:\n%s", said)
	}
}

// TestAClientOfHTTP3HearsOfAKill at its next request, which the next process ends at once (RFC 9000 §10.3).
func TestAClientOfHTTP3HearsOfAKill(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t)
	w.rewrite(`listen: "127.0.0.1:0"`, fmt.Sprintf(`http3: true, listen: "127.0.0.1:%s"`, freePort(t)))
	w.serveSecurely()
	w.waitSays(`"msg":"serving HTTP/3"`, 1)
	over := w.overQUIC()
	defer over.Close()
	w.client.Transport = over
	token := w.login("alice")
	w.kill()
	w.serveSecurely()
	w.waitSays(`"msg":"serving HTTP/3"`, 1)
	if got, err := w.try("GET", "/api/v1/recipes", token, ""); err == nil || !strings.Contains(err.Error(), "stateless reset") {
		t.Errorf("on the connection of before: %d, %v, want that it is reset", got.status, err)
	}
	w.want("on a new connection", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
}

// TestAPortOfUDPThatIsTakenIsNamed, clients stay on TCP meanwhile, and HTTP/3 is served once it is free.
func TestAPortOfUDPThatIsTakenIsNamed(t *testing.T) {
	t.Parallel()
	taken, err := net.ListenPacket("udp", "127.0.0.1:"+freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	w := newSecureWorld(t)
	w.rewrite(`listen: "127.0.0.1:0"`, fmt.Sprintf(`http3: true, listen: %q`, taken.LocalAddr()))
	w.serveSecurely()
	w.waitSays(`"msg":"HTTP/3 waits until another process leaves its port"`, 1)
	token := w.login("alice")
	if got := w.call("GET", "/api/v1/recipes", token, ""); got.status != http.StatusOK || got.header.Get("Alt-Svc") != "" {
		t.Errorf("over TCP: %d, Alt-Svc %q, want 200 and none", got.status, got.header.Get("Alt-Svc"))
	}
	_ = taken.Close()
	w.waitSays(`"msg":"serving HTTP/3"`, 1)
}
