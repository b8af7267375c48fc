package upstream_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/breaker"
	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/upstreamtest"
)

// rig is an upstream at services that can be switched, with its metrics and its clock.
type rig struct {
	*upstream.Upstream
	t        *testing.T
	cfg      upstream.Config
	reg      *prometheus.Registry
	services []*upstreamtest.Switchable
	log      lines

	mu  sync.Mutex
	now time.Time
}

// newRig makes an upstream at n services called a, b, c. Its clock stands still until it is moved.
func newRig(t *testing.T, n int, change ...func(*upstream.Config)) *rig {
	t.Helper()
	r := &rig{t: t, cfg: upstream.DefaultConfig(), reg: prometheus.NewRegistry(), now: time.Unix(1e9, 0)}
	for i := range n {
		s := upstreamtest.NewSwitchable(t, string(rune('a'+i)), "127.0.0.1:0")
		r.services = append(r.services, s)
		r.cfg.Targets = append(r.cfg.Targets, upstream.Target{URL: s.URL, Weight: 1})
	}
	r.cfg.Balance = "round_robin"
	for _, c := range change {
		c(&r.cfg)
	}
	u, err := upstream.NewWithEnv(upstream.Env{Now: r.clock, Log: r.log.logger()}, "recipes", r.cfg, upstream.NewMetrics(r.reg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	r.Upstream = u
	return r
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) move(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// send sends a request and returns who answered, or the status, or the error.
func (r *rig) send(method string) (string, upstream.Result) {
	r.t.Helper()
	var resp message.Response
	ex, err := r.Do(soon(), newRequest(method, "/"), &resp, 0)
	switch {
	case err != nil:
		return err.Error(), ex
	case resp.Status != 200:
		return fmt.Sprint(resp.Status), ex
	}
	return string(resp.Body), ex
}

// answers counts who answers n requests.
func (r *rig) answers(method string, n int) map[string]int {
	r.t.Helper()
	counts := map[string]int{}
	for range n {
		who, _ := r.send(method)
		counts[who]++
	}
	return counts
}

// arrived says how many requests of a method a service has seen.
func arrived(s *upstreamtest.Switchable, method string) int { return s.Count(method, "/", "") }

// metric is the sum of all series of a name whose labels hold the values.
func (r *rig) metric(name string, values ...string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "wxgate_upstream_"+name && containsAll(fmt.Sprint(m.GetLabel()), values) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func containsAll(text string, values []string) bool {
	for _, v := range values {
		if !strings.Contains(text, `"`+v+`"`) {
			return false
		}
	}
	return true
}

func (r *rig) want(what string, got, want any) {
	r.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestRequestsAreSharedByWeight(t *testing.T) {
	t.Parallel()
	r := newRig(t, 3, func(c *upstream.Config) { c.Targets[1].Weight = 2 })
	r.want("40 requests", r.answers("GET", 40), "map[a:10 b:20 c:10]")
}

func TestAUserStaysAtOneTarget(t *testing.T) {
	t.Parallel()
	r := newRig(t, 4, func(c *upstream.Config) { c.Balance = "hash(user)" })
	home := func(user uint64) string {
		var resp message.Response
		if _, err := r.Do(soon(), newRequest("GET", "/"), &resp, user); err != nil {
			t.Fatal(err)
		}
		return string(resp.Body)
	}
	before := map[uint64]string{}
	for user := uint64(1); user <= 100; user++ {
		before[user] = home(user)
	}
	r.services[2].Become(t, upstreamtest.Refusing)
	moved := 0
	for user, was := range before {
		switch now := home(user); {
		case was == "c":
			moved++
		case now != was:
			t.Errorf("user %d moved from %s to %s although c went", user, was, now)
		}
	}
	if moved == 0 || moved == 100 {
		t.Errorf("%d of 100 users lived at c", moved)
	}
}

func TestARequestThatCannotBeSentIsTriedElsewhereWhateverItsMethod(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST", "PATCH"} {
		r := newRig(t, 4, func(c *upstream.Config) { c.Retries.Attempts = 0 })
		for _, s := range r.services[:3] {
			s.Become(t, upstreamtest.Refusing)
		}
		r.want(method, r.answers(method, 20), "map[d:20]")
		r.want("refusals counted", r.metric("retries_total", "connect") >= 3, true)
	}
}

func TestALongBodyIsStillWholeAfterARefusedConnection(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.services[0].Become(t, upstreamtest.Refusing)
	for range 4 {
		req := newRequest("POST", "/")
		setBody(req, bytes.NewReader(make([]byte, 100_000)), 100_000)
		if _, err := r.Do(soon(), req, new(message.Response), 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, got := range r.services[1].Requests() {
		r.want("bytes of the body", len(got.Body), 100_000)
	}
}

func TestOnlyIdempotentRequestsAreRepeated(t *testing.T) {
	t.Parallel()
	for mood, lost := range map[upstreamtest.Mood]string{
		upstreamtest.Failing: "500",
		upstreamtest.Down:    "503",
		upstreamtest.Hangup:  "recipes: upstream reset: waiting for the answer: unexpected EOF",
		upstreamtest.Frozen:  "",
	} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"} {
			if method == "HEAD" || mood == upstreamtest.Frozen && method != "GET" {
				continue // the service answers HEAD with a body; the others would wait for their deadline
			}
			t.Run(string(mood)+"/"+method, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, 2, func(c *upstream.Config) { c.Retries.TryTimeout = time.Second })
				r.services[0].Become(t, mood)
				who, ex := r.send(method)
				repeated := method != "POST" && method != "PATCH"
				r.want("attempts", ex.Attempts, map[bool]int{false: 1, true: 2}[repeated])
				switch {
				case repeated:
					r.want("answer", who, "b")
				case !strings.HasPrefix(who, strings.Split(lost, ": waiting")[0]):
					t.Errorf("answer is %s, want %s", who, lost)
				}
				r.want("arrivals", arrived(r.services[0], method)+arrived(r.services[1], method), ex.Attempts)
			})
		}
	}
}

func TestAttemptsBoundRetries(t *testing.T) {
	t.Parallel()
	r := newRig(t, 4, func(c *upstream.Config) { c.Retries.Attempts = 1 })
	for _, s := range r.services {
		s.Become(t, upstreamtest.Failing)
	}
	who, ex := r.send("GET")
	r.want("answer", who, "500")
	r.want("attempts", ex.Attempts, 2)
}

func TestAConsumedBodyIsNotSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.services[0].Become(t, upstreamtest.Failing)
	for size, attempts := range map[int]int{1000: 2, 100_000: 1} {
		req := newRequest("PUT", "/")
		setBody(req, bytes.NewReader(make([]byte, size)), size)
		ex, err := r.Do(soon(), req, new(message.Response), 0)
		if err != nil {
			t.Fatal(err)
		}
		if ex.Target == strings.TrimPrefix(r.services[1].URL, "http://") && ex.Attempts == 1 && attempts == 2 {
			ex, _ = r.Do(soon(), req, new(message.Response), 0) // it was b's turn
		}
		if size == 100_000 {
			r.want("attempts with a long body", ex.Attempts, attempts)
		}
	}
}

func TestTheBudgetBoundsRetries(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *upstream.Config) { c.Outlier.ConsecutiveFailures = 1 << 20 })
	for _, s := range r.services {
		s.Become(t, upstreamtest.Failing)
	}
	_ = r.answers("GET", 200)
	r.want("retries of 200 requests, budget 20%", r.metric("retries_total"), 40)
	r.want("what the budget refused", r.metric("retry_budget_exhausted_total"), 160)
	r.move(20 * time.Second)
	_ = r.answers("GET", 12)
	r.want("retries of a quiet service", r.metric("retries_total"), 50)
}

