package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

const mostMore = 64 << 20 // bytes of memory that a large body may take

// TestLargeBodiesTakeNoMemory moves 64 MiB up and down; `make long WHAT=large` moves 2 GiB each way, with a length and in chunks.
func TestLargeBodiesTakeNoMemory(t *testing.T) {
	size := int64(64 << 20)
	if os.Getenv("WXGATE_LARGE") != "" {
		size = 2 << 30
	}
	w := newWorld(t)
	w.client.Timeout = 0
	w.service.Config.Handler = http.HandlerFunc(largeService)
	w.writeConfig("  - { path: /large, upstream: recipes, auth: required, body_limit: 4GiB }\nlog: { access: false }\n")
	w.serve()
	token := w.login("alice")
	for _, c := range []struct {
		name     string
		up, down int64
		chunked  bool
	}{
		{"upload with a length", size, 0, false},
		{"upload in chunks", size, 0, true},
		{"download with a length", 0, size, false},
		{"download in chunks", 0, size, true},
	} {
		before := w.resident()
		stop, most := make(chan struct{}), new(atomic.Int64)
		sampled := make(chan struct{})
		go func() {
			defer close(sampled)
			for {
				most.Store(max(most.Load(), w.resident()))
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}()
		start := time.Now()
		w.move(token, c.up, c.down, c.chunked)
		took := time.Since(start)
		close(stop)
		<-sampled
		t.Logf("%s: %d MiB in %v (%.0f MB/s), memory %d MiB before, %d at most", c.name, size>>20, took.Round(time.Millisecond),
			float64(size)/1e6/took.Seconds(), before>>20, most.Load()>>20)
		if more := most.Load() - before; more > mostMore && !raceEnabled {
			t.Errorf("%s took %d MiB more, want %d at most", c.name, more>>20, mostMore>>20)
		}
	}
}

// largeService counts what it is sent, and sends as much as ?down says.
func largeService(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil || r.Header.Get("X-User-Id") == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	down, _ := strconv.ParseInt(r.FormValue("down"), 10, 64)
	w.Header().Set("X-Received", strconv.FormatInt(n, 10))
	if down > 0 && r.FormValue("chunked") != "true" {
		w.Header().Set("Content-Length", strconv.FormatInt(down, 10))
	}
	_, _ = io.CopyN(w, zeros{}, down)
}

// move sends up bytes and receives down.
func (w *world) move(token string, up, down int64, chunked bool) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, fmt.Sprintf("%s/large?down=%d&chunked=%v", w.url, down, chunked), io.LimitReader(zeros{}, up))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if req.ContentLength = up; chunked && up > 0 {
		req.ContentLength = -1
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.Copy(io.Discard, resp.Body)
	if err != nil || got != down || resp.StatusCode != http.StatusOK || resp.Header.Get("X-Received") != strconv.FormatInt(up, 10) {
		w.t.Errorf("got %d, %d bytes and %v, the service received %s; want 200, %d bytes, %d received", resp.StatusCode, got, err, resp.Header.Get("X-Received"), down, up)
	}
}

// resident is the memory of the gateway in bytes, by its own metric.
func (w *world) resident() int64 {
	return int64(w.gauges()["process_resident_memory_bytes"])
}
