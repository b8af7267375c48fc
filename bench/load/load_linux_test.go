package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serve returns the address of an HTTP server.
func serve(t *testing.T, handler http.HandlerFunc) netip.AddrPort {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
}

func config(pace Pace, address netip.AddrPort) Config {
	return Config{
		Pace: pace, Address: address, Method: "GET", Paths: []string{"/a", "/b"}, Connections: 4, Rate: 500, Want: 200,
		Duration: time.Second, Watched: Watched{Gateway: []int{os.Getpid()}, GatewayCPU: -1, LoadCPU: -1},
	}
}

func TestEachPaceCountsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	for _, pace := range []Pace{Closed, Open} {
		var served atomic.Int64
		var paths sync.Map
		address := serve(t, func(w http.ResponseWriter, r *http.Request) {
			served.Add(1)
			paths.Store(r.URL.Path, true)
			_, _ = io.WriteString(w, strings.Repeat("x", 50_000))
		})
		r, err := Run(t.Context(), config(pace, address), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Requests < 2 || r.Requests > served.Load() || r.Status[200] != r.Requests || r.Unexpected+r.Errors != 0 {
			t.Errorf("%s: got %+v, of %d requests served", pace, r, served.Load())
		}
		if r.P50 <= 0 || r.P99 < r.P50 || r.Max < r.P99 || r.CPU <= 0 || r.Seconds < 1 {
			t.Errorf("%s: got %+v, want latencies and CPU time", pace, r)
		}
		for _, path := range []string{"/a", "/b"} {
			if _, ok := paths.Load(path); !ok {
				t.Errorf("%s: nobody asked for %s", pace, path)
			}
		}
	}
}

func TestRefusalsAndLostAnswersAreCounted(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a" {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	r, err := Run(t.Context(), config(Closed, address), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors == 0 || r.Unexpected == 0 || r.Unexpected != r.Status[503] {
		t.Errorf("got %+v, want errors and 503", r)
	}
}

func TestContentArrivesWhole(t *testing.T) {
	t.Parallel()
	var wrong atomic.Int64
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); n != 1<<20 || err != nil {
			wrong.Add(1)
		}
	})
	cfg := config(Closed, address)
	cfg.Method, cfg.Content = "POST", 1<<20
	if r, err := Run(t.Context(), cfg, nil); err != nil || r.Requests == 0 || r.Unexpected+r.Errors != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
	if n := wrong.Load(); n > 4 { // those that the end of the measurement cut off
		t.Errorf("%d bodies were not whole", n)
	}
}

func TestEveryTokenIsSentInTurn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("one\ntwo\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var seen sync.Map
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization")+" "+r.Header.Get("X-User-Id"), true)
	})
	cfg := config(Closed, address)
	cfg.Tokens = file
	if _, err := Run(t.Context(), cfg, nil); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"one", "two", "three"} {
		if _, ok := seen.Load("Bearer " + token + " attacker"); !ok {
			t.Errorf("token %s was not sent", token)
		}
	}
}

func TestHeldConnectionsStayOpenAndLostOnesAreNotCounted(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1)%4 == 0 {
			w.Header().Set("Connection", "close")
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config(Hold, address)
	cfg.Connections = 100
	_, err := Run(ctx, cfg, func(r Result) {
		if r.Held != 75 || r.Requests != 100 {
			t.Errorf("got %+v, want 75 held of 100", r)
		}
		cancel()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEveryLoginIsAnotherUser(t *testing.T) {
	t.Parallel()
	var codes sync.Map
	var twice atomic.Int64
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		code, _ := io.ReadAll(r.Body)
		if _, known := codes.LoadOrStore(string(code), true); known {
			twice.Add(1)
		}
		_, _ = fmt.Fprint(w, "{}")
	})
	r, err := Run(t.Context(), config(Login, address), nil)
	if err != nil || r.Requests == 0 || r.Unexpected != 0 || twice.Load() != 0 {
		t.Errorf("got %+v, %v, and %d codes twice", r, err, twice.Load())
	}
}

func TestAnImpossibleMeasurementIsRefused(t *testing.T) {
	t.Parallel()
	cfg := config(Closed, netip.MustParseAddrPort("[::1]:80"))
	if _, err := Run(t.Context(), cfg, nil); err == nil {
		t.Error("IPv6 was accepted")
	}
	cfg = config("sideways", serve(t, func(http.ResponseWriter, *http.Request) {}))
	if _, err := Run(t.Context(), cfg, nil); err == nil {
		t.Error("a pace that does not exist was accepted")
	}
}
