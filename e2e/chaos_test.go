package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

const (
	chaosRate     = 500 // requests per second
	chaosCalm     = 15 * time.Second
	chaosLength   = 60 * time.Second
	chaosHold     = 5 * time.Second       // how long a fault lasts
	chaosEjection = 2 * time.Second       // how long it may take to eject who is bad: five tries of 1 s side by side, and some
	chaosLimit    = 3                     // times the calm p99
	chaosNoise    = 25 * time.Millisecond // a p99 below is not told from what else the machine does
)

// chaos is a gateway before targets that fail at random.
type chaos struct {
	*world
	t       *testing.T
	targets []*chaosTarget
	faults  []time.Time // when the faults changed

	mu      sync.Mutex
	samples []chaosSample
}

// chaosSample is one request.
type chaosSample struct {
	method, id string
	began      time.Time
	took       time.Duration
	failed     string // "": it was answered 200
}

func wantsChaos(t *testing.T) {
	t.Helper()
	if os.Getenv("WXGATE_CHAOS") == "" {
		t.Skip("it takes minutes: see make long WHAT=chaos")
	}
}

// TestChaos is the promise of docs/resilience.md: while one of three targets is well, no idempotent request fails, and
// no POST is executed twice.
func TestChaos(t *testing.T) {
	wantsChaos(t)
	c := &chaos{world: newWorld(t), t: t}
	for i := range 3 {
		c.targets = append(c.targets, newChaosTarget(t, filepath.Join(c.dir, fmt.Sprintf("posts-%d", i))))
	}
	c.writeChaosConfig("p2c")
	c.serve()
	c.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}

	calmed := c.load(chaosCalm)
	calmed()
	calm := c.take()
	waited := c.load(chaosLength)
	c.torment(chaosLength)
	waited()
	c.report(calm, c.take())
}

func (c *chaos) writeChaosConfig(balance string) {
	c.t.Helper()
	targets := make([]string, 0, len(c.targets))
	for _, target := range c.targets {
		targets = append(targets, fmt.Sprintf("%q", "http://"+target.address))
	}
	c.writeTargets(balance, targets)
}

