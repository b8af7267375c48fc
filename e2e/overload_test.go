package e2e

import (
	"fmt"
	"net"
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

// overload is a gateway before a service that can do so much and no more.
type overload struct {
	*world
	tokens []string // of 50 users: what one of them may hold is bounded
	client *http.Client
}

// phase is a stretch of load at one rate, in requests a second.
type phase struct {
	name   string
	rate   int
	length time.Duration

	mu       sync.Mutex
	answers  map[string][]time.Duration // by kind: served, refused, login, login refused, health, failed
	failures map[string]int
}

// TestOverload shows what docs/limits.md says: twice the load that the service can take for OVERLOAD (30s), between calm
// times. `make long WHAT=overload` runs it.
func TestOverload(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("OVERLOAD"))
	if err != nil {
		t.Skip("OVERLOAD says for how long, as in OVERLOAD=30s: see make long WHAT=overload")
	}
	for _, scene := range []struct {
		name    string
		workers int           // how many requests the service works on at a time
		work    time.Duration // how long each takes it
	}{
		{"10 workers of 20ms", 10, 20 * time.Millisecond},
		{"40 workers of 100ms", 40, 100 * time.Millisecond},
		{"4 workers of 20ms", 4, 20 * time.Millisecond},
	} {
		t.Run(scene.name, func(t *testing.T) {
			o := newOverload(t, scene.workers, scene.work)
			bears := int(float64(scene.workers) / scene.work.Seconds())
			phases := []*phase{
				{name: "calm", rate: bears / 2, length: 5 * time.Second},
				{name: "twice", rate: bears * 2, length: length},
				{name: "5s after", rate: bears / 2, length: 5 * time.Second},
				{name: "calm again", rate: bears / 2, length: 5 * time.Second},
			}
			for _, p := range phases {
				p.run(o)
			}
			o.report(scene.name, phases)
			o.judge(phases[1], phases[3])
		})
	}
}

func newOverload(t *testing.T, workers int, work time.Duration) *overload {
	o := &overload{world: newWorld(t)}
	places := make(chan struct{}, workers)
	o.service.Close()
	o.service = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		places <- struct{}{}
		defer func() { <-places }()
		done := time.NewTimer(work)
		defer done.Stop()
		<-done.C
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(o.service.Close)
	o.writeConfig("log: { access: false }\n")
	o.serve()
	for i := range 50 {
		o.tokens = append(o.tokens, o.login(fmt.Sprint("person", i)))
	}
	o.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: 10_000, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}}
	t.Cleanup(o.client.CloseIdleConnections)
	return o
}

// run sends requests at the phase's rate whatever becomes of them, as many users do: of a hundred, ten are logins and one
// asks for health.
func (p *phase) run(o *overload) {
	o.t.Helper()
	p.answers, p.failures = map[string][]time.Duration{}, map[string]int{}
	var under sync.WaitGroup
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	began := time.Now()
	for sent := 0; ; {
		now := <-ticker.C
		if now.Sub(began) >= p.length {
			break
		}
		for due := int(float64(p.rate) * now.Sub(began).Seconds()); sent < due; sent++ {
			n := sent
			under.Go(func() { p.once(o, n) })
		}
	}
	under.Wait()
}

func (p *phase) once(o *overload, n int) {
	kind, method, path, body := "served", "GET", "/api/v1/recipes", ""
	switch {
	case n%100 == 0:
		kind, path = "health", "/healthz"
	case n%10 == 1:
		kind, method, path = "login", "POST", "/api/v1/auth/wx-login"
		body = fmt.Sprintf(`{"code":%q}`, o.weChat.IssueCode(fmt.Sprintf("user%d", n)))
	}
	req, err := http.NewRequestWithContext(o.t.Context(), method, o.url+path, strings.NewReader(body))
	if err != nil {
		p.failed(err.Error())
		return
	}
	req.Header.Set("Content-Type", "application/json")
	if kind == "served" {
		req.Header.Set("Authorization", "Bearer "+o.tokens[n%len(o.tokens)])
	}
	began := time.Now()
	resp, err := o.client.Do(req)
	took := time.Since(began)
	if err != nil {
		p.failed(err.Error())
		return
	}
	_ = resp.Body.Close()
	switch {
	case resp.StatusCode < 300:
	case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		kind = map[string]string{"served": "refused", "login": "login refused"}[kind]
	default:
		p.failed(resp.Status)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[kind] = append(p.answers[kind], took)
}

func (p *phase) failed(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures[why]++
}

// percentile is in milliseconds; 0 of nothing.
func (p *phase) percentile(kind string, percent int) float64 {
	all := slices.Sorted(slices.Values(p.answers[kind]))
	if len(all) == 0 {
		return 0
	}
	return float64(all[min(len(all)-1, len(all)*percent/100)].Microseconds()) / 1000
}

func (o *overload) report(scene string, phases []*phase) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "phase\tper second\tserved/s\tp50\tp99\trefused/s\tp50\tp99\tlogins/s\tp99\trefused/s\thealth p99\tfailed\t")
	for _, p := range phases {
		per := func(kind string) float64 { return float64(len(p.answers[kind])) / p.length.Seconds() }
		_, _ = fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.0f\t%.0f\t%.0f\t%.1f\t%d\t\n", p.name, p.rate,
			per("served"), p.percentile("served", 50), p.percentile("served", 99),
			per("refused"), p.percentile("refused", 50), p.percentile("refused", 99),
			per("login"), p.percentile("login", 99), per("login refused"), p.percentile("health", 99), len(p.failures))
	}
	_ = w.Flush()
	o.t.Logf("%s; times in ms\n%s", scene, table.String())
}

// judge holds the overload against the figures, and the time after it.
func (o *overload) judge(twice, after *phase) {
	if got := twice.percentile("served", 99); got >= 1000 {
		o.t.Errorf("admitted p99 is %.0f ms, want under 1000", got)
	}
	if got := twice.percentile("refused", 99); got > 50 {
		o.t.Errorf("refused p99 is %.1f ms, want 50 at most", got)
	}
	for _, p := range []*phase{twice, after} {
		if len(p.failures) > 0 || len(p.answers["health"]) == 0 {
			o.t.Errorf("%s: %v failed, %d answers about health", p.name, p.failures, len(p.answers["health"]))
		}
	}
	if n := len(after.answers["refused"]); n > 0 {
		o.t.Errorf("%d requests are refused more than 5 s later", n)
	}
}
