package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/gateway/certificate/certificatetest"
)

// buildPebble builds the programs of scripts/pebble, once, beside the binary under test.
var buildPebble = sync.OnceValues(func() (dir string, err error) {
	dir = filepath.Join(filepath.Dir(binary), "pebble")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir, "tool")
	build.Dir = filepath.Join("..", "scripts", "pebble")
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building pebble: %w\n%s", err, said)
	}
	return dir, nil
})

// pebble is Let's Encrypt's own authority for tests, with a name server that knows every name by 127.0.0.1.
type pebble struct {
	t         *testing.T
	directory string // URL
	admin     string // URL
	file      string // PEM of the root of its own HTTPS
	output    *lockedBuffer
}

// pebbleSection is what it is started with.
type pebbleSection struct {
	ListenAddress                  string                   `json:"listenAddress"`
	ManagementListenAddress        string                   `json:"managementListenAddress"`
	Certificate                    string                   `json:"certificate"`
	PrivateKey                     string                   `json:"privateKey"`
	HTTPPort                       int                      `json:"httpPort"`
	TLSPort                        int                      `json:"tlsPort"`
	KeyAlgorithm                   string                   `json:"keyAlgorithm"`
	DomainBlocklist                []string                 `json:"domainBlocklist"`
	ExternalAccountBindingRequired bool                     `json:"externalAccountBindingRequired"`
	ExternalAccountMACKeys         map[string]string        `json:"externalAccountMACKeys"`
	Profiles                       map[string]pebbleProfile `json:"profiles"`
	RetryAfter                     map[string]int           `json:"retryAfter"`
}

type pebbleProfile struct {
	Description    string `json:"description"`
	ValidityPeriod int    `json:"validityPeriod"` // seconds
}

const (
	bindingID  = "kid-1"
	bindingKey = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
)

