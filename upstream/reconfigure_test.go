package upstream_test

import (
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

// reconfigure gives the rig a changed configuration.
func (r *rig) reconfigure(change func(*upstream.Config)) {
	r.t.Helper()
	r.cfg.Targets = append([]upstream.Target(nil), r.cfg.Targets...)
	change(&r.cfg)
	if err := r.Reconfigure(r.cfg); err != nil {
		r.t.Fatal(err)
	}
}

func TestAnInvalidConfigurationChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	bad := r.cfg
	bad.Targets, bad.Balance = bad.Targets[:1], "p2"
	if err := r.Reconfigure(bad); err == nil {
		t.Fatal("Reconfigure took it")
	}
	r.want("both targets serve on", r.answers("GET", 4), "map[a:2 b:2]")
}

func TestWhatStaysKeepsItsConnectionsAndItsHealth(t *testing.T) {
	t.Parallel()
	r := newRig(t, 3, func(c *upstream.Config) { c.Retries.Attempts = 0 })
	r.services[0].Become(t, upstreamtest.Hangup)
	_ = r.answers("GET", 30)
	conns := r.services[1].Conns()
	r.reconfigure(func(c *upstream.Config) {
		c.Targets = c.Targets[:2]
		c.Timeouts.Response, c.Keepalive.MaxConns, c.Targets[1].Weight = 5*time.Second, 7, 3
	})
	r.want("the ejected one stays ejected", r.answers("GET", 20), "map[b:20]")
	r.want("connections of b", r.services[1].Conns(), conns)
	eventually(t, "those of c are closed", func() bool { return r.services[2].OpenConns() == 0 })
	r.want("series of c", r.metric("requests_total", r.services[2].Addr), 0)
}

func TestANewTargetBeginsSlowly(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	second := r.cfg.Targets[1]
	r.reconfigure(func(c *upstream.Config) { c.Targets = c.Targets[:1] })
	r.reconfigure(func(c *upstream.Config) { c.Targets = append(c.Targets, second) })
	if got := r.answers("GET", 44)["b"]; got < 3 || got > 5 {
		t.Errorf("the new one got %d of 44, want a tenth of its share", got)
	}
	r.move(10 * time.Second)
	r.want("later", r.answers("GET", 20), "map[a:10 b:10]")
}

func TestARemovedTargetFinishesWhatItHas(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.services[0].Become(t, upstreamtest.Frozen)
	answered := make(chan string)
	go func() {
		who, _ := r.send("POST")
		answered <- who
	}()
	eventually(t, "a has it", func() bool { return arrived(r.services[0], "POST") == 1 })
	r.reconfigure(func(c *upstream.Config) { c.Targets = c.Targets[1:] })
	r.want("others go to b", r.answers("POST", 4), "map[b:4]")
	r.services[0].Become(t, upstreamtest.Well)
	r.want("the request in flight", <-answered, "a")
	eventually(t, "its connection is closed", func() bool { return r.services[0].OpenConns() == 0 })
}

func TestNoRequestIsLostOverReconfigurations(t *testing.T) {
	t.Parallel()
	r := newRig(t, 3)
	all, cfg := r.cfg.Targets, r.cfg
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := r.Do(soon(), newRequest("POST", "/"), new(message.Response), 0); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	policies := []string{"p2c", "round_robin", "hash(user)"}
	for i := range 200 {
		next := cfg
		next.Targets = append([]upstream.Target(nil), all[i%3:min(i%3+1+i%2, 3)]...)
		next.Balance = policies[i%len(policies)]
		next.Keepalive.MaxConns = 100 + i%3
		next.Health.Path = []string{"", "/healthz"}[i%2]
		if err := r.Reconfigure(next); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	clients.Wait()
}

func TestAClosedUpstreamTakesNoConfiguration(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *upstream.Config) { c.Health.Path = "/healthz" })
	r.Close()
	if err := r.Reconfigure(r.cfg); err == nil {
		t.Error("it took one")
	}
	_, err := r.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	wantError(t, err, http1.ErrUnavailable)
	r.want("its gauges", r.metric("up"), 0)
}

func TestTheSeriesOfAClosedUpstreamAreThoseOfItsSuccessor(t *testing.T) {
	t.Parallel()
	of, reg := newRig(t, 1).cfg, prometheus.NewRegistry()
	metrics := upstream.NewMetrics(reg)
	open := func() *upstream.Upstream {
		u, err := upstream.New("recipes", of, metrics, nil)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	ask := func(u *upstream.Upstream) {
		if _, err := u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0); err != nil {
			t.Fatal(err)
		}
	}
	before := open()
	after := open()
	defer after.Close()
	ask(before)
	ask(after)
	before.Close()
	ask(after)
	if got, err := testutil.GatherAndCount(reg, "wxgate_upstream_request_duration_seconds", "wxgate_upstream_up"); err != nil || got != 2 {
		t.Errorf("after the first is closed there are %d series, error %v, want both of the second", got, err)
	}
	after.Close()
	if families, err := reg.Gather(); err != nil || len(families) != 0 {
		t.Errorf("after both are closed there are %v, error %v, want no series", families, err)
	}
}
