package upstream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/http1"
)

// authority is a CA of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	der, key := a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.key = key
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// sign makes a certificate and its key; the first one signs itself.
func (a *authority) sign(c *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// issue makes files of a certificate for names, and of its key.
func (a *authority) issue(names ...string) (cert, key string) {
	a.t.Helper()
	c := &x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	der, private := a.sign(c)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	dir := a.t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(a.t, cert, "CERTIFICATE", der)
	writePEM(a.t, key, "PRIVATE KEY", encoded)
	return cert, key
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secured is a service over TLS. It answers with the name that was asked for, the protocol, whether the session was
// resumed, and who the client is.
type secured struct {
	*httptest.Server
	conns atomic.Int64
}

// secure starts a service at address with a certificate for names.
func (a *authority) secure(address string, change func(*tls.Config), names ...string) *secured {
	a.t.Helper()
	s := new(secured)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			who = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		if r.URL.Path == "/close" {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprintf(w, "%q %s %v %s", r.TLS.ServerName, r.TLS.NegotiatedProtocol, r.TLS.DidResume, who)
	}))
	_ = s.Listener.Close()
	var err error
	if s.Listener, err = net.Listen("tcp", address); err != nil {
		a.t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(a.issue(names...))
	if err != nil {
		a.t.Fatal(err)
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}, ClientCAs: x509.NewCertPool()}
	s.TLS.ClientCAs.AddCert(a.cert)
	change(s.TLS)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.StartTLS()
	a.t.Cleanup(s.Close)
	return s
}

func plainly(*tls.Config) {}

// ask sends a GET over u and returns the body, or the error.
func ask(u *upstream.Upstream, path string) string {
	var resp message.Response
	if _, err := u.Do(soon(), newRequest("GET", path), &resp, 0); err != nil {
		return err.Error()
	}
	return string(resp.Body)
}

func wantWords(t *testing.T, what, got string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(got, w) {
			t.Errorf("%s: got %s, want %s", what, got, w)
		}
	}
}

func TestACertificateIsVerifiedByTheConfiguredAuthority(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	service := ours.secure("127.0.0.1:0", plainly, "127.0.0.1", "recipes.example")
	for _, c := range []struct {
		what string
		tls  http1.TLS
		want []string
	}{
		{"our authority", http1.TLS{CA: ours.file}, []string{`"" http/1.1 false nobody`}},
		{"a name that the certificate has", http1.TLS{CA: ours.file, ServerName: "recipes.example"}, []string{`"recipes.example" http/1.1`}},
		{"a name that it has not", http1.TLS{CA: ours.file, ServerName: "other.example"}, []string{"upstream connect", "x509", "other.example"}},
		{"another authority", http1.TLS{CA: others.file}, []string{"upstream connect", "x509"}},
		{"those of the system", http1.TLS{}, []string{"upstream connect", "x509"}},
	} {
		u := newUpstream(t, service.URL, func(cfg *upstream.Config) { cfg.TLS = c.tls })
		wantWords(t, c.what, ask(u, "/"), c.want...)
	}
}

// noPin is the SHA-256 of no key.
var noPin = base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))

// pin is that of the key of a service, as a person computes it: from its certificate.
func (s *secured) pin() string {
	sum := sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// TestAPinnedKeyIsDemandedInAdditionToTheCertificate: a certificate of the right authority with another key is not enough, and a
// pin is no substitute for the authority.
func TestAPinnedKeyIsDemandedInAdditionToTheCertificate(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		service := ours.secure("127.0.0.1:0", func(c *tls.Config) { c.MaxVersion = version }, "127.0.0.1")
		for _, c := range []struct {
			what string
			tls  http1.TLS
			want []string
		}{
			{"its key", http1.TLS{CA: ours.file, SPKI: []string{service.pin()}}, []string{"http/1.1 false"}},
			{"now and next", http1.TLS{CA: ours.file, SPKI: []string{noPin, service.pin()}}, []string{"http/1.1 false"}},
			{"another key", http1.TLS{CA: ours.file, SPKI: []string{noPin}}, []string{"upstream connect", "is not pinned", service.pin(), "tls.spki"}},
			{"its key and another authority", http1.TLS{CA: others.file, SPKI: []string{service.pin()}}, []string{"upstream connect", "x509"}},
		} {
			u := newUpstream(t, service.URL, func(cfg *upstream.Config) { cfg.TLS = c.tls })
			wantWords(t, c.what, ask(u, "/"), c.want...)
		}
	}
}

