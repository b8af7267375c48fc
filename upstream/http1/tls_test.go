package http1_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"wxgate/message"
	"wxgate/upstream/http1"
)

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
	u := newClient(t, newTLSService(t).URL)
	t.Cleanup(u.Close)
	for _, size := range []int{0, 100, 300000, -1, -1} {
		req := newRequest("POST", "/")
		setBody(req, content(max(size, size*-200000)), size)
		var resp message.Response
		ex, err := u.Do(req, &resp, soon())
		if want := fmt.Sprint(max(size, size*-200000)); err != nil || string(resp.Body) != want || ex.Attempts != 1 {
			t.Fatalf("the answer is %q, %v, want that %s bytes arrived", resp.Body, err, want)
		}
	}
}

func TestACertificateForAnotherNameIsAConnectError(t *testing.T) {
	t.Parallel()
	service := newTLSService(t)
	u := newClient(t, "https://localhost:"+service.URL[len("https://127.0.0.1:"):])
	_, err := u.Do(newRequest("GET", "/"), new(message.Response), soon())
	wantError(t, err, http1.ErrConnect)
}

func TestPlainHTTPAtAnHTTPSPortIsInvalidOrLost(t *testing.T) {
	t.Parallel()
	service := newTLSService(t)
	var resp message.Response
	_, err := newClient(t, "http"+service.URL[len("https"):]).Do(newRequest("GET", "/"), &resp, soon())
	if err == nil && resp.Status != 400 { // Go's server answers in plain text
		t.Errorf("the answer is %d, %v, want 400 or an error", resp.Status, err)
	}
}