func TestASlowTryWithoutABudgetGoesOnWaiting(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *upstream.Config) {
		c.Retries = upstream.Retries{Attempts: 1, TryTimeout: 500 * time.Millisecond}
	})
	for _, s := range r.services {
		s.Become(t, upstreamtest.Failing)
	}
	eventually(t, "what is always granted is used up", func() bool {
		_ = r.answers("GET", 1)
		return r.metric("retry_budget_exhausted_total") > 0
	})
	for _, s := range r.services {
		s.Delay = time.Second
		s.Become(t, upstreamtest.Slow)
	}
	who, ex := r.send("GET")
	r.want("attempts", ex.Attempts, 1)
	if who != "a" && who != "b" {
		t.Errorf("got %q, want the answer of one that is slow", who)
	}
}

func TestATargetThatKeepsFailingIsEjectedAndComesBackSlowly(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *upstream.Config) { c.Retries.Attempts = 0 })
	bad := r.services[0]
	bad.Become(t, upstreamtest.Failing)
	r.want("until it is ejected", r.answers("GET", 10), "map[500:5 b:5]")
	r.want("while it is ejected", r.answers("GET", 20), "map[b:20]")
	r.want("ejections", r.metric("ejections_total"), 1)
	r.want("up", r.metric("up"), 1)

	r.move(11 * time.Second) // one request finds that it still fails
	r.want("one probe", r.answers("GET", 40), "map[500:1 b:39]")
	r.move(11 * time.Second)
	r.want("the second time it is out for longer", r.answers("GET", 40), "map[b:40]")

	bad.Become(t, upstreamtest.Well)
	r.move(10 * time.Second)
	counts := r.answers("GET", 44)
	if counts["a"] < 2 || counts["a"] > 8 {
		t.Errorf("a target that has just come back gets %v, want about a tenth of its share", counts)
	}
	r.move(10 * time.Second)
	r.want("after its slow start", r.answers("GET", 40)["a"] >= 19, true)
	r.want("up again", r.metric("up"), 2)
}

