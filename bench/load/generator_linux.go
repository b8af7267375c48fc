package load

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"wxgate/bench/epoll"
)

// pacer decides when requests are sent.
type pacer interface {
	idle(c *conn, now time.Time) error // c is open and has no request in flight
	tick(now time.Time) error          // after the events of a wait
	over(now time.Time) bool
}

// generator owns the connections of one measurement.
type generator struct {
	cfg   Config
	poll  *epoll.Poll
	heads *heads
	piece []byte // of content
	conns []*conn
	meter *meter
}

// Run measures once. Hold calls held when all connections are open, and then keeps them until ctx ends.
func Run(ctx context.Context, cfg Config, held func(Result)) (Result, error) {
	if err := cfg.check(); err != nil {
		return Result{}, err
	}
	raiseDescriptors()
	if cfg.Pace == Login {
		return logIn(ctx, cfg)
	}
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g, err := newGenerator(cfg)
	if err != nil {
		return Result{}, err
	}
	defer g.close()
	if cfg.Pace == Hold {
		return g.hold(ctx, held)
	}
	p, err := g.pacer()
	if err != nil {
		return Result{}, err
	}
	if err := g.run(p); err != nil {
		return Result{}, err
	}
	return g.meter.result(), nil
}

// raiseDescriptors allows as many connections as the system does.
func raiseDescriptors() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
}

func newGenerator(cfg Config) (*generator, error) {
	heads, err := newHeads(&cfg)
	if err != nil {
		return nil, err
	}
	poll, err := epoll.New()
	if err != nil {
		return nil, err
	}
	g := &generator{cfg: cfg, poll: poll, heads: heads, meter: newMeter(&cfg)}
	if cfg.Content > 0 {
		g.piece = make([]byte, min(cfg.Content, 256<<10))
		for i := range g.piece {
			g.piece[i] = "0123456789abcdef"[i%16]
		}
	}
	return g, nil
}

func (g *generator) pacer() (pacer, error) {
	switch g.cfg.Pace {
	case Closed:
		return &closedPace{g: g}, nil
	case Open:
		return newOpenPace(g)
	default:
		return nil, fmt.Errorf("load: there is no pace %q", g.cfg.Pace)
	}
}

// close ends every connection.
func (g *generator) close() {
	for _, c := range g.conns {
		if c != nil {
			_ = unix.Close(c.fd)
		}
	}
}

// run opens the connections and serves them until the pacer says that it is over.
func (g *generator) run(p pacer) error {
	for range g.cfg.Connections {
		c, err := g.dial()
		if err != nil {
			return err
		}
		if err := p.idle(c, time.Now()); err != nil {
			return err
		}
	}
	g.meter.start(time.Now())
	for now := time.Now(); !p.over(now); now = time.Now() {
		batch := time.Time{}
		err := g.poll.Wait(100, func(e epoll.Event) error {
			if batch.IsZero() {
				batch = time.Now()
			}
			return g.handle(p, e, batch)
		})
		if err == nil {
			g.meter.tick(time.Now())
			err = p.tick(time.Now())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// handle serves one connection. Descriptors that are none of ours wake the pacer up, and nothing else.
func (g *generator) handle(p pacer, e epoll.Event, now time.Time) error {
	if e.FD >= len(g.conns) || g.conns[e.FD] == nil {
		return nil
	}
	c := g.conns[e.FD]
	ok, complete := true, false
	if e.Writable {
		ok = c.pump(g.poll, g.piece)
	}
	if ok && e.Readable {
		complete, ok = c.read()
	}
	if complete {
		g.meter.answered(c.status, now.Sub(c.due))
		c.waiting = false
	}
	if ok && !(complete && c.last) {
		if complete {
			return p.idle(c, now)
		}
		return nil
	}
	return g.replace(p, c, now)
}

// replace opens a connection for one that has ended.
func (g *generator) replace(p pacer, c *conn, now time.Time) error {
	if c.waiting {
		g.meter.failed()
	}
	g.forget(c)
	fresh, err := g.dial()
	if err != nil {
		return err
	}
	return p.idle(fresh, now)
}

func (g *generator) forget(c *conn) {
	_ = unix.Close(c.fd)
	g.conns[c.fd] = nil
	c.fd = -1
}

func (g *generator) dial() (*conn, error) {
	fd, err := g.poll.Dial(g.cfg.Address)
	if err != nil {
		return nil, err
	}
	for fd >= len(g.conns) {
		g.conns = append(g.conns, make([]*conn, max(256, len(g.conns)))...)
	}
	c := &conn{fd: fd, in: make([]byte, 2<<10)}
	g.conns[fd] = c
	return c, nil
}

// send begins a request that was due then.
func (g *generator) send(c *conn, due time.Time) error {
	c.due, c.waiting = due, true
	c.head = g.heads.appendNext(c.head[:0])
	c.out, c.content = c.head, g.cfg.Content
	if !c.pump(g.poll, g.piece) {
		g.meter.failed()
		c.waiting = false // the hang-up that follows replaces it
	}
	return nil
}
