package upstream_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

// names answers look-ups as a test says.
type names struct {
	mu    sync.Mutex
	found []netip.Addr
	err   error
}

func (n *names) set(err error, found ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err, n.found = err, nil
	for _, a := range found {
		n.found = append(n.found, netip.MustParseAddr(a))
	}
}

func (n *names) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if host != "recipes.example" {
		return nil, errors.New("an unexpected name")
	}
	return n.found, n.err
}

// named makes an upstream at a name of two services, a at 127.0.0.1 and b at 127.0.0.2.
func named(t *testing.T, n *names) *rig {
	t.Helper()
	a := upstreamtest.NewSwitchable(t, "a", "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(a.Addr)
	b := upstreamtest.NewSwitchable(t, "b", net.JoinHostPort("127.0.0.2", port))
	r := &rig{t: t, cfg: upstream.DefaultConfig(), reg: prometheus.NewRegistry(), now: time.Unix(1e9, 0), services: []*upstreamtest.Switchable{a, b}}
	r.cfg.Balance = "round_robin"
	r.cfg.Targets = []upstream.Target{{URL: "http://recipes.example:" + port, Weight: 1}}
	u, err := upstream.NewWithEnv(upstream.Env{Now: r.clock, Lookup: n.lookup, Log: r.log.logger()}, "recipes", r.cfg, upstream.NewMetrics(r.reg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	r.Upstream = u
	return r
}

// TestADeadlineDuringTheFirstLookupIsATimeout: it passed for a client that had left, who gets no answer.
func TestADeadlineDuringTheFirstLookupIsATimeout(t *testing.T) {
	t.Parallel()
	cfg := upstream.DefaultConfig()
	cfg.Targets = []upstream.Target{{URL: "http://recipes.example:80", Weight: 1}}
	cfg.Timeouts.Connect = 10 * time.Second
	hangs := func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }
	u, err := upstream.NewWithEnv(upstream.Env{Lookup: hangs, Log: slog.New(slog.DiscardHandler)}, "recipes", cfg, upstream.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	var req message.Request
	var resp message.Response
	if _, err := u.Do(ctx, &req, &resp, 0); !errors.Is(err, http1.ErrTimeout) && !errors.Is(err, http1.ErrConnect) {
		t.Errorf("got %v, want http1.ErrTimeout, or http1.ErrConnect when the lookup is given up first", err)
	}
}

func TestEveryAddressOfANameIsUsed(t *testing.T) {
	t.Parallel()
	var n names
	n.set(nil, "127.0.0.1", "::ffff:127.0.0.2", "127.0.0.1")
	r := named(t, &n)
	r.want("20 requests", r.answers("GET", 20), "map[a:10 b:10]")
	if got := r.services[0].Requests()[0].Field("Host"); got != r.cfg.Targets[0].URL[len("http://"):] {
		t.Errorf("Host is %s, want the name", got)
	}
}

func TestADeadAddressOfANameFailsNothing(t *testing.T) {
	t.Parallel()
	var n names
	n.set(nil, "127.0.0.1", "127.0.0.2", "127.0.0.3") // as localhost with a service that has no IPv6
	r := named(t, &n)
	counts := r.answers("POST", 40)
	r.want("answered", counts["a"]+counts["b"], 40)
}

func TestANameIsFollowedAndSurvivesItsServer(t *testing.T) {
	t.Parallel()
	var n names
	n.set(nil, "127.0.0.1")
	r := named(t, &n)
	r.want("the only address", r.answers("GET", 4), "map[a:4]")
	n.set(errors.New("no name server"))
	eventually(t, "look-ups fail", func() bool { return r.metric("dns_failures_total") >= 2 })
	r.want("the address stays", r.answers("GET", 4), "map[a:4]")
	n.set(nil)
	failures := r.metric("dns_failures_total")
	eventually(t, "an empty answer is a failure too", func() bool { return r.metric("dns_failures_total") > failures+1 })
	r.want("the address still stays", r.answers("GET", 4), "map[a:4]")
	n.set(nil, "127.0.0.2")
	eventually(t, "the name has moved", func() bool { who, _ := r.send("GET"); return who == "b" })
	eventually(t, "connections to the old address are closed", func() bool { return r.services[0].OpenConns() == 0 })
}

func TestANameThatIsUnknownAtFirstIsAConnectErrorUntilItIsKnown(t *testing.T) {
	t.Parallel()
	var n names
	n.set(errors.New("no such host"))
	r := named(t, &n)
	_, err := r.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	wantError(t, err, http1.ErrConnect)
	r.want("up", r.metric("up"), 0)
	n.set(nil, "127.0.0.1")
	eventually(t, "the name is known", func() bool { who, _ := r.send("GET"); return who == "a" })
}

func TestRequestsGoOnWhileAddressesChange(t *testing.T) {
	t.Parallel()
	var n names
	n.set(nil, "127.0.0.1", "127.0.0.2")
	r := named(t, &n)
	stop, changed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(changed)
		sets := [][]string{{"127.0.0.1"}, {"127.0.0.2"}, {"127.0.0.1", "127.0.0.2"}}
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				n.set(nil, sets[i%3]...)
			}
		}
	}()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if who, _ := r.send("POST"); who != "a" && who != "b" {
					t.Errorf("answered %s", who)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	<-changed
}
