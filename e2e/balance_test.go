package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

const (
	balanceLength = 15 * time.Second
	balanceRate   = 400                   // requests per second
	balanceFast   = 10 * time.Millisecond // what three of four targets take
	balanceSlow   = 5 * balanceFast       // what the fourth takes
)

// TestP2CAgainstRoundRobin sends the same load to three fast targets and one that is five times slower, under both
// policies. With WXGATE_PLOT it draws the latencies there.
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
	if file := os.Getenv("WXGATE_PLOT"); file != "" {
		if err := os.WriteFile(file, []byte(plot(curves)), 0o600); err != nil {
			t.Fatal(err)
		}
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

// plot draws latency over percentile, one curve a policy.
func plot(curves map[string][]time.Duration) string {
	const width, height, left, bottom = 640.0, 320.0, 60.0, 280.0
	most := 60 * time.Millisecond
	x := func(share float64) float64 { return left + share*(width-left-100) }
	y := func(d time.Duration) float64 { return bottom - min(float64(d)/float64(most), 1.05)*(bottom-30) }
	var svg strings.Builder
	fmt.Fprintf(&svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n", width, height)
	fmt.Fprintf(&svg, "<rect width=\"%.0f\" height=\"%.0f\" fill=\"#fff\"/>\n", width, height)
	for ms := 0; ms <= 60; ms += 10 {
		at := y(time.Duration(ms) * time.Millisecond)
		fmt.Fprintf(&svg, "<path d=\"M%.0f %.1fH%.0f\" stroke=\"#ddd\"/><text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%d ms</text>\n", left, at, x(1), left-6, at+4, ms)
	}
	for percent := 0; percent <= 100; percent += 10 {
		fmt.Fprintf(&svg, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%d%%</text>\n", x(float64(percent)/100), bottom+16, percent)
	}
	fmt.Fprintf(&svg, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">share of requests that took at most so long</text>\n", x(.5), bottom+34)
	for i, balance := range []string{"round_robin", "p2c"} {
		color := []string{"#c0392b", "#2471a3"}[i]
		var path strings.Builder
		for step := range 501 {
			share := float64(step) / 500
			fmt.Fprintf(&path, "%c%.1f %.1f", map[bool]byte{true: 'M', false: 'L'}[step == 0], x(share), y(quantile(curves[balance], share)))
		}
		fmt.Fprintf(&svg, "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/><text x=\"%.0f\" y=\"%.1f\" fill=\"%s\">%s</text>\n",
			path.String(), color, x(1)+6, y(quantile(curves[balance], .97))+4, color, balance)
	}
	svg.WriteString("</svg>\n")
	return svg.String()
}
