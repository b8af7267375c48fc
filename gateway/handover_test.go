package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/answer"
	"wxgate/gateway/listen"
	"wxgate/process/handover"
	"wxgate/upstream/upstreamtest"
)

// TestARequestWithAnotherMethodIsHandedOverAsItCame sends what waits for the store while another process takes it over.
func TestARequestWithAnotherMethodIsHandedOverAsItCame(t *testing.T) {
	t.Parallel()
	for override, path := range map[string]string{"PUT": "/api/v1/user/profile", "DELETE": "/api/v1/auth/sessions/x"} {
		gate := handover.NewGate()
		e := newEdgeWith(t, upstreamtest.Echo(t).URL, nil, func(d *Deps) { d.Gate = gate })
		ln, err := listen.Listen("tcp", "127.0.0.1:0", e.ListenConfig())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		go func() { _ = e.Serve(ln) }()
		given := make(chan string, 1)
		if err := gate.Shut(t.Context()); err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, head("POST "+path, e.token(t, "alice"), "X-HTTP-Method-Override: "+override,
			"Content-Type: application/json", "Content-Length: 2")+"{}")
		eventually(t, "the request has come", func() bool { return e.admission.ledger.Clients() > 0 })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_ = e.HandOver(ctx, ln, func(client net.Conn, begun []byte) error {
			given <- string(begun)
			return client.Close()
		})
		cancel()
		_, _ = http.ReadResponse(bufio.NewReader(conn), nil)
		eventually(t, "nothing is in flight", func() bool { return e.count(t, "wxgate_requests_in_flight") == 0 })
		if got := <-given; !strings.HasPrefix(got, "POST "+path+" HTTP/1.1\r\n") {
			t.Errorf("a POST that stands for %s was handed over as %q", override, got)
		}
	}
}

// TestAStopDuringAHandOverAnswersWhoWaitsForTheStore: a listener broke while a successor started, and whoever wanted to log
// in waited until the end of the drain, for nothing.
func TestAStopDuringAHandOverAnswersWhoWaitsForTheStore(t *testing.T) {
	t.Parallel()
	gate := handover.NewGate()
	e := newEdgeWith(t, upstreamtest.Echo(t).URL, nil, func(d *Deps) { d.Gate = gate })
	token := e.token(t, "alice")
	if err := gate.Shut(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn := e.dial(t)
	conn.say(t, head("GET /api/v1/user/profile", token))
	eventually(t, "the request has come", func() bool { return e.admission.ledger.Clients() > 0 })
	stopped := make(chan error, 1)
	go func() { stopped <- e.Shutdown(t.Context()) }()
	if resp, body := conn.answer(t); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"draining"`) {
		t.Errorf("got %d %s, want 503 draining", resp.StatusCode, body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestARequestThatIsTooLargeToGoToTheSuccessorIsToldToComeAgain has a body that is more than a process keeps for another.
func TestARequestThatIsTooLargeToGoToTheSuccessorIsToldToComeAgain(t *testing.T) {
	t.Parallel()
	large := Exchange{route: &routeEntry{bodyLimit: 1 << 20}}
	large.body = limitedBody{stream: bytes.NewReader(make([]byte, endpointBodyLimit+1)), size: endpointBodyLimit + 1, limit: 1 << 20}
	if _, err := originalRequest([]byte("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), &large); !errors.Is(err, answer.ErrDraining) {
		t.Errorf("got %v, want answer.ErrDraining", err)
	}
	e := newEdge(t, "http://127.0.0.1:1", nil)
	if f := e.observer.failures.Lookup(answer.ErrDraining); f.Status != http.StatusServiceUnavailable || f.Reason != "draining" || f.RetryAfter != 1 {
		t.Errorf("got %+v, want 503 draining and Retry-After: 1", f)
	}
}
