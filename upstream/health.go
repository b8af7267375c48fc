package upstream

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
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
			e.mu.Lock()
			e.checked = checked{}
			e.mu.Unlock()
		}
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &checker{up: u, cfg: cfg, cancel: cancel}
	c.running.Go(func() { c.run(ctx) })
	return c
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
				well := e.check(ctx, c.cfg)
				if ctx.Err() == nil {
					e.noteCheck(well, c.cfg, c.up.deps.now())
				}
			})
		}
		round.Wait()
		if !wait(ctx, c.cfg.Interval, nil) {
			return
		}
	}
}

// check asks once, on a connection of its own: an endpoint that takes no new ones is not well.
func (e *endpoint) check(ctx context.Context, cfg Health) bool {
	deadline := time.Now().Add(cfg.Timeout)
	c, err := e.pool.dialer.dial(cfg.Timeout, deadline)
	if err != nil {
		return false
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if c.SetDeadline(deadline) != nil {
		return false
	}
	_, err = io.WriteString(c, "GET "+cfg.Path+" HTTP/1.1\r\nHost: "+e.target.origin.name+
		"\r\nUser-Agent: wxgate-health\r\nAccept: */*\r\nConnection: close\r\n\r\n")
	for err == nil {
		var h head
		if h, err = readHead(c, new(fasthttp.Response)); err == nil && !h.interim() {
			return h.status < fasthttp.StatusBadRequest
		}
	}
	return false
}

// noteCheck takes down what a check has found. Who becomes healthy again starts slowly.
func (e *endpoint) noteCheck(well bool, cfg Health, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := &e.checked
	if !well {
		found.well = 0
		found.failed++
		found.unhealthy = found.unhealthy || found.failed >= cfg.UnhealthyAfter
		return
	}
	found.failed = 0
	found.well++
	if found.unhealthy && found.well >= cfg.HealthyAfter {
		found.unhealthy, e.failures, e.since = false, 0, now
	}
}
