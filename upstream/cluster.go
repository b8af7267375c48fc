package upstream

import (
	"fmt"
	"maps"
	"slices"

	"wxgate/upstream/http1"
)

// cluster is who serves and how, at one moment. It is never changed, only replaced.
type cluster struct {
	cfg       Config
	security  *http1.Security
	endpoints []*endpoint
	weights   []float64 // of endpoints
}

// Change is a prepared configuration that its Upstream can switch to.
type Change struct {
	up       *Upstream
	cfg      Config
	security *http1.Security
}

// Prepare reads everything that cfg needs and changes nothing. A configuration that Validate refuses, or whose files
// cannot be used, is an error.
func (u *Upstream) Prepare(cfg Config) (*Change, error) {
	section := "upstreams." + u.name
	if err := cfg.Validate().At(section).Err(); err != nil {
		return nil, err
	}
	sec, faults := cfg.TLS.Load()
	if err := faults.At(section + ".tls").Err(); err != nil {
		return nil, err
	}
	cfg.Targets = slices.Clone(cfg.Targets) // the caller may change its own
	return &Change{u, cfg, sec}, nil
}

// Apply switches the Upstream to the configuration while requests go on: targets that stay keep their connections,
// their health and their latency, and the breaker keeps its state. Requests in flight at targets that are removed run
// to their end. New targets start slowly. If neither the configuration nor its files differ, nothing happens. Only a
// closed Upstream is an error.
func (c *Change) Apply() error {
	u := c.up
	removed, checks, err := u.applyChange(c)
	if err != nil {
		return err
	}
	checks.close()
	for _, t := range removed {
		t.close()
		u.forgetTarget(t)
	}
	return nil
}

// forgetTarget removes the series of a target that is gone, unless another one has them now: http and https of one
// port.
func (u *Upstream) forgetTarget(gone *target) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !slices.ContainsFunc(u.targets, func(t *target) bool { return t.origin.Address == gone.origin.Address }) {
		u.shared.forgetTarget(u.name, gone.origin.Address)
	}
}

// applyChange applies a change and returns what is to be closed.
func (u *Upstream) applyChange(c *Change) (removed []*target, checks *checker, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil, nil, fmt.Errorf("%w: closed", http1.ErrUnavailable)
	}
	cfg, sec := c.cfg, c.security
	if before := u.cluster.Load(); before != nil && before.security.Same(sec) {
		if before.cfg.equal(cfg) {
			return nil, nil, nil
		}
		sec = before.security
	}
	u.targets, removed = u.nextTargets(cfg, sec)
	u.breaker.Configure(cfg.Breaker.limits())
	u.budget.configure(cfg.Retries.Budget)
	u.queue.configure(cfg.Queue)
	u.publish(cfg, sec)
	for _, e := range u.cluster.Load().endpoints {
		e.pool.Configure(cfg.connections(sec))
	}
	checks, u.checks = u.checks, newChecker(u, cfg.Health)
	return removed, checks, nil
}

// nextTargets keeps the targets that cfg names too, makes those that are new and gives those that go.
func (u *Upstream) nextTargets(cfg Config, sec *http1.Security) (next, removed []*target) {
	old := make(map[http1.Origin]*target, len(u.targets))
	for _, t := range u.targets {
		old[t.origin] = t
	}
	for _, c := range cfg.Targets {
		o, _ := http1.ParseOrigin(c.URL) // Validate has read it before
		t := old[o]
		if t == nil {
			t = newTarget(u, o, cfg, sec)
		}
		delete(old, o)
		t.weight = c.Weight
		next = append(next, t)
	}
	return next, slices.Collect(maps.Values(old))
}

// publish makes a cluster of what there is. The caller holds mu.
func (u *Upstream) publish(cfg Config, sec *http1.Security) {
	f := &cluster{cfg: cfg, security: sec}
	for _, t := range u.targets {
		for _, e := range t.endpoints {
			f.endpoints = append(f.endpoints, e)
			f.weights = append(f.weights, float64(t.weight))
		}
	}
	u.cluster.Store(f)
}

// setAddresses gives a target the addresses that its name has now, in order.
func (u *Upstream) setAddresses(t *target, addresses []string) {
	if u.replaceEndpoints(t, addresses) {
		u.events.addressesChanged(t, addresses)
	}
}

// replaceEndpoints reports whether the addresses are not those that the target had.
func (u *Upstream) replaceEndpoints(t *target, addresses []string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if t.closed || u.closed || slices.EqualFunc(t.endpoints, addresses, func(e *endpoint, a string) bool { return e.address == a }) {
		return false
	}
	cfg, sec := u.cluster.Load().cfg, u.cluster.Load().security
	old := make(map[string]*endpoint, len(t.endpoints))
	for _, e := range t.endpoints {
		old[e.address] = e
	}
	t.endpoints = nil
	for _, a := range addresses {
		e := old[a]
		if e == nil {
			e = t.newEndpoint(a, cfg, sec)
		}
		delete(old, a)
		t.endpoints = append(t.endpoints, e)
	}
	t.slow = true
	u.publish(cfg, sec)
	for _, e := range old {
		e.pool.Close()
	}
	return true
}

// addressCount returns how many addresses a target has.
func (u *Upstream) addressCount(t *target) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(t.endpoints)
}
