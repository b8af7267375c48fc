package e2e

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestARequestInFlightIsFinishedWhenTheGatewayIsToldToStop also checks that readiness goes false meanwhile.
func TestARequestInFlightIsFinishedWhenTheGatewayIsToldToStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, finish := make(chan struct{}), make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-finish
		_, _ = rw.Write([]byte("finished"))
	})}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	w.writeConfig("  - { path: /slow, upstream: recipes, auth: none }\nlog: { access: false }\n")
	w.service.Config.Handler = server.Handler
	w.serve()
	got := make(chan answer, 1)
	go func() {
		a, _ := w.try("GET", "/slow", "", "")
		got <- a
	}()
	<-arrived
	stopped := make(chan int, 1)
	go func() { stopped <- w.stop(t) }()
	eventually(t, 60*time.Second, func() bool { return strings.Contains(w.output.String(), "draining") })
	eventually(t, 60*time.Second, func() bool {
		resp, err := w.client.Get(w.admin + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	close(finish)
	if a := <-got; a.status != http.StatusOK || a.body != "finished" || !a.closes {
		t.Errorf("the request in flight got %d %q, close: %t, want 200 finished and close", a.status, a.body, a.closes)
	}
	if code := <-stopped; code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
}

// TestAStrangerOnTheSocketEndsNothing sends bytes that are no HTTP.
func TestAStrangerOnTheSocketEndsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	for _, junk := range []string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "BREW /pot HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "\r\n\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = conn.Write([]byte(junk))
		status, _ := bufio.NewReader(conn).ReadString('\n')
		if status != "" && !strings.HasPrefix(status, "HTTP/1.1 4") && !strings.HasPrefix(status, "HTTP/1.1 505") {
			t.Errorf("%q: answered %q, want a refusal", junk, status)
		}
		_ = conn.Close()
	}
	w.want("afterwards", w.call("GET", "/healthz", "", ""), http.StatusOK, "")
}