// startPebble starts an authority that finds domains at these ports. change may be nil.
func startPebble(t *testing.T, httpPort, tlsPort string, change func(*pebbleSection)) *pebble {
	t.Helper()
	programs, err := buildPebble()
	if err != nil {
		t.Fatal(err)
	}
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &pebble{t: t, file: filepath.Join(dir, "root.pem"), output: new(lockedBuffer)}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := authority.IssueTo(cert, key, certificatetest.Leaf{Names: []string{"127.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.file, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	section := pebbleSection{
		ListenAddress: "127.0.0.1:" + freePort(t), ManagementListenAddress: "127.0.0.1:" + freePort(t), Certificate: cert, PrivateKey: key,
		HTTPPort: atoi(t, httpPort), TLSPort: atoi(t, tlsPort), KeyAlgorithm: "ecdsa", DomainBlocklist: []string{"refused.test"},
		Profiles:   map[string]pebbleProfile{"default": {"three months", 90 * 24 * 3600}},
		RetryAfter: map[string]int{"authz": 1, "order": 1},
	}
	if change != nil {
		change(&section)
	}
	text, err := json.Marshal(map[string]any{"pebble": section})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	names := "127.0.0.1:" + freePort(t)
	p.run(exec.Command(filepath.Join(programs, "pebble-challtestsrv"), "-dnsserver", names, "-defaultIPv6", "", "-doh", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", "127.0.0.1:"+freePort(t)))
	p.run(exec.Command(filepath.Join(programs, "pebble"), "-config", config, "-dnsserver", names))
	p.directory, p.admin = "https://"+section.ListenAddress+"/dir", "https://"+section.ManagementListenAddress
	eventually(t, 60*time.Second, func() bool { _, err := p.get(p.directory); return err == nil })
	eventually(t, 60*time.Second, func() bool { _, err := p.get(p.admin + "/roots/0"); return err == nil })
	return p
}

func atoi(t *testing.T, text string) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// run starts a program that ends with the test.
func (p *pebble) run(cmd *exec.Cmd) {
	p.t.Helper()
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_CHAIN_LENGTH=2")
	cmd.Stdout, cmd.Stderr = p.output, p.output
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// httpsClient trusts its own HTTPS.
func (p *pebble) httpsClient() (*http.Client, error) {
	root, err := os.ReadFile(p.file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(root)
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}, nil
}

// get reads from its own HTTPS.
func (p *pebble) get(url string) ([]byte, error) {
	client, err := p.httpsClient()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// issued is how many certificates there are.
func (p *pebble) issued() int { return strings.Count(p.output.String(), "Issued certificate serial") }

// orders is how many were asked for.
func (p *pebble) orders() int { return strings.Count(p.output.String(), "Added order") }

// pool has the root that its certificates end in.
func (p *pebble) pool() *x509.CertPool {
	p.t.Helper()
	root, err := p.get(p.admin + "/roots/0")
	if err != nil {
		p.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		p.t.Fatalf("no root: %s", root)
	}
	return pool
}

// managedWorld is a world whose certificates an authority issues.
type managedWorld struct {
	*world
	*pebble
	cache         string
	secure, plain string // ports
	acme          string // of server.tls
	hasPlain      bool
}

// newManagedWorld is for api.test. Without plain there is no server.http.
func newManagedWorld(t *testing.T, plain bool, change func(*pebbleSection)) *managedWorld {
	t.Helper()
	m := &managedWorld{world: newWorld(t), hasPlain: plain}
	m.secure, m.plain = twoFreePorts(t)
	m.pebble = startPebble(t, m.plain, m.secure, change)
	m.cache = filepath.Join(m.dir, "acme")
	m.acme = fmt.Sprintf("acme: { domains: [api.test], email: ops@api.test, directory: %q, cache: %q }", m.directory, m.cache)
	m.rewrite(`server: { listen: "127.0.0.1:0", admin: "127.0.0.1:0"`, m.server(m.secure, m.plain))
	return m
}

// server begins the section of a gateway at these ports.
func (m *managedWorld) server(secure, plain string) string {
	at := fmt.Sprintf(`server: { listen: "127.0.0.1:%s", admin: "127.0.0.1:0", tls: { %s }`, secure, m.acme)
	if m.hasPlain {
		at += fmt.Sprintf(`, http: "127.0.0.1:%s"`, plain)
	}
	return at
}

// serveManaged starts a gateway that trusts pebble.
func (w *world) serveManaged(trusted string) {
	w.t.Helper()
	cmd := exec.Command(binary, "serve", "-c", w.config)
	cmd.Env = []string{"SSL_CERT_FILE=" + trusted}
	p := startCommand(w.t, cmd)
	w.process = p
	w.t.Cleanup(func() { w.leaksNothing(p) })
	p.waitServing(w.t)
}

// awaitCertificate waits until a handshake for a name succeeds, and returns the certificate.
func (m *managedWorld) awaitCertificate(address, name string, pool *x509.CertPool) (leaf *x509.Certificate) {
	m.world.t.Helper()
	eventually(m.world.t, 180*time.Second, func() bool {
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: name})
		if err != nil {
			return false
		}
		defer conn.Close()
		leaf = conn.ConnectionState().PeerCertificates[0]
		return true
	})
	return leaf
}

// overTLS lets requests go to api.test.
func (m *managedWorld) overTLS(pool *x509.CertPool) {
	m.client.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "api.test"}, MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "api.test:443" {
				address = "127.0.0.1:" + m.secure
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	m.url = "https://api.test"
}

// TestAFirstCertificate comes within ten seconds of the start by either challenge, with an external account too, is there again after a restart
// without asking, and after a hand-over. Until it is there, the listener serves and readiness says what is missing.
func TestAFirstCertificate(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"HTTP-01": true, "TLS-ALPN-01": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newManagedWorld(t, plain, func(s *pebbleSection) {
				s.ExternalAccountBindingRequired, s.ExternalAccountMACKeys = true, map[string]string{bindingID: bindingKey}
				if plain {
					s.TLSPort = 1 // nobody listens there
				}
			})
			m.rewrite("email: ops@api.test", fmt.Sprintf("email: ops@api.test, eab: { kid: %s, key: %q }", bindingID, bindingKey))
			if said, code := m.command("check", "-c", m.config); code != 0 {
				t.Errorf("check: %d\n%s", code, said)
			}
			if said, _ := m.command("doctor", "-c", m.config); !strings.Contains(said, "FAIL  ACME") || strings.Contains(said, "the authority answers") {
				t.Errorf("the doctor of a machine that does not know the root of the authority:\n%s", said)
			}
			begun := time.Now()
			m.serveManaged(m.file)
			pool := m.pool()
			leaf := m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool)
			took := time.Since(begun)
			t.Logf("%s: a certificate %v after the start", name, took)
			if took > 10*time.Second {
				t.Errorf("it took %v, want 10 s at most", took)
			}
			if want := "Attempting to validate w/ HTTP"; strings.Contains(m.pebble.output.String(), want) != plain {
				t.Errorf("the authority asked over HTTP: %v, want %v", !plain, plain)
			}
			m.overTLS(pool)
			token := m.login("alice")
			m.want("over TLS", m.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
			if _, text := m.readyz(); text != "ok" {
				t.Errorf("readyz: %s", text)
			}
			if got := m.gauge(`wxgate_tls_certificate_expiry_timestamp_seconds{cert="acme",name="api.test"}`); got != fmt.Sprintf("%v", float64(leaf.NotAfter.Unix())) {
				t.Errorf("the gauge says %s, want %d", got, leaf.NotAfter.Unix())
			}
			m.challengesOfStrangers(plain)
			before := m.orders()
			m.restart()
			m.want("after a hand-over", m.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
			m.stop(t)
			m.serveManaged(m.file)
			if again := m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool); !again.Equal(leaf) {
				t.Error("after a restart there is another certificate")
			}
			if now := m.orders(); now != before {
				t.Errorf("%d orders after a restart, want %d", now, before)
			}
			if said := m.world.output.String(); strings.Contains(said, bindingKey) {
				t.Error("the log has the key of the account")
			}
			m.permissions()
		})
	}
}

// permissions looks at the files of the cache.
func (m *managedWorld) permissions() {
	err := filepath.WalkDir(m.cache, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			m.world.t.Errorf("%s is %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		m.world.t.Error(err)
	}
}

// challengesOfStrangers asks for challenges that there are not.
func (m *managedWorld) challengesOfStrangers(plain bool) {
	t := m.world.t
	t.Helper()
	for _, name := range []string{"api.test", "other.test"} {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+m.secure, &tls.Config{InsecureSkipVerify: true, ServerName: name, NextProtos: []string{"acme-tls/1"}})
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s: a handshake of a challenge that there is not", name)
		}
	}
	if !plain {
		return
	}
	client := &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+m.plain+"/.well-known/acme-challenge/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "api.test"
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusPermanentRedirect {
		t.Errorf("a challenge that there is not: %d, want 308", resp.StatusCode)
	}
}

