package e2e

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// versionPage says which protocol it came by. It comes behind what makes it long enough to be compressed.
const versionPage = `<p id="p"></p><script>p.textContent = "over " + performance.getEntriesByType("navigation")[0].nextHopProtocol</script>`

// TestChromiumSpeaksHTTP2AndHTTP3 opens a page of a service over https, and the demo, whose list comes by the same way.
func TestChromiumSpeaksHTTP2AndHTTP3(t *testing.T) {
	t.Parallel()
	if os.Getenv("WXGATE_BROWSER") == "" {
		t.Skip("make long WHAT=browser")
	}
	w := newSecureWorld(t)
	page := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = rw.Write([]byte(strings.Repeat("<!-- a page -->\n", 100) + versionPage))
	}))
	t.Cleanup(page.Close)
	w.rewrite(`http: "127.0.0.1:0"`, `http3: true, compress: true, http: "127.0.0.1:0"`)
	w.rewrite("routes:\n", "routes:\n  - { path: /page, upstream: page, auth: none }\n  - { path: /, upstream: demo, auth: none }\n  - { path: /**, upstream: demo, auth: none }\n")
	w.rewrite("upstreams:\n", fmt.Sprintf("upstreams:\n  page: { targets: [%q] }\n  demo: { targets: [%q], host: target }\n", page.URL, demoPage(t)))
	w.serveSecurely()
	eventually(t, 60*time.Second, func() bool { return strings.Contains(w.output.String(), "serving HTTP/3") })
	port := w.address()[strings.LastIndexByte(w.address(), ':')+1:]
	for version, flag := range map[string]string{"h2": "--disable-quic", "h3": "--origin-to-force-quic-on=api.test:" + port} {
		for path, want := range map[string]string{"/page": ">over " + version + "<", "/": "红烧肉"} {
			out, err := exec.CommandContext(t.Context(), "timeout", "60", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
				"--virtual-time-budget=8000", "--user-data-dir="+t.TempDir(), "--ignore-certificate-errors-spki-list="+w.fingerprint(),
				"--host-resolver-rules=MAP api.test 127.0.0.1", flag, "https://api.test:"+port+path).Output()
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s of %s: %v\n%s", path, version, err, out)
			}
		}
	}
	if got := w.gauge(`wxgate_compressions_total{result="zstd"}`); got == "0" {
		t.Error("no page was compressed")
	}
}

// demoPage runs the demo, and returns the address of its page.
func demoPage(t *testing.T) (url string) {
	t.Helper()
	p := start(t, []string{"demo", "--listen", "127.0.0.1:0", "--page", "127.0.0.1:0"})
	open := regexp.MustCompile(`Open (http://127\.0\.0\.1:\d+)/? in a browser`)
	eventually(t, 60*time.Second, func() bool {
		return strings.Contains(p.output.String(), "msg=serving") && open.MatchString(p.output.String()) || p.gone()
	})
	found := open.FindStringSubmatch(p.output.String())
	if found == nil {
		t.Fatalf("the demo does not say where its page is:\n%s", p.output)
	}
	return found[1]
}

// fingerprint is that of the key of the certificate, as Chromium wants it.
func (w *secureWorld) fingerprint() string {
	w.t.Helper()
	chain, err := os.ReadFile(w.cert)
	if err != nil {
		w.t.Fatal(err)
	}
	block, _ := pem.Decode(chain)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
