package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"
)

// TestEventsArriveAsTheyAreSaid opens event streams through the gateway. The service says nothing until the client has the
// head, and no event until the client has the one before. How long the gateway takes is logged: `make long WHAT=large` opens
// more of them.
func TestEventsArriveAsTheyAreSaid(t *testing.T) {
	t.Parallel()
	streams := 20
	if os.Getenv("WXGATE_LARGE") != "" {
		streams = 1000
	}
	w := newWorld(t)
	heads, events := make(chan time.Time, 1), make(chan time.Time, 1)
	next := make(chan struct{})
	w.service.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		heads <- time.Now()
		rw.(http.Flusher).Flush()
		for i := range 3 {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			events <- time.Now()
			fmt.Fprintf(rw, "data: %d\n\n", i)
			rw.(http.Flusher).Flush()
		}
	})
	w.serve()
	token := w.login("alice")
	var toHead, toEvent []time.Duration
	for range streams {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		toHead = append(toHead, time.Since(<-heads))
		br := bufio.NewReader(resp.Body)
		for i := range 3 {
			next <- struct{}{}
			line, err := br.ReadString('\n')
			toEvent = append(toEvent, time.Since(<-events))
			if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
				t.Fatalf("got %q, %v, want %q", line, err, want)
			}
			if _, err := br.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		_ = resp.Body.Close()
	}
	for what, took := range map[string][]time.Duration{"a head": toHead, "an event": toEvent} {
		slices.Sort(took)
		t.Logf("%s took p50 %v, p99 %v, at most %v from the service to the client (%d)",
			what, took[len(took)/2], took[len(took)*99/100], took[len(took)-1], len(took))
	}
}
