package upstream

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/message"
)

// simulation drives the choice of targets in a time of its own: no socket, and nothing that a busy machine can change.
type simulation struct {
	up     *Upstream
	busy   map[*endpoint]*int
	now    time.Time
	random *rand.Rand
	ends   ends
	took   []time.Duration
}

// flight is a request under way.
type flight struct {
	request *roundTrip
	to      *endpoint
	began   time.Time
	ends    time.Time
}

type ends []flight

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].ends.Before(e[j].ends) }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(x any)        { f, _ := x.(flight); *e = append(*e, f) }
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// simulate sends requests at random, rate of them a second, to targets that take about so long each, and returns the
// latencies, sorted.
func simulate(t *testing.T, balance string, rate float64, takes ...time.Duration) []time.Duration {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Balance = balance
	for i := range takes {
		cfg.Targets = append(cfg.Targets, Target{URL: "http://10.0.0." + string(rune('1'+i)) + ":3000", Weight: 1})
	}
	s := &simulation{busy: map[*endpoint]*int{}, now: time.Unix(1e9, 0), random: rand.New(rand.NewPCG(1, 2))}
	d := realDeps()
	d.now = func() time.Time { return s.now }
	up, err := open("simulated", cfg, NewMetrics(prometheus.NewRegistry()), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Close)
	for _, e := range up.cluster.Load().endpoints {
		s.busy[e] = new(int)
		e.usage = using(s.busy[e])
	}
	s.up = up
	requests := 5000
	if os.Getenv("WXGATE_PLOT") != "" { // `make plot`
		requests = 20_000
	}
	for range requests {
		s.wait(time.Duration(s.random.ExpFloat64() / rate * float64(time.Second)))
		s.send(takes)
	}
	slices.Sort(s.took)
	return s.took
}

// wait lets time pass and requests end.
func (s *simulation) wait(d time.Duration) {
	until := s.now.Add(d)
	for len(s.ends) > 0 && s.ends[0].ends.Before(until) {
		f, _ := heap.Pop(&s.ends).(flight)
		s.now = f.ends
		*s.busy[f.to]--
		f.request.outcome, f.request.at = outcome2xx, s.now
		f.to.record(f.request, f.began, 0)
		s.took = append(s.took, f.ends.Sub(f.began))
		f.request.recycle()
	}
	s.now = until
}

func (s *simulation) send(takes []time.Duration) {
	f := flight{request: s.up.newRoundTrip(context.Background(), new(message.Request), new(message.Response), 0), began: s.now}
	f.request.Replayable, f.request.at = true, s.now
	f.to = f.request.choose()
	f.to.startAttempt(s.now)
	*s.busy[f.to]++
	usual := takes[slices.Index(f.request.cluster.endpoints, f.to)]
	f.ends = s.now.Add(time.Duration((0.8 + 0.4*s.random.Float64()) * float64(usual)))
	heap.Push(&s.ends, f)
}

func TestASlowTargetDoesNotShowInTheTailOfP2C(t *testing.T) {
	t.Parallel()
	const fast = 10 * time.Millisecond
	for _, rate := range []float64{20, 400, 4000} {
		curves := map[string][]time.Duration{}
		for _, balance := range []string{policyRoundRobin, policyP2C} {
			took := simulate(t, balance, rate, fast, fast, fast, 5*fast)
			curves[balance] = took
			t.Logf("%4.0f requests/s, %-11s p50 %v, p90 %v, p99 %v", rate, balance, quantile(took, .5), quantile(took, .9), quantile(took, .99))
		}
		if turns, choices := quantile(curves[policyRoundRobin], .99), quantile(curves[policyP2C], .99); choices > turns/2 {
			t.Errorf("at %.0f requests/s p99 is %v, want at most half of %v", rate, choices, turns)
		}
		if file := os.Getenv("WXGATE_PLOT"); file != "" && rate == 400 {
			if err := os.WriteFile(file, []byte(plot(curves)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
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
