package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"wxgate/bench/epoll"
)

// closedPace sends the next request as soon as the last one was answered.
type closedPace struct{ g *generator }

func (p *closedPace) idle(c *conn, now time.Time) error { return p.g.send(c, now) }
func (p *closedPace) tick(time.Time) error              { return nil }
func (p *closedPace) over(now time.Time) bool           { return p.g.meter.over(now) }

// openPace sends requests at random moments (a Poisson process), whether or not earlier ones were answered.
type openPace struct {
	g       *generator
	timer   int
	random  *rand.Rand
	due     time.Time // of the next request
	free    []*conn
	backlog []time.Time // when requests were due for which there was no connection
}

func newOpenPace(g *generator) (*openPace, error) {
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: timer: %w", err)
	}
	p := &openPace{g: g, timer: timer, random: rand.New(rand.NewPCG(1, 2)), due: time.Now()}
	return p, errors.Join(g.poll.Add(timer), p.arm(1))
}

// idle uses the connection that was free last first: few connections stay warm, as from a load balancer.
func (p *openPace) idle(c *conn, _ time.Time) error {
	p.free = append(p.free, c)
	return nil
}

func (p *openPace) over(now time.Time) bool { return p.g.meter.over(now) }

func (p *openPace) tick(now time.Time) error {
	if err := p.sendBacklog(); err != nil || p.due.After(now) {
		return err
	}
	for ; !p.due.After(now); now = time.Now() {
		p.backlog = append(p.backlog, p.due)
		if p.usable() == nil {
			p.g.meter.behind()
		}
		if err := p.sendBacklog(); err != nil {
			return err
		}
		p.due = p.due.Add(time.Duration(float64(time.Second) / p.g.cfg.Rate * p.random.ExpFloat64()))
	}
	return p.arm(p.due.Sub(now))
}

// usable returns the connection that is free and still open, or nil.
func (p *openPace) usable() *conn {
	for len(p.free) > 0 {
		c := p.free[len(p.free)-1]
		if c.fd >= 0 {
			return c
		}
		p.free = p.free[:len(p.free)-1]
	}
	return nil
}

func (p *openPace) sendBacklog() error {
	for len(p.backlog) > 0 {
		c := p.usable()
		if c == nil {
			return nil
		}
		due := p.backlog[0]
		p.free, p.backlog = p.free[:len(p.free)-1], p.backlog[1:]
		if err := p.g.send(c, due); err != nil {
			return err
		}
	}
	return nil
}

// arm wakes the loop up in d, and makes the timer unreadable until then.
func (p *openPace) arm(d time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(1, d)))}
	return unix.TimerfdSettime(p.timer, 0, &spec, nil)
}

// hold opens every connection with one request each, tells held, and keeps them until ctx ends.
func (g *generator) hold(ctx context.Context, held func(Result)) (Result, error) {
	p := &holdPace{g: g}
	g.meter.measureNow(time.Now())
	// When nothing was answered for two seconds, nothing will be.
	for last := time.Now(); time.Since(last) < 2*time.Second && (p.opened < g.cfg.Connections || p.waiting() > 0); {
		if err := p.open(); err != nil {
			return Result{}, err
		}
		err := g.poll.Wait(1000, func(e epoll.Event) error {
			last = time.Now()
			return g.handle(p, e, time.Now())
		})
		if err != nil {
			return Result{}, err
		}
	}
	result := g.meter.result()
	result.Held = g.open()
	held(result)
	<-ctx.Done()
	return result, nil
}

// open returns how many connections are open and wait for nothing.
func (g *generator) open() (n int) {
	for _, c := range g.conns {
		if c != nil && !c.waiting {
			n++
		}
	}
	return n
}

// holdPace has few requests in flight while connections are opened, so that none is refused for its haste.
type holdPace struct {
	g      *generator
	opened int
}

// waiting returns how many requests have no answer yet.
func (p *holdPace) waiting() int {
	return p.opened - int(p.g.meter.count.Requests+p.g.meter.count.Errors)
}

func (p *holdPace) open() error {
	for p.opened < p.g.cfg.Connections && p.waiting() < 32 {
		c, err := p.g.dial()
		if err != nil {
			return err
		}
		p.opened++
		if err := p.g.send(c, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// idle ends the connection that took the place of one that the gateway ended: that one is lost.
func (p *holdPace) idle(c *conn, _ time.Time) error {
	if c.due.IsZero() {
		p.g.forget(c)
	}
	return nil
}

func (p *holdPace) tick(time.Time) error { return nil }
func (p *holdPace) over(time.Time) bool  { return false }