// TestAnotherPinEndsConnectionsAndSessionsOfTheOneBefore changes the pins while connections are kept and sessions could be resumed.
func TestAnotherPinEndsConnectionsAndSessionsOfTheOneBefore(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	service := ours.secure("127.0.0.1:0", plainly, "127.0.0.1")
	cfg := upstream.DefaultConfig()
	cfg.Targets = []upstream.Target{{URL: service.URL, Weight: 1}}
	cfg.Timeouts.Connect = 30 * time.Second
	cfg.TLS = http1.TLS{CA: ours.file, SPKI: []string{service.pin()}}
	u, err := upstream.New("recipes", cfg, upstream.NewMetrics(prometheus.NewRegistry()), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	wantWords(t, "with its pin", ask(u, "/"), "http/1.1")
	cfg.TLS.SPKI = []string{noPin}
	change, err := u.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := change.Apply(); err != nil {
		t.Fatal(err)
	}
	wantWords(t, "with another pin", ask(u, "/"), "upstream connect", "is not pinned")
}

func TestAServiceWithoutHTTP11IsAConnectError(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	service := ours.secure("127.0.0.1:0", func(c *tls.Config) { c.NextProtos = []string{"h3"} }, "127.0.0.1")
	u := newUpstream(t, service.URL, func(cfg *upstream.Config) { cfg.TLS.CA = ours.file })
	wantWords(t, "h3 alone", ask(u, "/"), "upstream connect", "no application protocol")
}

func TestAServiceMayAskForOurCertificate(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	service := ours.secure("127.0.0.1:0", func(c *tls.Config) { c.ClientAuth = tls.RequireAndVerifyClientCert }, "127.0.0.1")
	cert, key := ours.issue("wxgate")
	u := newUpstream(t, service.URL, func(cfg *upstream.Config) { cfg.TLS = http1.TLS{CA: ours.file, Cert: cert, Key: key} })
	wantWords(t, "with a certificate", ask(u, "/"), "wxgate")
	u = newUpstream(t, service.URL, func(cfg *upstream.Config) { cfg.TLS = http1.TLS{CA: ours.file} })
	wantWords(t, "without one", ask(u, "/"), "tls: certificate required")
}

func TestTLSSessionsAreResumed(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		service := ours.secure("127.0.0.1:0", func(c *tls.Config) { c.MaxVersion = version }, "127.0.0.1")
		u := newUpstream(t, service.URL, func(cfg *upstream.Config) { cfg.TLS.CA = ours.file })
		wantWords(t, "the first connection", ask(u, "/close"), "false")
		wantWords(t, "the second one", ask(u, "/close"), "true")
	}
}

