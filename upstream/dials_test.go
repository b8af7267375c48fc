package upstream_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

// newDialling is an upstream that makes few connections at a time, with its registry.
func newDialling(t *testing.T, url string, dials int, change ...func(*upstream.Config)) (*upstream.Upstream, *prometheus.Registry) {
	t.Helper()
	cfg := upstream.DefaultConfig()
	cfg.Targets = []upstream.Target{{URL: url, Weight: 1}}
	cfg.Timeouts.Connect = 5 * time.Second
	for _, c := range change {
		c(&cfg)
	}
	reg := prometheus.NewRegistry()
	u, err := upstream.New("recipes", cfg.WithDials(dials), upstream.NewMetrics(reg), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u, reg
}

func TestManyThatDialAtOnceTakeTurnsAndNeverOpenTheBreaker(t *testing.T) {
	t.Parallel()
	stuck := upstreamtest.Raw(t, func(conn net.Conn, _ int) { _, _ = io.Copy(io.Discard, conn) }) // never shakes hands
	u, reg := newDialling(t, strings.Replace(stuck.URL, "http:", "https:", 1), 3)
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			_, err := u.Do(within(2*time.Second), newRequest("GET", "/"), new(message.Response), 0)
			if !errors.Is(err, http1.ErrUnavailable) && !errors.Is(err, http1.ErrTimeout) {
				t.Errorf("a request is %v, want unavailable, or a timeout of the three that dialled", err)
			}
		})
	}
	eventually(t, "37 requests wait", func() bool { return waitingDials(t, reg) == 37 })
	if got := stuck.Conns(); got > 3 {
		t.Errorf("%d connections were being made at a time, want 3", got)
	}
	all.Wait()
	ours := seriesOf(t, reg, "wxgate_upstream_dials_total", "expired") + seriesOf(t, reg, "wxgate_upstream_dials_total", "lacking")
	if ours < 37 {
		t.Errorf("%v requests came too late by our own line, want 37", ours)
	}
	if got := seriesOf(t, reg, "wxgate_upstream_breaker_open", ""); got != 0 {
		t.Error("the breaker is open because of our own line")
	}
}

// waitingDials is how many requests wait for their turn to dial.
func waitingDials(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	return seriesOf(t, reg, "wxgate_upstream_dials_waiting", "")
}

// seriesOf is the sum of a metric's series that have that label value, of all with "".
func seriesOf(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			matches := label == ""
			for _, pair := range m.GetLabel() {
				matches = matches || pair.GetValue() == label
			}
			if matches {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// A request in the line takes the connection that another one gives back, though the dial before it never ends.
func TestWhoWaitsForADialTakesAConnectionThatBecomesFree(t *testing.T) {
	t.Parallel()
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	answer := make(chan struct{})
	release := sync.OnceFunc(func() { close(answer) })
	service := upstreamtest.Raw(t, func(conn net.Conn, n int) {
		if n > 1 {
			_, _ = io.Copy(io.Discard, conn) // never shakes hands
			return
		}
		secured := tls.Server(conn, certified.TLS)
		br := bufio.NewReader(secured)
		for {
			if _, err := upstreamtest.ReadRequest(br); err != nil {
				return
			}
			<-answer
			_, _ = io.WriteString(secured, upstreamtest.OK("text/plain", "hi"))
		}
	})
	u, reg := newDialling(t, strings.Replace(service.URL, "http:", "https:", 1), 1)
	t.Cleanup(release)
	var all sync.WaitGroup
	well := make(chan error, 3)
	ask := func(deadline time.Duration) {
		all.Go(func() {
			_, err := u.Do(within(deadline), newRequest("GET", "/"), new(message.Response), 0)
			well <- err
		})
	}
	ask(5 * time.Second)
	eventually(t, "the first request is there", func() bool { return seriesOf(t, reg, "wxgate_upstream_dials_total", "connected") == 1 })
	ask(4 * time.Second)
	eventually(t, "a dial is stuck", func() bool { return service.Conns() == 2 })
	ask(3 * time.Second)
	eventually(t, "one waits", func() bool { return waitingDials(t, reg) == 1 })
	release()
	for range 2 {
		if err := <-well; err != nil {
			t.Errorf("a request is %v, want both served by the one connection", err)
		}
	}
	service.CloseConns()
	all.Wait()
}

// alone runs the test in a process of its own, whose limits and load are nobody else's, and reports whether this is it.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv("WXGATE_ALONE") != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), "WXGATE_ALONE=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func TestADialWithoutDescriptorsIsNoFaultOfTheTarget(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	service := upstreamtest.Echo(t)
	u, reg := newDialling(t, service.URL, 8, func(c *upstream.Config) { c.Breaker.MinRequests = 5 })
	get(t, u, "/")
	service.CloseConns()
	var all syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &all); err != nil {
		t.Fatal(err)
	}
	few := all
	few.Cur = 3 // fewer than are open
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		_, err := u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
		wantOverloaded(t, err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &all); err != nil {
		t.Fatal(err)
	}
	get(t, u, "/") // at once: no breaker has opened, and the target is in
	if got := seriesOf(t, reg, "wxgate_upstream_dials_total", "lacking"); got != 30 {
		t.Errorf("%v dials were lacking, want 30", got)
	}
}

