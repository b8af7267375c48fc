package upstreamtest

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package and exits. It trusts the certificate of httptest's servers, and fails when a
// goroutine outlives the tests that began it.
func Main(m *testing.M) {
	dir, err := os.MkdirTemp("", "upstream")
	if err == nil {
		err = trustCertificate(dir)
	}
	if err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { _ = os.RemoveAll(dir); os.Exit(code) }))
}

// trustCertificate makes the certificate of httptest's servers a root of this process. The roots are read once, so it
// must come before the first handshake.
func trustCertificate(dir string) error {
	service := httptest.NewTLSServer(nil)
	defer service.Close()
	file := filepath.Join(dir, "root.pem")
	block := pem.Block{Type: "CERTIFICATE", Bytes: service.Certificate().Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(&block), 0o600); err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", file)
}
