package upstream_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/valyala/fasthttp"

	"wxgate/upstream"
)

// trustTestCertificate makes the certificate of httptest's servers a root of this process. The roots are read once, so
// it must come before the first handshake.
func trustTestCertificate(dir string) error {
	service := httptest.NewTLSServer(nil)
	defer service.Close()
	file := filepath.Join(dir, "root.pem")
	block := pem.Block{Type: "CERTIFICATE", Bytes: service.Certificate().Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(&block), 0o600); err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", file)
}

func countBody(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	fmt.Fprint(w, n)
}

// newTLSService is a service on 127.0.0.1 whose certificate is good for that address, ::1 and example.com.
func newTLSService(t *testing.T) *httptest.Server {
	service := httptest.NewUnstartedServer(http.HandlerFunc(countBody))
	service.Config.ErrorLog = log.New(io.Discard, "", 0)
	service.StartTLS()
	t.Cleanup(service.Close)
	return service
}

func TestHTTPSCarriesUploadsOnAKeptConnection(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, newTLSService(t).URL)
	t.Cleanup(u.Close)
	for _, size := range []int{0, 100, 300000, -1, -1} {
		req := newRequest("POST", "/")
		req.SetBodyStream(content(max(size, size*-200000)), size)
		var resp fasthttp.Response
		ex, err := u.Do(req, &resp, soon())
		if want := fmt.Sprint(max(size, size*-200000)); err != nil || string(resp.Body()) != want || ex.Attempts != 1 {
			t.Fatalf("the answer is %q, %v, want that %s bytes arrived", resp.Body(), err, want)
		}
	}
}

func TestACertificateForAnotherNameIsAConnectError(t *testing.T) {
	t.Parallel()
	service := newTLSService(t)
	u := newUpstream(t, "https://localhost:"+service.URL[len("https://127.0.0.1:"):])
	_, err := u.Do(newRequest("GET", "/"), new(fasthttp.Response), soon())
	wantError(t, err, upstream.ErrConnect)
}

func TestPlainHTTPAtAnHTTPSPortIsInvalidOrLost(t *testing.T) {
	t.Parallel()
	service := newTLSService(t)
	var resp fasthttp.Response
	_, err := newUpstream(t, "http"+service.URL[len("https"):]).Do(newRequest("GET", "/"), &resp, soon())
	if err == nil && resp.StatusCode() != 400 { // Go's server answers in plain text
		t.Errorf("the answer is %d, %v, want 400 or an error", resp.StatusCode(), err)
	}
}