// TestEveryAddressOfANameMustHaveItsCertificate has a name with two addresses, one of which is somebody else.
func TestEveryAddressOfANameMustHaveItsCertificate(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	good := ours.secure("127.0.0.1:0", plainly, "recipes.example")
	_, port, _ := net.SplitHostPort(good.Listener.Addr().String())
	stranger := ours.secure("127.0.0.2:"+port, plainly, "127.0.0.2", "other.example")
	var n names
	n.set(nil, "127.0.0.1", "127.0.0.2")
	var said lines
	cfg := upstream.DefaultConfig()
	cfg.Targets = []upstream.Target{{URL: "https://recipes.example:" + port, Weight: 1}}
	cfg.TLS.CA, cfg.Balance, cfg.Outlier.ConsecutiveFailures = ours.file, "round_robin", 1<<20
	cfg.Health.Path, cfg.Health.Interval = "/healthz", time.Millisecond
	u, err := upstream.NewWithEnv(upstream.Env{Lookup: n.lookup, Log: said.logger()}, "recipes", cfg, upstream.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	for range 10 {
		wantWords(t, "a request", ask(u, "/"), `"recipes.example" http/1.1`)
	}
	eventually(t, "health checks see it too", func() bool {
		return len(said.with("address unhealthy", "address=127.0.0.2", "x509", "recipes.example")) == 1
	})
	if got := said.with("address unhealthy", netip.MustParseAddr("127.0.0.1").String()+":"); len(got) > 0 {
		t.Errorf("the good one is unhealthy: %s", got)
	}
	if stranger.conns.Load() == 0 {
		t.Error("nobody asked the stranger")
	}
}

func TestAChangedAuthorityCountsFromTheNextRequest(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	service := ours.secure("127.0.0.1:0", plainly, "127.0.0.1")
	cfg := upstream.DefaultConfig()
	cfg.Targets, cfg.TLS.CA = []upstream.Target{{URL: service.URL, Weight: 1}}, filepath.Join(t.TempDir(), "ca.pem")
	put := func(from string) {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(cfg.TLS.CA, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(ours.file)
	u, err := upstream.New("recipes", cfg, upstream.NewMetrics(prometheus.NewRegistry()), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	wantWords(t, "at first", ask(u, "/"), "http/1.1")
	if err := u.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	wantWords(t, "with the same files", ask(u, "/"), "http/1.1")
	if got := service.conns.Load(); got != 1 {
		t.Errorf("%d connections, want the first one kept", got)
	}
	put(others.file)
	if err := u.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	wantWords(t, "with an authority that did not sign", ask(u, "/"), "upstream connect", "x509")
	if err := os.WriteFile(cfg.TLS.CA, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := u.Reconfigure(cfg); err == nil || !strings.Contains(err.Error(), "upstreams.recipes.tls.ca: ") {
		t.Errorf("with rubbish: %v, want its place", err)
	}
	put(ours.file)
	if err := u.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	wantWords(t, "back again", ask(u, "/"), "http/1.1")
}

func TestATargetThatTurnsToHTTPSKeepsItsSeries(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	_ = r.answers("GET", 3)
	r.reconfigure(func(c *upstream.Config) {
		c.Timeouts.Connect = 500 * time.Millisecond
		c.Targets[0].URL = "https" + c.Targets[0].URL[len("http"):]
	})
	eventually(t, "requests over TLS, which the service does not speak, are counted", func() bool { // a busy machine may be at fault for some
		_ = r.answers("GET", 1)
		return r.metric("requests_total", "connect", r.services[0].Addr) == 2
	})
}

func TestFaultsOfTLSAreNamedWithTheirPlace(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	cert, _ := ours.issue("wxgate")
	_, key := ours.issue("wxgate")
	rubbish := filepath.Join(t.TempDir(), "rubbish")
	if err := os.WriteFile(rubbish, []byte("-----BEGIN SECRET-----"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]http1.TLS{
		"upstreams.recipes.tls: cert and key belong together":                                       {Cert: cert},
		`upstreams.recipes.tls.server_name: "a:443" is not a name such as recipes.example.com`:      {ServerName: "a:443"},
		`upstreams.recipes.tls.spki[1]: "sha256//x" is not the base64 of a SHA-256`:                 {SPKI: []string{noPin, "sha256//x"}},
		"upstreams.recipes.tls.ca: open /nowhere/ca.pem: no such file or directory":                 {CA: "/nowhere/ca.pem"},
		"upstreams.recipes.tls.ca: " + rubbish + " holds no certificate in PEM":                     {CA: rubbish},
		"upstreams.recipes.tls.cert: " + cert + " and " + key + ": tls: private key does not match": {Cert: cert, Key: key},
	} {
		cfg := upstream.DefaultConfig()
		cfg.Targets, cfg.TLS = []upstream.Target{{URL: "https://x", Weight: 1}}, c
		_, err := upstream.New("recipes", cfg, upstream.NewMetrics(prometheus.NewRegistry()), nil)
		wantWords(t, want, fmt.Sprint(err), want)
	}
	cfg := upstream.DefaultConfig()
	cfg.Targets, cfg.TLS.ServerName = []upstream.Target{{URL: "http://x", Weight: 1}}, "::1"
	wantWords(t, "without https", fmt.Sprint(cfg.Validate()), "[tls: has no effect: no target is https://]")
}