func TestTheLastTargetIsNeverEjected(t *testing.T) {
	t.Parallel()
	r := newRig(t, 3, func(c *upstream.Config) { c.Retries.Attempts = 0; c.Breaker.Failures = 1 })
	for _, s := range r.services {
		s.Become(t, upstreamtest.Failing)
	}
	r.want("all failing", r.answers("GET", 60), "map[500:60]")
	r.want("ejections", r.metric("ejections_total"), 2)
	r.want("up, though the last one fails", r.metric("up"), 0)
	before := arrived(r.services[0], "GET")
	_ = r.answers("GET", 30)
	r.want("none is well, so all are used", arrived(r.services[0], "GET") > before, true)
	for _, s := range r.services {
		s.Become(t, upstreamtest.Well)
	}
	r.want("at once", r.answers("GET", 30)["500"], 0)
	r.move(11 * time.Second)
	_ = r.answers("GET", 100)
	r.want("up after the ejections", r.metric("up"), 3)
}

func TestAnEjectedTargetServesWhenTheOthersFail(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.services[0].Become(t, upstreamtest.Hangup)
	r.want("a fails", r.answers("GET", 20), "map[b:20]")
	r.want("a is out", r.metric("ejections_total"), 1)
	r.services[0].Become(t, upstreamtest.Well)
	r.services[1].Become(t, upstreamtest.Hangup)
	r.want("b fails before the ejection of a has ended", r.answers("GET", 20), "map[a:20]")
	r.want("up", r.metric("up", r.services[0].Addr), 1)
}

func TestASlowTargetIsEjectedAlthoughItAnswersPosts(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	who, _ := r.send("POST")
	r.want("the first in turn", who, "a")
	// The clock of health stands still: a try that takes longer than try_timeout on it says nothing good.
	r.services[0].Become(t, upstreamtest.Failing)
	_ = r.answers("POST", 8)
	r.services[0].Become(t, upstreamtest.Frozen)
	done := make(chan string)
	go func() {
		who, _ := r.send("POST")
		if who == "b" {
			who, _ = r.send("POST")
		}
		done <- who
	}()
	eventually(t, "a POST is at a", func() bool { return r.metric("in_flight", r.services[0].Addr) == 1 })
	r.move(2 * time.Second)
	r.services[0].Become(t, upstreamtest.Well)
	r.want("the slow answer", <-done, "a")
	r.services[0].Become(t, upstreamtest.Failing)
	_ = r.answers("POST", 4)
	r.want("4 failures, a slow success, and one more", r.metric("ejections_total"), 1)
}

