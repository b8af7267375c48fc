package gateway

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/upstream/upstreamtest"
)

// fickle runs a service that closes or resets its connections at random: before a request, in the middle of it, after it
// was read, within the answer, after it, and between two.
func fickle(t *testing.T) *upstreamtest.Service {
	var s *upstreamtest.Service
	ready := make(chan struct{})
	s = upstreamtest.Raw(t, func(conn net.Conn, n int) {
		<-ready
		br := bufio.NewReader(conn)
		for {
			if rand.IntN(10) == 0 { // while idle, as a keep-alive timeout does
				_ = conn.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(3000)) * time.Microsecond))
				if _, err := br.Peek(1); err != nil {
					return
				}
				_ = conn.SetReadDeadline(time.Time{})
			}
			if _, err := s.Receive(br, n); err != nil {
				return
			}
			answer := upstreamtest.OK("text/plain", "done")
			switch rand.IntN(12) {
			case 0:
				return
			case 1:
				upstreamtest.Reset(conn)
				return
			case 2:
				_, _ = io.WriteString(conn, answer[:rand.IntN(len(answer))])
				return
			case 3:
				_, _ = io.WriteString(conn, answer)
				return
			}
			if _, err := io.WriteString(conn, answer); err != nil {
				return
			}
		}
	})
	close(ready)
	return s
}

// TestNoPostIsExecutedTwiceWhateverTheServiceDoes sends 1,000 POSTs; `make long WHAT=node` sends 10,000.
func TestNoPostIsExecutedTwiceWhateverTheServiceDoes(t *testing.T) {
	t.Parallel()
	posts := 1000
	if os.Getenv("WXGATE_NODE") != "" {
		posts = 10_000
	}
	service := fickle(t)
	e := newEdgeOf(t, service.URL, nil, nil, func(cfg *upstreamConfig) {
		cfg.Breaker.Failures = 1 // the slower the machine, the more often an idle connection ends under a request
	})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: 20 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	next := make(chan int)
	var mu sync.Mutex
	statuses := map[int]int{} // status of each request by its number
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for i := range next {
				body := strings.Repeat("b", []int{0, 10, 20_000, 100_000}[i%4])
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+e.addr+"/public/x", strings.NewReader(body))
				req.Header.Set(upstreamtest.IDField, fmt.Sprint(i))
				resp, err := client.Do(req)
				if err != nil {
					t.Errorf("POST %d: %v", i, err)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				mu.Lock()
				statuses[i] = resp.StatusCode
				mu.Unlock()
			}
		})
	}
	for i := range posts {
		next <- i
	}
	close(next)
	senders.Wait()
	executed := map[string]int{}
	for _, req := range service.Requests() {
		executed[req.Field(upstreamtest.IDField)]++
	}
	count := map[int]int{}
	for i, status := range statuses {
		count[status]++
		if n := executed[fmt.Sprint(i)]; n > 1 || status == http.StatusOK && n != 1 {
			t.Errorf("POST %d was answered %d and executed %d times", i, status, n)
		}
		if status != http.StatusOK && status != http.StatusBadGateway {
			t.Errorf("POST %d was answered %d, want 200 or 502", i, status)
		}
	}
	t.Logf("%d POSTs on %d connections of the service: %v", posts, service.Conns(), count)
	if count[200] == 0 || count[502] == 0 {
		t.Errorf("got %v, want both outcomes: else the service was not fickle", count)
	}
}