// writeTargets writes a gateway.yaml with an upstream of several targets at its defaults.
func (w *world) writeTargets(balance string, targets []string) {
	w.t.Helper()
	w.writeConfig("  - { path: /chaos, upstream: chaos, auth: none }\nlog: { access: false }\n")
	text, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	upstream := fmt.Sprintf("upstreams:\n  chaos: { targets: [%s], balance: %s }\n", strings.Join(targets, ", "), balance)
	text = []byte(strings.Replace(string(text), "upstreams:\n", upstream, 1))
	text = []byte(strings.Replace(string(text), "limits: {", "limits: { per_client: { in_flight: 0, upstream_connections: 0 },", 1)) // one client is all the load
	if err := os.WriteFile(w.config, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// load sends chaosRate requests a second for a while, whatever becomes of them; what it returns waits for the last.
func (c *chaos) load(length time.Duration) (wait func()) {
	var all sync.WaitGroup
	all.Go(func() {
		begin := time.Now()
		for due := time.Duration(0); due < length; due += time.Second / chaosRate {
			if early := due - time.Since(begin); early > 0 {
				<-time.After(early)
			}
			all.Go(c.request)
		}
	})
	return all.Wait
}

// request sends one: seven of ten are GETs, one each PUT and DELETE, one POST.
func (c *chaos) request() {
	s := chaosSample{method: "GET", id: fmt.Sprint(rand.Uint64()), began: time.Now()}
	if i := rand.IntN(10); i < 3 {
		s.method = []string{"PUT", "DELETE", "POST"}[i]
	}
	req, err := http.NewRequestWithContext(context.Background(), s.method, c.url+"/chaos", strings.NewReader("a small body"))
	if err != nil {
		panic(err)
	}
	if s.method == "GET" || s.method == "DELETE" {
		req.Body, req.ContentLength = nil, 0
	}
	req.Header.Set(chaosID, s.id)
	resp, err := c.client.Do(req)
	switch {
	case err != nil:
		s.failed = err.Error()
	case resp.StatusCode != http.StatusOK:
		text, _ := io.ReadAll(resp.Body)
		s.failed = fmt.Sprintf("%d %s", resp.StatusCode, text)
	default:
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if resp != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		s.failed = err.Error()
	}
	s.took = time.Since(s.began)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples = append(c.samples, s)
}

// take returns the samples so far and begins anew.
func (c *chaos) take() []chaosSample {
	c.mu.Lock()
	defer c.mu.Unlock()
	samples := c.samples
	c.samples = nil
	return samples
}

// torment lets two targets suffer at a time, and never all three.
func (c *chaos) torment(length time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); {
		spared := rand.IntN(len(c.targets))
		faults := map[*chaosTarget]string{}
		c.faults = append(c.faults, time.Now())
		for i, target := range c.targets {
			if i != spared {
				all := chaosFaults()
				faults[target] = all[rand.IntN(len(all))]
				target.suffer(c.t, faults[target])
			}
		}
		c.t.Logf("%2.0f s: %v", chaosLength.Seconds()-time.Until(end).Seconds(), c.named(faults))
		<-time.After(min(chaosHold, time.Until(end)))
		for target, fault := range faults {
			target.recover(c.t, fault)
		}
	}
}

func (c *chaos) named(faults map[*chaosTarget]string) string {
	var all []string
	for i, target := range c.targets {
		fault := faults[target]
		if fault == "" {
			fault = "spared"
		}
		all = append(all, fmt.Sprintf("%c %s", 'a'+i, fault))
	}
	return strings.Join(all, ", ")
}

// settled reports whether a request began when who is bad was ejected already.
func (c *chaos) settled(s chaosSample) bool {
	for _, at := range c.faults {
		if since := s.began.Sub(at); since >= 0 && since < chaosEjection {
			return false
		}
	}
	return true
}

func (c *chaos) report(calm, stormy []chaosSample) {
	table := tabwriter.NewWriter(c.t.Output(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "phase\trequests\tfailed, idempotent\tfailed, POST\tp50\tp99\tmost")
	quiet := row(table, "calm", calm)
	row(table, "faults", stormy)
	later := row(table, "faults, from 2 s after each", slices.DeleteFunc(slices.Clone(stormy), func(s chaosSample) bool { return !c.settled(s) }))
	posts, twice := c.executed()
	fmt.Fprintf(table, "POSTs executed\t%d, of them twice: %d\n", posts, twice)
	_ = table.Flush()
	for _, s := range slices.Concat(calm, stormy) {
		if s.failed != "" && s.method != http.MethodPost {
			c.t.Errorf("%s failed after %v, %.2f s after the fault: %s", s.method, s.took, c.sinceFault(s).Seconds(), s.failed)
		}
	}
	if twice > 0 {
		c.t.Errorf("%d POSTs were executed twice", twice)
	}
	if limit := max(chaosLimit*quiet, chaosNoise); later > limit {
		c.t.Errorf("p99 once the bad are ejected is %v, want at most %v", later, limit)
	}
}

func (c *chaos) sinceFault(s chaosSample) time.Duration {
	var since time.Duration
	for _, at := range c.faults {
		if s.began.After(at) {
			since = s.began.Sub(at)
		}
	}
	return since
}

// row prints a phase and returns the p99 of its idempotent requests: POSTs at a frozen target wait for it to wake up.
func row(table io.Writer, phase string, samples []chaosSample) time.Duration {
	var took []time.Duration
	failed := map[bool]int{}
	for _, s := range samples {
		post := s.method == http.MethodPost
		if !post {
			took = append(took, s.took)
		}
		if s.failed != "" {
			failed[post]++
		}
	}
	slices.Sort(took)
	at := func(share float64) time.Duration {
		if len(took) == 0 {
			return 0
		}
		return took[int(share*float64(len(took)-1))].Round(10 * time.Microsecond)
	}
	fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%v\t%v\t%v\n", phase, len(samples), failed[false], failed[true], at(.5), at(.99), at(1))
	return at(.99)
}

// executed reads what the targets wrote down: how many POSTs, and how many of them more than once.
func (c *chaos) executed() (posts, twice int) {
	seen := map[string]int{}
	for _, target := range c.targets {
		text, err := os.ReadFile(target.log)
		if err != nil {
			c.t.Error(err)
		}
		for id := range strings.FieldsSeq(string(text)) {
			if seen[id]++; seen[id] == 2 {
				twice++
			}
		}
	}
	return len(seen), twice
}