// TestACertificateIsRenewedUnderLoad lets an authority whose certificates live for half a minute issue them again and again while
// requests go on, each with a handshake of its own.
func TestACertificateIsRenewedUnderLoad(t *testing.T) {
	t.Parallel()
	m := newManagedWorld(t, false, func(s *pebbleSection) {
		s.Profiles = map[string]pebbleProfile{"default": {"half a minute", 30}}
	})
	m.serveManaged(m.file)
	pool := m.pool()
	first := m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool)
	m.overTLS(pool)
	token := m.login("alice")
	transport, _ := m.client.Transport.(*http.Transport)
	transport.DisableKeepAlives = true
	var failed, sent atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); clients.Wait() })
	defer end()
	defer func() {
		if t.Failed() {
			t.Logf("%s\n%s", m.world.output, m.pebble.output)
		}
	}()
	for range 2 {
		clients.Go(func() { // each request has a handshake of its own
			pace := time.NewTicker(20 * time.Millisecond)
			defer pace.Stop()
			for {
				select {
				case <-stop:
					return
				case <-pace.C:
				}
				sent.Add(1)
				if got, err := m.try("GET", "/api/v1/recipes", token, ""); err != nil || got.status != http.StatusOK {
					failed.Add(1)
					t.Logf("a request failed: %d %v", got.status, err)
				}
			}
		})
	}
	serials := map[string]bool{first.SerialNumber.String(): true}
	eventually(t, 60*time.Second, func() bool {
		serials[m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool).SerialNumber.String()] = true
		return len(serials) >= 3
	})
	end()
	t.Logf("%d certificates were issued, %d requests, %d failed", m.issued(), sent.Load(), failed.Load())
	if failed.Load() != 0 || sent.Load() < 100 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
}

