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
	closed    bool        // likewise: it has been closed

	lookupFailed bool          // the last look-up failed; only follow knows it
	lookedUp     chan struct{} // closed when the name was looked up once, whatever the result
	lookupWanted chan struct{} // asks for a look-up
	cancel       context.CancelFunc
	following    sync.WaitGroup
}

// newTarget begins to look the name up; an address and a Unix socket need no looking up.
func newTarget(u *Upstream, o http1.Origin, cfg Config, sec *http1.Security) *target {
	t := &target{
		up: u, origin: o, metrics: u.shared.ofTarget(u.name, o.Address), slow: u.cluster.Load() != nil,
		lookedUp: make(chan struct{}), lookupWanted: make(chan struct{}, 1),
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	if _, err := netip.ParseAddr(o.Host); err == nil || o.Socket != "" {
		t.endpoints = []*endpoint{t.newEndpoint(o.Address, cfg, sec)}
		close(t.lookedUp)
		return t
	}
	t.following.Go(func() { t.follow(ctx) })
	return t
}

// follow looks the name up again and again. Whatever fails, the addresses that were found before stay.
func (t *target) follow(ctx context.Context) {
	t.resolve(ctx)
	close(t.lookedUp)
	for wait(ctx, t.up.deps.pause, nil) && wait(ctx, t.up.deps.resolve, t.lookupWanted) {
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
	if t.recordLookup(err); err != nil {
		return
	}
	addresses := make([]string, 0, len(found))
	for _, ip := range found {
		addresses = append(addresses, net.JoinHostPort(ip.Unmap().String(), t.origin.Port))
	}
	slices.Sort(addresses)
	addresses = slices.Compact(addresses)
	t.up.setAddresses(t, addresses[:min(len(addresses), maxAddresses)])
}

// errNoAddress is a name that exists, without an address.
var errNoAddress = errors.New("the name has no addresses")

// recordLookup records the result of a look-up.
func (t *target) recordLookup(err error) {
	if err != nil {
		t.metrics.dnsFailures.Inc()
	}
	switch lost := err != nil; {
	case lost == t.lookupFailed:
		return
	case lost:
		t.up.events.lookupFailed(t, err, t.up.addressCount(t))
	default:
		t.up.events.lookupRecovered(t)
	}
	t.lookupFailed = !t.lookupFailed
}

// reresolve asks for a look-up soon: a connection to one of the addresses failed.
func (t *target) reresolve() {
	select {
	case t.lookupWanted <- struct{}{}:
	default:
	}
}

func (t *target) close() {
	t.cancel()
	t.following.Wait()
	t.up.mu.Lock()
	t.closed = true
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
			Wait: t.up.queue.wait, Permits: t.up.queue.permits, Dialed: t.up.metrics.dialed,
			Undrained: t.markUndrained, Cohort: &t.up.cohort, Now: t.up.deps.now,
		}),
	}
	e.usage = e.pool.Usage
	if t.slow {
		e.slowStart = t.up.deps.now()
	}
	return e
}

// countOutcome counts how an attempt ended.
func (t *target) countOutcome(f outcome) { t.metrics.results[f].Inc() }

// markUndrained is called when the target said something that nobody had asked for on a connection that had carried
// content.
func (t *target) markUndrained() {
	t.metrics.unsolicited.Inc()
	if t.up.undrained.Swap(true) {
		return
	}
	t.up.events.undrained(t)
	for _, e := range t.up.cluster.Load().endpoints {
		e.pool.CloseCarried()
	}
}

// targetMetrics are the metrics of one target.
type targetMetrics struct {
	results     [outcomeCount]prometheus.Counter // outcomeNone: nil
	ejections   prometheus.Counter
	dnsFailures prometheus.Counter
	unsolicited prometheus.Counter
}
