package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"wxgate/gateway/certificate/certificatetest"
)

// secureWorld is a world whose public listener speaks TLS as api.test, with server.http beside it.
type secureWorld struct {
	*world
	authority *certificatetest.Authority
	cert, key string
}

func newSecureWorld(t *testing.T) *secureWorld {
	t.Helper()
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	w := &secureWorld{newWorld(t), authority, "", ""}
	w.cert, w.key = filepath.Join(w.dir, "fullchain.pem"), filepath.Join(w.dir, "privkey.pem")
	w.issue(certificatetest.Leaf{Names: []string{"api.test"}, Deep: true})
	w.rewrite(`admin: "127.0.0.1:0"`, fmt.Sprintf(`admin: "127.0.0.1:0", http: "127.0.0.1:0", tls: { cert: %q, key: %q }`, w.cert, w.key))
	w.client.Transport = w.transport(authority.Pool())
	return w
}

func (w *secureWorld) issue(leaf certificatetest.Leaf) {
	w.t.Helper()
	if err := w.authority.IssueTo(w.cert, w.key, leaf); err != nil {
		w.t.Fatal(err)
	}
}

// transport trusts the authority, and finds api.test here.
func (w *secureWorld) transport(pool *x509.CertPool) *http.Transport {
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, w.address())
		},
	}
}

// address is that of the public listener.
func (w *secureWorld) address() string { return serving.FindStringSubmatch(w.output.String())[1] }

// serveSecurely starts the gateway.
func (w *secureWorld) serveSecurely() {
	w.t.Helper()
	w.serve()
	w.url = "https://api.test"
}

// served is the expiry of the certificate that a new connection is shown.
func (w *secureWorld) served() time.Time {
	w.t.Helper()
	conn, err := tls.Dial("tcp", w.address(), &tls.Config{RootCAs: w.authority.Pool(), ServerName: "api.test"})
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].NotAfter
}

// TestTheGatewaySpeaksTLS logs in over https, meets a plain client, redirects, and says what is wrong with a
// certificate.
func TestTheGatewaySpeaksTLS(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t)
	for _, command := range []string{"check", "doctor"} {
		if said, _ := w.command(command, "-c", w.config); strings.Contains(said, "server.tls") {
			t.Errorf("%s of a good certificate:\n%s", command, said)
		}
	}
	w.serveSecurely()
	token := w.login("alice")
	w.want("over TLS", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	if got := w.call("GET", "/whoami", token, ""); !strings.Contains(got.body, `https`) {
		t.Errorf("the service does not hear of https: %s", got.body)
	}
	plain, err := (&http.Client{Timeout: time.Minute}).Get("http://" + w.address() + "/")
	if err != nil || plain.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP: %v %v, want 400", plain, err)
	}
	if out, err := exec.Command("curl", "-sSk0", "-i", "--connect-to", "api.test:443:"+w.address(), "https://api.test/healthz").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "HTTP/1.1 200") {
		t.Errorf("curl of HTTP/1.0: %v\n%s", err, out)
	}
	if said, code := w.command("health", "-c", w.onThePort()); code != 0 || said != "ok\n" {
		t.Errorf("health: %d %s", code, said)
	}
	w.redirects()
	w.issue(certificatetest.Leaf{Names: []string{"other.test"}, Deep: true, LeafOnly: true, Life: 24 * time.Hour})
	for command, exit := range map[string]int{"check": 0, "doctor": 1} {
		said, code := w.command(command, "-c", w.config)
		for _, want := range []string{"expires on", "lacks the certificate of"} {
			if !strings.Contains(said, w.cert+" "+want) || code != exit {
				t.Errorf("%s: exit %d, want %d and %q in\n%s", command, code, exit, want, said)
			}
		}
	}
}

// onThePort is the configuration with the port that the system gave.
func (w *secureWorld) onThePort() string {
	w.t.Helper()
	text, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.dir, "port.yaml")
	changed := strings.Replace(string(text), `listen: "127.0.0.1:0"`, fmt.Sprintf("listen: %q", w.address()), 1)
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// redirects looks at server.http.
func (w *secureWorld) redirects() {
	w.t.Helper()
	from := w.said("redirects")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for host, want := range map[string]string{"api.test": "https://api.test:0/a?b=c%20d", "api.test:80": "https://api.test:0/a?b=c%20d", "[::1]": "https://[::1]:0/a?b=c%20d"} {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+from+"/a?b=c%20d", strings.NewReader("body"))
		if err != nil {
			w.t.Fatal(err)
		}
		req.Host = host
		resp, err := client.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusPermanentRedirect || got != want {
			w.t.Errorf("host %s: %d %q, want 308 %q", host, resp.StatusCode, got, want)
		}
	}
}

// said is a value of the line that says what is served.
func (w *secureWorld) said(name string) string {
	w.t.Helper()
	_, rest, ok := strings.Cut(w.output.String(), `"`+name+`":"`)
	value, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		w.t.Fatalf("the log does not say %s:\n%s", name, w.output)
	}
	return value
}

// TestACertificateIsExchangedUnderLoad renews the certificate while requests go on, then breaks it, and none of them
// notices.
func TestACertificateIsExchangedUnderLoad(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t)
	w.serveSecurely()
	token := w.login("alice")
	stop, failed, sent := make(chan struct{}), atomic.Int64{}, atomic.Int64{}
	done := make(chan struct{})
	go func() { // each on a connection of its own, with a handshake
		defer close(done)
		for transport := w.transport(w.authority.Pool()); ; transport.CloseIdleConnections() {
			select {
			case <-stop:
				return
			default:
			}
			client := http.Client{Transport: transport}
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/v1/recipes", nil)
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := client.Do(req)
			sent.Add(1)
			if err != nil || resp.StatusCode != http.StatusOK {
				failed.Add(1)
			}
			if err == nil {
				_ = resp.Body.Close()
			}
		}
	}()
	first := w.served()
	w.issue(certificatetest.Leaf{Names: []string{"api.test"}, Deep: true, Life: 80 * 24 * time.Hour})
	begun := time.Now()
	eventually(t, 60*time.Second, func() bool { return !w.served().Equal(first) })
	t.Logf("the other certificate is served after %v", time.Since(begun))
	second := w.served()
	if err := os.WriteFile(w.key, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, func() bool { return strings.Contains(w.output.String(), w.cert+" with "+w.key+": ") })
	w.issue(certificatetest.Leaf{Names: []string{"api.test"}, Life: time.Minute})
	eventually(t, 60*time.Second, func() bool {
		return strings.Contains(w.output.String(), w.cert+" has expired, and the one that is served is good")
	})
	if got := w.served(); !got.Equal(second) {
		t.Errorf("the certificate changed to one until %v", got)
	}
	close(stop)
	<-done
	if failed.Load() != 0 || sent.Load() == 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
}

// overQUIC speaks HTTP/3 alone, and finds api.test here.
func (w *secureWorld) overQUIC() *http3.Transport {
	return &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.authority.Pool(), ServerName: "api.test"},
		Dial: func(ctx context.Context, _ string, secure *tls.Config, cfg *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, w.address(), secure, cfg)
		},
	}
}
