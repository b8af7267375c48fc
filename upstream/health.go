package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/upstream/http1"
)

// checked is what active checks have found.
type checked struct {
	unhealthy bool
	failed    int // in a row
	well      int // in a row
}

// checker asks all endpoints for their health, round after round.
type checker struct {
	up      *Upstream
	cfg     Health
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newChecker begins to ask; without a path to ask for it only forgets what was found before.
func (u *Upstream) newChecker(cfg Health) *checker {
	if cfg.Path == "" {
		for _, e := range u.fleet.Load().endpoints {
			if e.forgetChecks() {
				u.journal.healthy(e, "it is not asked any more")
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &checker{up: u, cfg: cfg, cancel: cancel}
	c.running.Go(func() { c.run(ctx) })
	return c
}

// forgetChecks forgets what checks have found; out says that they had taken the endpoint out.
func (e *endpoint) forgetChecks() (out bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out = e.checked.unhealthy
	e.checked = checked{}
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
		for _, e := range c.up.fleet.Load().endpoints {
			round.Go(func() {
				if ill := e.check(ctx, c.cfg); ctx.Err() == nil && !errors.Is(ill, http1.ErrOverloaded) {
					c.note(e, ill)
				}
			})
		}
		round.Wait()
		if !wait(ctx, c.cfg.Interval, nil) {
			return
		}
	}
}

// note takes down what a check of e has found: nil is well.
func (c *checker) note(e *endpoint, ill error) {
	failed, turned := e.noteCheck(ill == nil, c.cfg, c.up.deps.now())
	switch {
	case !turned:
	case ill != nil:
		c.up.journal.unhealthy(e, failed, ill)
	default:
		c.up.journal.healthy(e, fmt.Sprintf("%d health checks went well", c.cfg.HealthyAfter))
	}
}

// check asks once, on a connection of its own: an endpoint that takes no new ones is not well. The error says how it is ill.
func (e *endpoint) check(ctx context.Context, cfg Health) error {
	status, err := e.pool.Check(ctx, e.checkedHost(), cfg.Path, cfg.Timeout)
	if err != nil {
		return err
	}
	return wellAnswered(status)
}

// checkedHost is the Host of a health check: there is no client whose it could be.
func (e *endpoint) checkedHost() string {
	return cmp.Or(e.target.up.fleet.Load().cfg.ownHost(e.target.origin), e.target.origin.Name)
}

func wellAnswered(status int) error {
	if status >= fasthttp.StatusBadRequest {
		return fmt.Errorf("it answers %d", status)
	}
	return nil
}

// noteCheck takes down what a check has found, and says whether that has taken the endpoint out or brought it back. Who
// becomes healthy again starts slowly.
func (e *endpoint) noteCheck(well bool, cfg Health, now time.Time) (failed int, turned bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := &e.checked
	if !well {
		found.well = 0
		found.failed++
		turned = !found.unhealthy && found.failed >= cfg.UnhealthyAfter
		found.unhealthy = found.unhealthy || turned
		return found.failed, turned
	}
	found.failed = 0
	found.well++
	if found.unhealthy && found.well >= cfg.HealthyAfter {
		found.unhealthy, e.failures, e.since, turned = false, 0, now, true
	}
	return 0, turned
}