func TestADialThatTimesOutOnOurOwnCPUIsNoFaultOfTheTarget(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	stuck := upstreamtest.Raw(t, func(conn net.Conn, _ int) { _, _ = io.Copy(io.Discard, conn) })
	u, _ := newDialling(t, strings.Replace(stuck.URL, "http:", "https:", 1), 8, func(c *upstream.Config) {
		c.Timeouts.Connect = 40 * time.Millisecond
	})
	_, err := u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	if !errors.Is(err, http1.ErrConnect) && !errors.Is(err, http1.ErrUnavailable) { // the machine itself may be starved
		t.Errorf("without load a dial that is not answered is %v, want a failed connection", err)
	}
	end := keepBusy()
	_, err = u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	end()
	wantOverloaded(t, err)
}

func TestATargetThatWasConnectedInTimeServesHoweverLateWeSeeIt(t *testing.T) {
	t.Parallel()
	if !alone(t) {
		return
	}
	service := upstreamtest.Echo(t)
	u, _ := newDialling(t, service.URL, 8, func(c *upstream.Config) { c.Timeouts.Connect = 100 * time.Millisecond })
	end := keepBusy()
	_, err := u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	for tries := 1; errors.Is(err, http1.ErrOverloaded) && tries < 10; tries++ { // on a busy machine we may be too late to ask, too
		_, err = u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	}
	end()
	if err != nil {
		t.Error(err)
	}
}

// keepBusy makes everything wait for a CPU, some 200 ms each time, until end is called.
func keepBusy() (end func()) {
	stop := make(chan struct{})
	var busy sync.WaitGroup
	for range 200 * runtime.GOMAXPROCS(0) {
		busy.Go(func() { spin(stop) })
	}
	return func() {
		close(stop)
		busy.Wait()
	}
}

// spin keeps a CPU busy for a millisecond each time that it gets one.
func spin(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		for until := time.Now().Add(time.Millisecond); time.Now().Before(until); {
		}
		runtime.Gosched()
	}
}

// crowdedTarget has room for two connections that it has not accepted, and accepts one every 20 ms. It answers each
// request at once.
func crowdedTarget(t *testing.T) (url string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "listener")
	defer file.Close()
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 1)); err != nil {
		t.Fatal(err)
	}
	listener, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for pause := time.NewTicker(20 * time.Millisecond); ; <-pause.C {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerAll(conn)
		}
	}()
	return "http://" + listener.Addr().String()
}

func answerAll(conn net.Conn) {
	defer conn.Close()
	for br := bufio.NewReader(conn); ; {
		if _, err := upstreamtest.ReadRequest(br); err != nil {
			return
		}
		<-time.After(200 * time.Millisecond) // so that those who wait need connections of their own
		if _, err := io.WriteString(conn, upstreamtest.OK("text/plain", "hi")); err != nil {
			return
		}
	}
}