// TestAnAuthorityThatRefusesIsNamed reloads to a domain more, which the authority refuses: one line names it with the reason, what is
// served stays, and the authority is not asked at once again.
func TestAnAuthorityThatRefusesIsNamed(t *testing.T) {
	t.Parallel()
	m := newManagedWorld(t, true, nil)
	m.serveManaged(m.file)
	pool := m.pool()
	leaf := m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool)
	m.rewrite("domains: [api.test]", "domains: [api.test, refused.test]")
	const line = `"msg":"no certificate was issued, it will be asked for again"`
	m.waitSays(line, 1)
	said := m.world.output.String()
	_, said, _ = strings.Cut(said, line)
	said, _, _ = strings.Cut(said, "\n")
	for _, want := range []string{`"domain":"refused.test"`, "rejectedIdentifier"} {
		if !strings.Contains(said, want) {
			t.Errorf("the log lacks %s: %s", want, said)
		}
	}
	if _, text := m.readyz(); !strings.Contains(text, "TLS is refused for refused.test: there is no certificate yet") {
		t.Errorf("readyz: %s", text)
	}
	if got := m.gauge(`wxgate_tls_certificate_expiry_timestamp_seconds{cert="acme",name="refused.test"}`); got != "0" {
		t.Errorf("the gauge of what was not issued says %q, want 0", got)
	}
	if again := m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool); !again.Equal(leaf) {
		t.Error("another certificate of api.test is served")
	}
	if conn, err := tls.Dial("tcp", "127.0.0.1:"+m.secure, &tls.Config{InsecureSkipVerify: true, ServerName: "refused.test"}); err == nil {
		_ = conn.Close()
		t.Error("a handshake for refused.test succeeds")
	}
	m.rewrite("domains: [api.test, refused.test]", "domains: [api.test, more.test]")
	m.awaitCertificate("127.0.0.1:"+m.secure, "more.test", pool)
	if n := m.says(line); n != 1 {
		t.Errorf("%d lines about the refusal, want 1:\n%s", n, m.world.output)
	}
	if n := m.says(`"level":"ERROR"`); n != 1 {
		t.Errorf("%d errors in the log, want the refusal alone:\n%s", n, m.world.output)
	}
	if m.issued() != 2 {
		t.Errorf("%d certificates were issued, want 2", m.issued())
	}
}

// TestADomainMovesFromAFileToACME without a gap, also when the authority refuses it.
func TestADomainMovesFromAFileToACME(t *testing.T) {
	t.Parallel()
	m := newManagedWorld(t, true, nil)
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(m.dir, "fullchain.pem"), filepath.Join(m.dir, "privkey.pem")
	if err := authority.IssueTo(cert, key, certificatetest.Leaf{Names: []string{"api.test", "refused.test"}}); err != nil {
		t.Fatal(err)
	}
	m.rewrite("acme: {", fmt.Sprintf("cert: %q, key: %q, acme: {", cert, key))
	m.rewrite("domains: [api.test]", "domains: [api.test, refused.test]")
	m.serveManaged(m.file)
	m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", m.pool())
	m.waitSays(`"msg":"no certificate was issued, it will be asked for again"`, 1)
	conn, err := tls.Dial("tcp", "127.0.0.1:"+m.secure, &tls.Config{RootCAs: authority.Pool(), ServerName: "refused.test"})
	if err != nil {
		t.Fatalf("the certificate in the file is not served: %v", err)
	}
	_ = conn.Close()
	if _, text := m.readyz(); text != "ok" {
		t.Errorf("readyz: %s", text)
	}
}

