package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

const (
	balanceLength = 30 * time.Second
	balanceRate   = 150                    // requests per second
	balanceFast   = 100 * time.Millisecond // what three of four targets take: a busy test machine adds little to it
	balanceSlow   = 5 * balanceFast        // what the fourth takes
)

// TestP2CAgainstRoundRobin sends the same load to three fast targets and one that is five times slower, under both
// policies.
func TestP2CAgainstRoundRobin(t *testing.T) {
	wantsChaos(t)
	targets := make([]string, 0, 4)
	for i := range 4 {
		delay := map[bool]time.Duration{false: balanceFast, true: balanceSlow}[i == 3]
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(delay)
			_, _ = io.WriteString(w, "done")
		}))
		t.Cleanup(service.Close)
		targets = append(targets, fmt.Sprintf("%q", service.URL))
	}
	table := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "balance\trequests\tp50\tp90\tp99\tmost")
	curves := map[string][]time.Duration{}
	for _, balance := range []string{"round_robin", "p2c"} {
		w := newWorld(t)
		w.writeTargets(balance, targets)
		w.serve()
		took := w.latencies(t)
		curves[balance] = took
		fmt.Fprintf(table, "%s\t%d\t%v\t%v\t%v\t%v\n", balance, len(took), quantile(took, .5), quantile(took, .9), quantile(took, .99), quantile(took, 1))
		w.process.stop(t)
	}
	_ = table.Flush()
	if slow, fast := quantile(curves["round_robin"], .99), quantile(curves["p2c"], .99); 2*fast > slow {
		t.Errorf("p99 is %v under p2c and %v under round_robin, want at most half", fast, slow)
	}
}

// latencies sends balanceRate requests a second and returns what they took, sorted.
func (w *world) latencies(t *testing.T) []time.Duration {
	t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	var mu sync.Mutex
	var all sync.WaitGroup
	var took []time.Duration
	begin := time.Now()
	for due := time.Duration(0); due < balanceLength; due += time.Second / balanceRate {
		if early := due - time.Since(begin); early > 0 {
			<-time.After(early)
		}
		all.Go(func() {
			began := time.Now()
			resp, err := client.Get(w.url + "/chaos")
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began))
		})
	}
	all.Wait()
	client.CloseIdleConnections()
	slices.Sort(took)
	return took
}

func quantile(sorted []time.Duration, share float64) time.Duration {
	return sorted[int(share*float64(len(sorted)-1))].Round(10 * time.Microsecond)
}