func TestAFrozenTargetIsEjected(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *upstream.Config) {
		c.Retries.TryTimeout, c.Outlier.ConsecutiveFailures = time.Second, 2 // in less, a busy machine would be at fault itself
	})
	r.services[0].Become(t, upstreamtest.Frozen)
	r.want("requests", r.answers("GET", 30), "map[b:30]")
	r.want("ejections", r.metric("ejections_total"), 1)
	r.want("time-outs", r.metric("retries_total", "timeout"), 2)
}

func TestHealthChecksTakeATargetOutAndBringItBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *upstream.Config) {
		c.Health = upstream.Health{Path: "/healthz", Interval: time.Millisecond, Timeout: time.Second, UnhealthyAfter: 3, HealthyAfter: 2}
	})
	r.services[0].Become(t, upstreamtest.Down)
	eventually(t, "a is out", func() bool { return r.metric("up") == 1 })
	r.want("requests while it is out", r.answers("POST", 20), "map[b:20]")
	r.services[0].Become(t, upstreamtest.Refusing)
	r.services[0].Become(t, upstreamtest.Well)
	eventually(t, "a is back", func() bool { return r.metric("up") == 2 })
	if got := r.services[0].Requests(); got[0].Path() != "/healthz" || got[0].Field("Host") != r.services[0].Addr {
		t.Errorf("it was asked %q", got[0].Head())
	}
	r.services[0].Become(t, upstreamtest.Down)
	r.services[1].Become(t, upstreamtest.Down)
	eventually(t, "both are out", func() bool { return r.metric("up") == 0 })
	r.want("all are out, so all are used", r.answers("POST", 4), "map[503:4]")
}

func TestTheBreakerRefusesAtOnceAndCloses(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	r.services[0].Become(t, upstreamtest.Down)
	r.want("while it opens", r.answers("GET", 20), "map[503:20]")
	seen := len(r.services[0].Requests())
	_, err := r.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	if !errors.Is(err, breaker.ErrOpen) {
		t.Fatalf("error is %v, want breaker.ErrOpen", err)
	}
	var until *breaker.OpenError
	if r.move(1500 * time.Millisecond); errors.As(err, &until) {
		r.want("at first", until.After, 5*time.Second)
	}
	_, err = r.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	if errors.As(err, &until) {
		r.want("after 1.5 s", until.After, 3500*time.Millisecond)
	}
	r.want("requests that arrived", len(r.services[0].Requests()), seen)
	r.want("the gauge", r.metric("breaker_open"), 1)
	r.services[0].Become(t, upstreamtest.Well)
	r.move(5 * time.Second)
	r.want("probes and then all", r.answers("GET", 10), "map[a:10]")
	r.want("the gauge", r.metric("breaker_open"), 0)
}

func TestAnswers500DoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	r.services[0].Become(t, upstreamtest.Failing)
	r.want("one broken page is no outage", r.answers("GET", 100), "map[500:100]")
}

func TestAFullQueueRefusesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *upstream.Config) {
		c.Queue = upstream.Queue{InFlight: 2, Length: 1, Wait: 10 * time.Second}
		c.Retries.Attempts = 0
	})
	for _, s := range r.services {
		s.Become(t, upstreamtest.Frozen)
	}
	var all sync.WaitGroup
	for range 3 { // two in flight and one that waits
		all.Go(func() { _, _ = r.send("GET") })
	}
	eventually(t, "one waits", func() bool { return r.metric("queue_length") == 1 && r.metric("in_flight") >= 2 })
	_, err := r.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	wantOverloaded(t, err)
	r.want("refused", r.metric("queued_total", "refused"), 1)
	for _, s := range r.services {
		s.Become(t, upstreamtest.Well)
	}
	all.Wait()
	r.want("served", r.metric("queued_total", "served"), 1)
}

// dawdling is a body whose sender takes a minute, on the clock of the rig.
type dawdling struct{ *rig }

func (d dawdling) Read(p []byte) (int, error) {
	d.move(time.Minute)
	return len(p), nil
}

func TestASlowUploadDoesNotMakeATargetSlow(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	req := newRequest("POST", "/")
	setBody(req, io.LimitReader(dawdling{r}, 100_000), 100_000)
	if _, err := r.Do(soon(), req, new(message.Response), 0); err != nil {
		t.Fatal(err)
	}
	if got := r.metric("latency_seconds"); got > 0.1 {
		t.Errorf("the latency of its target is %v s", got)
	}
}
