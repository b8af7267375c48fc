package demo

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatIsEmbeddedWasBuiltFromTheSourcesBesideIt needs no Node: the build wrote down the sum of every file it read.
func TestWhatIsEmbeddedWasBuiltFromTheSourcesBesideIt(t *testing.T) {
	t.Parallel()
	sums, err := built.ReadFile("built/SOURCES")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(sums))
	read := 0
	for ; lines.Scan(); read++ {
		want, name, _ := strings.Cut(lines.Text(), "  ")
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Errorf("%v: run `npm run build` in miniprogram/", err)
			continue
		}
		if got := sha256.Sum256(text); hex.EncodeToString(got[:]) != want {
			t.Errorf("%s has changed since demo/built was built: run `npm run build` in miniprogram/", name)
		}
	}
	if read < 30 {
		t.Errorf("got %d sources, want all of the mini-program", read)
	}
}

// stub answers with what it was asked.
func stub(t *testing.T, name string) *url.URL {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, name+" "+r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Authorization"))
	}))
	t.Cleanup(server.Close)
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestThePageTheGatewayAndTheSandboxAreBehindOneAddress(t *testing.T) {
	t.Parallel()
	handler := New(stub(t, "gateway"), stub(t, "sandbox"))
	for _, c := range []struct{ method, target, want string }{
		{"GET", "http://127.0.0.1:1/", "<!doctype html>"},
		{"GET", "http://localhost:1/phone.js", "const phone = "},
		{"POST", "http://[::1]:1/gateway/api/v1/x?a=1", "gateway POST /api/v1/x?a=1 Bearer t"},
		{"POST", "http://127.0.0.1:1/sandbox/code", "sandbox POST /sandbox/code Bearer t"},
		{"POST", "http://127.0.0.1:1/sandbox/virtual-pay", "sandbox POST /sandbox/virtual-pay Bearer t"},
		{"GET", "http://rebound.example/", "127.0.0.1 and localhost only"},
		{"POST", "http://rebound.example/sandbox/code", "127.0.0.1 and localhost only"},
	} {
		request := httptest.NewRequestWithContext(t.Context(), c.method, c.target, nil)
		request.Header.Set("Authorization", "Bearer t")
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		if got := recorder.Body.String(); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: got %.80q, want %q in it", c.method, c.target, got, c.want)
		}
	}
}
