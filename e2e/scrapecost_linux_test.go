package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/bench/load"
	"wxgate/bench/service"
)

// TestScrapesDoNotShowInTheLatency measures full load in pairs of slices, one of each with a scrape a second as Prometheus
// makes it: p99 may differ by 5 %. SCRAPE says how many pairs.
func TestScrapesDoNotShowInTheLatency(t *testing.T) {
	pairs, err := strconv.Atoi(os.Getenv("SCRAPE"))
	if err != nil {
		t.Skip("SCRAPE says how many pairs of slices, as in SCRAPE=20")
	}
	w := newWorld(t)
	to := netip.MustParseAddrPort("127.0.0.1:" + freePort(t))
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { _ = service.Run(ctx, to) })
	t.Cleanup(func() { stop(); serving.Wait() })
	w.rewrite(w.service.URL, "http://"+to.String())
	w.serve()
	tokens := filepath.Join(w.dir, "tokens")
	var text strings.Builder
	for i := range 100 {
		text.WriteString(w.login(fmt.Sprint("person ", i)) + "\n")
	}
	if err := os.WriteFile(tokens, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	slice := func(scraped bool) load.Result {
		t.Helper()
		done, end := context.WithCancel(ctx)
		var scraping sync.WaitGroup
		if scraped {
			scraping.Go(func() { w.scrapeEachSecond(done) })
		}
		got, err := load.Run(ctx, load.Config{
			Pace: load.Closed, Address: netip.MustParseAddrPort(strings.TrimPrefix(w.url, "http://")), Method: http.MethodGet,
			Paths: []string{"/api/v1/recipes", "/api/v1/recipes/7"}, Tokens: tokens, Connections: 64, Warmup: 300 * time.Millisecond, Duration: 3 * time.Second, Want: 200,
			Watched: load.Watched{GatewayCPU: -1, LoadCPU: -1},
		}, nil)
		end()
		scraping.Wait()
		if err != nil || got.Unexpected+got.Errors > 0 {
			t.Fatalf("%+v: %v", got, err)
		}
		return got
	}
	slice(false)
	var ratios, without, rates []float64
	for i := range pairs {
		first := i%2 == 0 // each kind is first in half of the pairs
		a, b := slice(first), slice(!first)
		if first {
			a, b = b, a
		}
		ratios, without, rates = append(ratios, b.P99/a.P99), append(without, a.P99), append(rates, a.PerSecond)
	}
	slices.Sort(ratios)
	slices.Sort(without)
	slices.Sort(rates)
	ratio := ratios[pairs/2]
	t.Logf("%.0f requests/s; p99 is %.2f ms without scrapes, and %+.1f %% of that with one a second (quartiles %+.1f, %+.1f); a scrape is %d KB",
		rates[pairs/2], without[pairs/2]/1000, 100*(ratio-1), 100*(ratios[pairs/4]-1), 100*(ratios[pairs*3/4]-1), len(w.metrics())/1000)
	if ratio > 1.05 {
		t.Errorf("p99 is %.3f of what it is without scrapes, want 1.05 at most", ratio)
	}
}

// scrapeEachSecond scrapes as Prometheus does until ctx ends.
func (w *world) scrapeEachSecond(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.admin+"/metrics", nil)
		if err != nil {
			w.t.Error(err)
			return
		}
		req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := w.client.Do(req)
		if err != nil {
			w.t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