// TestACertificateThatDoesNotFitItsKeyIsReplaced starts on a cache that a crash has torn: a key was written, its certificate was not.
func TestACertificateThatDoesNotFitItsKeyIsReplaced(t *testing.T) {
	t.Parallel()
	m := newManagedWorld(t, true, nil)
	m.serveManaged(m.file)
	pool := m.pool()
	leaf := m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool)
	m.stop(t)
	stored := m.cached("key")
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := authority.Issue(certificatetest.Leaf{Names: []string{"api.test"}})
	if err == nil {
		err = os.WriteFile(stored, other, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.serveManaged(m.file)
	if again := m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool); again.Equal(leaf) {
		t.Error("the certificate is served without its key")
	}
	m.waitSays("does not fit its key: asking for another", 1)
}

// beside is another gateway on the same database, which the authority does not reach.
func (m *managedWorld) beside(name string) *managedWorld {
	m.world.t.Helper()
	other, w := *m, *m.world
	other.world = &w
	other.secure, other.plain = twoFreePorts(w.t)
	w.config = filepath.Join(w.dir, name+".yaml")
	text, err := os.ReadFile(m.config)
	if err == nil {
		err = os.WriteFile(w.config, []byte(strings.Replace(string(text), m.server(m.secure, m.plain), m.server(other.secure, other.plain), 1)), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return &other
}

// TestAnotherGatewayAsksWhenTheOneThatAskedIsKilled: what it had locked is free after a minute, and then one of the others asks.
func TestAnotherGatewayAsksWhenTheOneThatAskedIsKilled(t *testing.T) {
	t.Parallel()
	m := newManagedWorld(t, true, func(s *pebbleSection) { s.RetryAfter = map[string]int{"authz": 10, "order": 1} })
	_, dsn := newDatabase(t)
	m.onDatabase(dsn)
	if stdout, stderr, code := run(t, "", "migrate", "up", "-c", m.config); code != 0 {
		t.Fatal(stdout, stderr)
	}
	first, other := m.beside("first"), m.beside("other")
	first.serveManaged(m.file)
	eventually(t, 60*time.Second, func() bool { return m.orders() == 1 })
	first.kill()
	begun := time.Now()
	m.serveManaged(m.file)
	other.serveManaged(m.file)
	for _, each := range []*managedWorld{m, other} {
		eventually(t, 180*time.Second, func() bool { _, text := each.readyz(); return text == "ok" })
	}
	t.Logf("both have it %v after the kill", time.Since(begun))
	pool := m.pool()
	if !m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool).Equal(m.awaitCertificate("127.0.0.1:"+other.secure, "api.test", pool)) {
		t.Error("they have different certificates")
	}
	if m.issued() != 1 || m.orders() != 2 {
		t.Errorf("%d certificates for %d orders, want one for the second order:\n%s", m.issued(), m.orders(), m.pebble.output)
	}
}

// TestAnAuthoritySaysWhenToRenew (ARI, RFC 9773) long before the end, and is obeyed at the next look.
func TestAnAuthoritySaysWhenToRenew(t *testing.T) {
	t.Parallel()
	m := newManagedWorld(t, true, nil)
	m.serveManaged(m.file)
	pool := m.pool()
	leaf := m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool)
	known := m.cached("json")
	eventually(t, 60*time.Second, func() bool {
		text, err := os.ReadFile(known)
		return err == nil && strings.Contains(string(text), "suggestedWindow")
	})
	m.stop(t)
	m.renewNow(leaf)
	text, err := os.ReadFile(known)
	if err != nil {
		t.Fatal(err)
	}
	due := regexp.MustCompile(`"_retryAfter": "[^"]*"`).ReplaceAll(text, []byte(`"_retryAfter": "2026-01-01T00:00:00Z"`))
	if err := os.WriteFile(known, due, 0o600); err != nil {
		t.Fatal(err)
	}
	m.serveManaged(m.file)
	eventually(t, 60*time.Second, func() bool { return !m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool).Equal(leaf) })
	m.waitSays(`"renewal":true`, 1)
	if m.issued() != 2 || m.says(`"renewal":true`) != 1 {
		t.Errorf("%d certificates, want 2, the second a renewal:\n%s", m.issued(), m.world.output)
	}
}