// TestATargetThatAcceptsSlowlyIsNotFailingWhenManyCome: what does not fit into its backlog gets no answer to its SYN, and
// that was a failed connection, which ejects targets and opens breakers.
func TestATargetThatAcceptsSlowlyIsNotFailingWhenManyCome(t *testing.T) {
	t.Parallel()
	u, reg := newDialling(t, crowdedTarget(t), 32, func(c *upstream.Config) { c.Timeouts.Connect = 300 * time.Millisecond })
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			_, err := u.Do(within(20*time.Second), newRequest("GET", "/"), new(message.Response), 0)
			if err != nil && !errors.Is(err, http1.ErrOverloaded) { // of limits.dials, or of CPU time on a busy machine
				t.Errorf("a request is %v, want an answer, or overloaded", err)
			}
		})
	}
	all.Wait()
	if got := seriesOf(t, reg, "wxgate_upstream_dials_total", "lacking"); got == 0 {
		t.Error("every dial had room in the backlog: the test tests nothing")
	}
	if got := seriesOf(t, reg, "wxgate_upstream_dials_total", "failed"); got != 0 {
		t.Errorf("%v dials failed, want none", got)
	}
	if got := seriesOf(t, reg, "wxgate_upstream_breaker_open", ""); got != 0 {
		t.Error("the breaker is open because of our own requests")
	}
}

// TestEachRefusalNamesTheKeyOfTheLimit, so that whoever reads the log knows what to raise.
func TestEachRefusalNamesTheKeyOfTheLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*upstream.Config)
		wants  []string
		limit  string // in the metric
	}{
		{func(c *upstream.Config) { c.Keepalive.MaxConns, c.Queue.Length = 1, 0 }, []string{"keepalive.max_conns is 1", "queue.length (0)"}, "keepalive.max_conns"},
		{func(c *upstream.Config) { c.Queue.InFlight, c.Queue.Length = 1, 0 }, []string{"queue.in_flight is 1", "queue.length (0)"}, "queue.in_flight"},
		{func(c *upstream.Config) { c.Keepalive.MaxConns, c.Queue.Wait = 1, time.Millisecond }, []string{"keepalive.max_conns is 1", "queue.wait (1ms)"}, "keepalive.max_conns"},
	} {
		service := upstreamtest.Raw(t, func(conn net.Conn, _ int) { _, _ = io.Copy(io.Discard, conn) })
		u, reg := newDialling(t, service.URL, 8, c.change)
		ctx, cancel := context.WithCancel(t.Context())
		var busy sync.WaitGroup
		busy.Go(func() { _, _ = u.Do(ctx, newRequest("GET", "/"), new(message.Response), 0) })
		eventually(t, "a request is in flight", func() bool { return seriesOf(t, reg, "wxgate_upstream_in_flight", "") == 1 && service.Conns() == 1 })
		_, err := u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
		wantOverloaded(t, err)
		for _, want := range c.wants {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("the refusal is %q, want it to say %q", err, want)
			}
		}
		if got := seriesOf(t, reg, "wxgate_upstream_queued_total", c.limit); got != 1 {
			t.Errorf("%v refusals for %s, want 1", got, c.limit)
		}
		cancel()
		busy.Wait()
	}
}

// TestTheWaitForAConnectionIsNotTheServices: it says nothing about how fast the service answers.
func TestTheWaitForAConnectionIsNotTheServices(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { <-answer; return upstreamtest.OK("text/plain", "hi") })
	u, reg := newDialling(t, service.URL, 8, func(c *upstream.Config) { c.Keepalive.MaxConns, c.Queue.Wait = 1, 30*time.Second })
	results := make(chan upstream.Result, 2)
	ask := func() {
		result, err := u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
		if err != nil {
			t.Error(err)
		}
		results <- result
	}
	go ask()
	eventually(t, "a request is in flight", func() bool { return service.Conns() == 1 })
	go ask()
	eventually(t, "another one waits", func() bool { return seriesOf(t, reg, "wxgate_upstream_queue_length", "") == 1 })
	<-time.After(100 * time.Millisecond) // what it waits at least
	close(answer)
	first, second := <-results, <-results
	if first.Queued != 0 || second.Queued < 100*time.Millisecond || second.Queued > second.Duration {
		t.Errorf("queued for %v and %v of %v, want 0 and at least 100ms", first.Queued, second.Queued, second.Duration)
	}
}
