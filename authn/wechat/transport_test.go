package wechat

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const goodSession = `{"session_key":"AAAAAAAAAAAAAAAAAAAAAA==","openid":"oAlice"}`

// clientOf calls server, whose certificate it trusts.
func clientOf(t *testing.T, server *httptest.Server) *Client {
	t.Helper()
	client, err := New(Config{AppID: "wx1", Secret: "the-secret", BaseURL: server.URL, Timeout: 10 * time.Second}, Deps{Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	if server.Certificate() != nil {
		pool := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		client.transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	t.Cleanup(client.Close)
	return client
}

func TestTLSStaysWithHTTP11EvenIfTheServerOffersHTTP2(t *testing.T) {
	t.Parallel()
	protocols := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocols <- r.Proto
		_, _ = w.Write([]byte(goodSession))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	if _, err := clientOf(t, server).Code2Session(t.Context(), "code"); err != nil {
		t.Fatal(err)
	}
	if got := <-protocols; got != "HTTP/1.1" {
		t.Errorf("protocol over TLS: got %s, want HTTP/1.1", got)
	}
}

// closing tells of the client's own Close.
type closing struct {
	net.Conn
	closed chan<- struct{}
}

func (c closing) Close() error {
	select {
	case c.closed <- struct{}{}:
	default:
	}
	return c.Conn.Close()
}

func TestAConnectionThatTheServerClosedWhileIdleFailsNoLogin(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(goodSession)) }))
	t.Cleanup(server.Close)
	client, closed := clientOf(t, server), make(chan struct{}, 1)
	dial := client.transport.DialContext
	client.transport.DialContext = wrap(dial, closed)
	for i := range 3 {
		if _, err := client.Code2Session(t.Context(), "code"); err != nil {
			t.Errorf("login %d: got %v, want a session", i, err)
		}
		server.CloseClientConnections()
		<-closed // net/http watches idle connections and notices
	}
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

func wrap(dial dialer, closed chan<- struct{}) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return closing{connection, closed}, nil
	}
}

func TestAStreamOfLoginsKeepsAConnectionForEachExchange(t *testing.T) {
	t.Parallel()
	const exchanges, waves = 64, 3
	var arrived sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived.Done()
		arrived.Wait() // so that as many connections are in use
		_, _ = w.Write([]byte(goodSession))
	}))
	var dialed atomic.Int32
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialed.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client, err := New(Config{AppID: "wx1", Secret: "the-secret", BaseURL: server.URL, Timeout: 10 * time.Second, Concurrency: exchanges}, Deps{Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for range waves {
		arrived.Add(exchanges)
		var all sync.WaitGroup
		for range exchanges {
			all.Go(func() {
				if _, err := client.Code2Session(t.Context(), "code"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if got := dialed.Load(); got != exchanges {
		t.Errorf("%d times %d exchanges dialed %d connections, want %d", waves, exchanges, got, exchanges)
	}
}
