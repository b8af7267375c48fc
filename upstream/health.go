package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"wxgate/upstream/http1"
)

// checkState is what active checks have found.
type checkState struct {
	unhealthy bool
	failed    int // in a row
	passed    int // in a row
}

// checker asks all endpoints for their health, round after round.
type checker struct {
	up      *Upstream
	cfg     Health
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newChecker starts the checks; without a path to ask for it only discards earlier results.
func newChecker(u *Upstream, cfg Health) *checker {
	if cfg.Path == "" {
		for _, e := range u.cluster.Load().endpoints {
			if e.resetChecks() {
				u.events.healthy(e, "health checks are off")
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &checker{up: u, cfg: cfg, cancel: cancel}
	c.running.Go(func() { c.run(ctx) })
	return c
}

// resetChecks discards the results of checks; out reports whether they had taken the endpoint out.
func (e *endpoint) resetChecks() (out bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out = e.checks.unhealthy
	e.checks = checkState{}
	return out
}

func (c *checker) close() {
	if c != nil {
		c.cancel()
		c.running.Wait()
	}
}

func (c *checker) run(ctx context.Context) {
	for {
		var round sync.WaitGroup
		for _, e := range c.up.cluster.Load().endpoints {
			round.Go(func() {
				if unhealthy := e.check(ctx, c.cfg); ctx.Err() == nil && !errors.Is(unhealthy, http1.ErrOverloaded) {
					c.record(e, unhealthy)
				}
			})
		}
		round.Wait()
		if !wait(ctx, c.cfg.Interval, nil) {
			return
		}
	}
}

// record records the result of a check of e: nil is healthy.
func (c *checker) record(e *endpoint, unhealthy error) {
	failed, changed := e.recordCheck(unhealthy == nil, c.cfg, c.up.deps.now())
	switch {
	case !changed:
	case unhealthy != nil:
		c.up.events.unhealthy(e, failed, unhealthy)
	default:
		c.up.events.healthy(e, fmt.Sprintf("%d health checks succeeded", c.cfg.HealthyAfter))
	}
}

// check asks once, on a connection of its own: an endpoint that accepts no new ones is not healthy. The error says
// what is wrong.
func (e *endpoint) check(ctx context.Context, cfg Health) error {
	status, err := e.pool.Check(ctx, e.checkHost(), cfg.Path, cfg.Timeout)
	if err != nil {
		return err
	}
	return judgeStatus(status)
}

// checkHost is the Host of a health check: there is no client whose it could be.
func (e *endpoint) checkHost() string {
	return cmp.Or(e.target.up.cluster.Load().cfg.ownHost(e.target.origin), e.target.origin.Name)
}

func judgeStatus(status int) error {
	if status >= http.StatusBadRequest {
		return fmt.Errorf("status %d", status)
	}
	return nil
}

// recordCheck records the result of a check, and reports whether that took the endpoint out or brought it back. One
// that becomes healthy again starts slowly.
func (e *endpoint) recordCheck(healthy bool, cfg Health, now time.Time) (failed int, changed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := &e.checks
	if !healthy {
		found.passed = 0
		found.failed++
		changed = !found.unhealthy && found.failed >= cfg.UnhealthyAfter
		found.unhealthy = found.unhealthy || changed
		return found.failed, changed
	}
	found.failed = 0
	found.passed++
	if found.unhealthy && found.passed >= cfg.HealthyAfter {
		found.unhealthy, e.failures, e.slowStart, changed = false, 0, now, true
	}
	return 0, changed
}
