package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/gateway/listen"
	"wxgate/upstream/upstreamtest"
)

func TestAConnectionBeyondTheCapIsTold(t *testing.T) {
	t.Parallel()
	e := newEdgeOf(t, upstreamtest.Echo(t).URL, nil, nil, func(*upstreamConfig) {}, func(cfg *listen.Config) { cfg.MaxConns = 1 })
	first := e.dial(t)
	first.say(t, head("GET /public/x", ""))
	if resp, _ := first.answer(t); resp.StatusCode != http.StatusOK {
		t.Fatalf("within the cap: %d", resp.StatusCode)
	}
	second := e.dial(t) // says nothing
	resp, body := second.answer(t)
	var refused struct {
		Reason    string
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(body), &refused); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	if resp.StatusCode != 503 || !resp.Close || resp.Header.Get("Retry-After") != "1" || refused.Reason != "too_many_connections" || refused.RequestID == "" || resp.Header.Get("Date") == "" {
		t.Errorf("got %d %v %s, want 503 with the envelope and Retry-After", resp.StatusCode, resp.Header, body)
	}
	if _, err := second.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("then came %v, want the end", err)
	}
	for name, want := range map[string]float64{
		"wxgate_connections_accepted_total": 1, "wxgate_connections_refused_total": 1, "wxgate_accept_retries_total": 0,
	} {
		if got := e.count(t, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	eventually(t, "only the first is open", func() bool { return e.count(t, "wxgate_connections") == 1 })
	first.say(t, head("GET /public/x", ""))
	if resp, _ := first.answer(t); resp.StatusCode != http.StatusOK {
		t.Errorf("the one within the cap is then answered %d", resp.StatusCode)
	}
}

func TestRefusalsAreCountedByTheirRule(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, nil)
	for rule, raw := range map[string]string{
		"two hosts":      head("GET /public/x", "", "Host: b"),
		"bad chunk size": head("POST /public/x", "", "Transfer-Encoding: chunked") + "0x5\r\nhello\r\n0\r\n\r\n",
		"connect":        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
	} {
		e.send(t, raw)
		if got := e.count(t, "wxgate_malformed_requests_total", `rule="`+rule+`"`); got != 1 {
			t.Errorf("%s is counted %v times, want once", rule, got)
		}
	}
}

// TestAGatewayThatIsShutDownBeforeItServesDoesNotServe stops a gateway before, and while, its server begins: one whose
// predecessor was killed does so. It used to serve for good, and to keep the store from the next start.
func TestAGatewayThatIsShutDownBeforeItServesDoesNotServe(t *testing.T) {
	t.Parallel()
	e := newEdge(t, "http://127.0.0.1:1", nil)
	for i := range 50 {
		deps := e.deps
		deps.Metrics = prometheus.NewRegistry()
		g, err := New(e.snapshot.Load().cfg, deps)
		if err != nil {
			t.Fatal(err)
		}
		ln, err := listen.Listen("tcp", "127.0.0.1:0", g.ListenConfig())
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		begin := func() { served <- g.Serve(ln) }
		if i > 0 { // at the same time
			go begin()
		}
		if err := g.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			go begin()
		}
		select {
		case err := <-served:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(60 * time.Second):
			t.Fatal("it serves after its end")
		}
		if conn, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			_ = conn.Close()
			t.Fatal("somebody listens")
		}
	}
}
