package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/upstream/http1"
)

const (
	resolveEvery = 10 * time.Second // between two look-ups of a name
	resolvePause = time.Second      // at least, when connections to its addresses fail
	resolveLimit = 5 * time.Second  // for one look-up
	maxAddresses = 64               // of one name
)

// target is one entry of targets. It keeps its endpoints while the configuration changes around it.
type target struct {
	up      *Upstream
	origin  http1.Origin
	weight  int
	metrics targetMetrics

	endpoints []*endpoint // guarded by up.mu
	slow      bool        // likewise: further endpoints start slowly
	gone      bool        // likewise: it has been closed

	lost      bool          // the last look-up failed; only follow knows it
	first     chan struct{} // closed when the name was looked up once, well or not
	again     chan struct{} // asks for a look-up
	cancel    context.CancelFunc
	following sync.WaitGroup
}

// newTarget begins to look the name up; an address needs no looking up.
func (u *Upstream) newTarget(o http1.Origin, cfg Config, sec *http1.Security) *target {
	t := &target{
		up: u, origin: o, metrics: u.shared.ofTarget(u.name, o.Address), slow: u.fleet.Load() != nil,
		first: make(chan struct{}), again: make(chan struct{}, 1),
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	if _, err := netip.ParseAddr(o.Host); err == nil {
		t.endpoints = []*endpoint{t.newEndpoint(o.Address, cfg, sec)}
		close(t.first)
		return t
	}
	t.following.Go(func() { t.follow(ctx) })
	return t
}

// follow looks the name up again and again. Whatever fails, the addresses that were found before stay.
func (t *target) follow(ctx context.Context) {
	t.resolve(ctx)
	close(t.first)
	for wait(ctx, t.up.deps.pause, nil) && wait(ctx, t.up.deps.resolve, t.again) {
		t.resolve(ctx)
	}
}

// wait returns after d, or as soon as something comes on early; false when ctx ended.
func wait(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-early:
	case <-timer.C:
	}
	return true
}

func (t *target) resolve(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	found, err := t.up.deps.lookup(limited, t.origin.Host)
	switch {
	case ctx.Err() != nil:
		return
	case err == nil && len(found) == 0:
		err = errNoAddress
	}
	if t.noteLookup(err); err != nil {
		return
	}
	addresses := make([]string, 0, len(found))
	for _, ip := range found {
		addresses = append(addresses, net.JoinHostPort(ip.Unmap().String(), t.origin.Port))
	}
	slices.Sort(addresses)
	addresses = slices.Compact(addresses)
	t.up.settle(t, addresses[:min(len(addresses), maxAddresses)])
}

// errNoAddress is a name that exists, without an address.
var errNoAddress = errors.New("the name has no address")

// noteLookup takes down how a look-up went.
func (t *target) noteLookup(err error) {
	if err != nil {
		t.metrics.dnsFailures.Inc()
	}
	switch lost := err != nil; {
	case lost == t.lost:
		return
	case lost:
		t.up.journal.nameLost(t, err, t.up.known(t))
	default:
		t.up.journal.nameFound(t)
	}
	t.lost = !t.lost
}

// lookAgain asks for a look-up soon: a connection to one of the addresses failed.
func (t *target) lookAgain() {
	select {
	case t.again <- struct{}{}:
	default:
	}
}

func (t *target) close() {
	t.cancel()
	t.following.Wait()
	t.up.mu.Lock()
	t.gone = true
	endpoints := t.endpoints
	t.endpoints = nil
	t.up.mu.Unlock()
	for _, e := range endpoints {
		e.pool.Close()
	}
}

// newEndpoint makes the endpoint of one address.
func (t *target) newEndpoint(address string, cfg Config, sec *http1.Security) *endpoint {
	e := &endpoint{
		target: t, address: address, seed: seedOf(address),
		pool: http1.NewPool(t.origin, address, cfg.connections(sec), http1.Owner{
			Queue: &t.up.queue, Dials: &t.up.metrics.dials, Now: t.up.deps.now, Undrained: func() { t.up.markUndrained(t) },
		}),
	}
	e.load = e.pool
	if t.slow {
		e.since = t.up.deps.now()
	}
	return e
}

// count takes down how a try ended.
func (t *target) count(f fate) { t.metrics.results[f].Inc() }

// targetMetrics are the metrics of one target.
type targetMetrics struct {
	results     [fates]prometheus.Counter // fateNone: nil
	ejections   prometheus.Counter
	dnsFailures prometheus.Counter
	unasked     prometheus.Counter
}
