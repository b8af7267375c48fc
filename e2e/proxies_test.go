package e2e

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" // RFC 6455 §1.3
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxgate/bench/contestants"
)

// TestTheProxiesOfTheManual runs the configurations of docs/tls.md for nginx and Caddy in front of a gateway, with a
// certificate of its own: who the client is, events, uploads, WebSockets. `make long WHAT=proxies` wants both programs.
func TestTheProxiesOfTheManual(t *testing.T) {
	if os.Getenv("WXGATE_PROXIES") == "" {
		t.Skip("NOT TESTED, the proxies of the manual: make long WHAT=proxies needs nginx and caddy")
	}
	for name, start := range map[string]func(*proxied, string) *exec.Cmd{"nginx": (*proxied).nginx, "caddyfile": (*proxied).caddy} {
		t.Run(name, func(t *testing.T) {
			p := newProxied(t)
			p.start(start(p, example(t, "../docs/tls.md", name)))
			p.isTheClientsAddress()
			p.passesAnUpload()
			p.passesEvents()
			p.passesAWebSocket()
		})
	}
}

// example is the first block of a page in that language.
func example(t *testing.T, page, language string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$").FindSubmatch(text)
	if block == nil {
		t.Fatalf("%s has no %s block", page, language)
	}
	return string(block[1])
}

// proxied is a gateway with a proxy in front that has a certificate.
type proxied struct {
	*world
	address   string // of the proxy
	cert, key string
	tls       *tls.Config
}

func newProxied(t *testing.T) *proxied {
	t.Helper()
	p := &proxied{world: newWorld(t), address: "127.0.0.1:" + freePort(t)}
	p.certify()
	p.service.Config.Handler = http.HandlerFunc(serviceBehindAProxy)
	p.rewrite(`admin: "127.0.0.1:0"`, `admin: "127.0.0.1:0", trusted_proxies: [127.0.0.1]`)
	p.rewrite("routes:\n", "routes:\n  - { path: /open/**, upstream: recipes, auth: none }\n")
	p.serve()
	return p
}

// twoFreePorts are two different ones.
func twoFreePorts(t *testing.T) (one, other string) {
	t.Helper()
	one = freePort(t)
	for other = freePort(t); other == one; other = freePort(t) {
	}
	return one, other
}

// freePort is a port that nobody has at the moment, and that no connection and no port 0 is given.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := contestants.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}

// certify makes a certificate for api.example.com.
func (p *proxied) certify() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "api.example.com"}, DNSNames: []string{"api.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		p.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.cert, p.key = filepath.Join(p.dir, "cert.pem"), filepath.Join(p.dir, "key.pem")
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p.write(p.cert, string(chain))
	p.write(p.key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(chain)
	p.tls = &tls.Config{RootCAs: roots, ServerName: "api.example.com", MinVersion: tls.VersionTLS12}
}

func (p *proxied) write(file, text string) {
	p.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// replace exchanges texts of an example, each of which it must have.
func (p *proxied) replace(text string, pairs ...string) string {
	p.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			p.t.Fatalf("the example has no %q:\n%s", pairs[i], text)
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

func (p *proxied) nginx(text string) *exec.Cmd {
	gateway := strings.TrimPrefix(p.url, "http://")
	text = p.replace(text, "listen 443 ssl", "listen "+p.address+" ssl", "127.0.0.1:8080", gateway,
		"/etc/nginx/api.example.com.pem", p.cert, "/etc/nginx/api.example.com.key", p.key)
	file := filepath.Join(p.dir, "nginx.conf")
	p.write(file, fmt.Sprintf("daemon off; user root; pid %[1]s/nginx.pid; error_log stderr;\nevents {}\nhttp {\naccess_log off; client_body_temp_path %[1]s/body; "+
		"proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\n%[2]s}\n", p.dir, text))
	return exec.Command("nginx", "-c", file, "-p", p.dir)
}

func (p *proxied) caddy(text string) *exec.Cmd {
	_, port, _ := net.SplitHostPort(p.address)
	text = p.replace(text, "api.example.com {", "https://api.example.com:"+port+" {\n\tbind 127.0.0.1", "127.0.0.1:8080", strings.TrimPrefix(p.url, "http://"),
		"# tls /etc/caddy/api.example.com.pem /etc/caddy/api.example.com.key", "tls "+p.cert+" "+p.key)
	file := filepath.Join(p.dir, "Caddyfile")
	p.write(file, "{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system "+p.dir+"/caddy\n}\n"+text)
	cmd := exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", file)
	cmd.Env = append(os.Environ(), "HOME="+p.dir)
	return cmd
}

// start runs the proxy until the end of the test, and waits until it answers.
func (p *proxied) start(cmd *exec.Cmd) {
	said := new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // nginx ends its workers
		defer time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
		_ = cmd.Wait()
		if p.t.Failed() {
			p.t.Logf("the proxy says:\n%s\nthe gateway:\n%s", said, p.output)
		}
	})
	p.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: p.tls,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { // clients are not where the proxy is
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}).DialContext(ctx, "tcp", p.address)
		},
	}}
	p.url = "https://api.example.com"
	eventually(p.t, 60*time.Second, func() bool {
		got, err := p.try("GET", "/healthz", "", "")
		return err == nil && got.status == http.StatusOK
	})
}

// serviceBehindAProxy says what it was sent.
func serviceBehindAProxy(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/open/events":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: one\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // whoever waits for the end waits for ever
	case "/open/socket":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 §1.3
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n\x81\x05hello",
			base64.StdEncoding.EncodeToString(sum[:]))
		_, _ = io.Copy(io.Discard, conn)
	default:
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "for %s proto %s host %s body %d", r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host"), n)
	}
}

func (p *proxied) isTheClientsAddress() {
	p.t.Helper()
	got := p.call("GET", "/open/who", "", "", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "http")
	if want := "127.0.0.9, 127.0.0.1 proto https host api.example.com body 0"; !strings.HasSuffix(got.body, want) {
		p.t.Errorf("the service is told %q, want …%q", got.body, want)
	}
	if !strings.Contains(p.output.String(), `"client_ip":"127.0.0.9"`) {
		p.t.Error("the log does not know the client")
	}
}

func (p *proxied) passesAnUpload() {
	p.t.Helper()
	if got := p.call("POST", "/open/upload", "", strings.Repeat("x", 3<<20)); !strings.HasSuffix(got.body, fmt.Sprint(" body ", 3<<20)) {
		p.t.Errorf("an upload of 3 MiB: %d %.100s", got.status, got.body)
	}
}

func (p *proxied) passesEvents() {
	p.t.Helper()
	resp, err := p.client.Get(p.url + "/open/events")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); line != "data: one\n" {
		p.t.Errorf("the first event is %q, %v", line, err)
	}
}

func (p *proxied) passesAWebSocket() {
	p.t.Helper()
	conn, err := tls.Dial("tcp", p.address, p.tls)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, "GET /open/socket HTTP/1.1\r\nHost: api.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		p.t.Fatalf("the handshake: %v %v", resp, err)
	}
	frame := make([]byte, 7)
	if _, err := io.ReadFull(reader, frame); err != nil || string(frame[2:]) != "hello" {
		p.t.Errorf("the first frame is %q, %v", frame, err)
	}
}