// cached is the file of the cache about api.test that ends so.
func (m *managedWorld) cached(ext string) string {
	m.world.t.Helper()
	files, err := filepath.Glob(filepath.Join(m.cache, "certificates", "*", "api.test", "api.test."+ext))
	if err != nil || len(files) != 1 {
		m.world.t.Fatalf("files in the cache: %v %v, want one", files, err)
	}
	return files[0]
}

// renewNow lets the authority answer that a certificate should have been renewed.
func (p *pebble) renewNow(leaf *x509.Certificate) {
	p.t.Helper()
	const past = `{"suggestedWindow":{"start":"2026-01-01T00:00:00Z","end":"2026-01-02T00:00:00Z"}}`
	body, err := json.Marshal(map[string]string{"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})), "ariResponse": past})
	if err != nil {
		p.t.Fatal(err)
	}
	client, err := p.httpsClient()
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := client.Post(p.admin+"/set-renewal-info/", "application/json", bytes.NewReader(body))
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("setting when to renew: %v %v", resp, err)
	}
	_ = resp.Body.Close()
}

// TestThreeGatewaysAskForOneCertificate starts them at once on one database. The authority reaches one of them, whichever asked.
func TestThreeGatewaysAskForOneCertificate(t *testing.T) {
	t.Parallel()
	m := newManagedWorld(t, true, nil)
	server, dsn := newDatabase(t)
	m.onDatabase(dsn)
	all := []*managedWorld{m, m.beside("second"), m.beside("third")}
	if stdout, stderr, code := run(t, "", "migrate", "up", "-c", m.config); code != 0 {
		t.Fatal(stdout, stderr)
	}
	begun := time.Now()
	for i := range all { // the one that the authority reaches is the last to start
		all[len(all)-1-i].serveManaged(m.file)
	}
	pool := m.pool()
	leaf := m.awaitCertificate("127.0.0.1:"+m.secure, "api.test", pool)
	t.Logf("the first gateway has it %v after the start", time.Since(begun))
	for _, other := range all[1:] {
		if theirs := m.awaitCertificate("127.0.0.1:"+other.secure, "api.test", pool); !theirs.Equal(leaf) {
			t.Error("a gateway has another certificate")
		}
	}
	t.Logf("all have it %v after the start", time.Since(begun))
	if m.issued() != 1 {
		t.Errorf("%d certificates were issued, want 1:\n%s", m.issued(), m.pebble.output)
	}
	if _, err := os.Stat(m.cache); !os.IsNotExist(err) {
		t.Errorf("there is a folder too: %v", err)
	}
	var plain int
	const search = "SELECT COUNT(*) FROM wxgate.wxgate_secrets WHERE sealed LIKE '%PRIVATE KEY%' OR sealed LIKE '%CERTIFICATE%'"
	if err := server.DB.QueryRowContext(t.Context(), search).Scan(&plain); err != nil || plain != 0 {
		t.Errorf("%d values of the database are not sealed: %v", plain, err)
	}
}
