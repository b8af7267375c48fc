package http1

import (
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"
)

// Pool keeps the connections to one address. A slot is the right to use a connection. Only a holder of a slot that
// finds no idle connection makes one, so there are never more connections than slots.
type Pool struct {
	origin    Origin
	owner     Owner
	limits    atomic.Pointer[limits]
	removed   chan struct{} // closed by Close
	reaper    sync.WaitGroup
	dialQueue dialQueue
	idle      idleConns
}

// Owner is what a pool needs of the upstream that it belongs to.
type Owner struct {
	// Acquire acquires one of the slots, waiting for it if necessary; nil has room for all. It fails with ErrRemoved
	// once removed is closed, and when ctx ends.
	Acquire func(ctx context.Context, slots chan struct{}, removed <-chan struct{}, deadline time.Time) error
	// Permits has a place for each request that may be in flight at the upstream; nil: there is no limit.
	Permits func() chan struct{}
	// Dialed is called with the result of each dial: connected, failed, lacking (a resource of our own) or expired (its
	// turn did not come in time).
	Dialed func(result string)
	// Undrained is called when the service has sent something that answers no request on a connection that carried
	// content.
	Undrained func()
	// Now is the time for connections that are watched; their deadlines are real.
	Now func() time.Time
}

// limits are what may be changed of a pool in use. Slots are given back where they were taken.
type limits struct {
	Config
	slots     chan struct{} // as many as are in use
	sockets   chan struct{} // the slots of those that are, or may become, WebSockets
	sends     chan struct{} // as many of them as are being sent a long body: see acquireSend
	dials     chan struct{} // a place for each connection that is being made
	tlsConfig *tls.Config   // nil: connections are plain
}

// NewPool makes the pool of one address of o.
func NewPool(o Origin, address string, cfg Config, owner Owner) *Pool {
	p := &Pool{origin: o, owner: owner, removed: make(chan struct{}), idle: idleConns{now: owner.Now}}
	p.dialQueue = dialQueue{
		dialer: dialer{address}, limits: &p.limits, removed: p.removed, dialed: owner.Dialed, freed: make(chan struct{}, wakeUps),
	}
	p.Configure(cfg)
	p.reaper.Go(p.reap)
	return p
}

// Configure sets new limits. Connections in use do not count towards a changed max_conns. After a change of Security,
// no connection that was made before it serves another exchange.
func (p *Pool) Configure(cfg Config) {
	next := &limits{Config: cfg}
	old := p.limits.Load()
	secured := old != nil && old.Security == cfg.Security
	if secured {
		next.tlsConfig = old.tlsConfig
	} else {
		next.tlsConfig = cfg.Security.of(p.origin)
	}
	if old != nil && old.Keepalive.MaxConns == cfg.Keepalive.MaxConns {
		next.slots, next.sends = old.slots, old.sends
	} else {
		next.slots = make(chan struct{}, cfg.Keepalive.MaxConns)
		next.sends = make(chan struct{}, max(1, cfg.Keepalive.MaxConns*3/4))
	}
	if old != nil && cap(old.dials) == cfg.Dials {
		next.dials = old.dials
	} else {
		next.dials = make(chan struct{}, cfg.Dials)
	}
	if old != nil && old.Keepalive.MaxWebSockets == cfg.Keepalive.MaxWebSockets {
		next.sockets = old.sockets
	} else {
		next.sockets = make(chan struct{}, cfg.Keepalive.MaxWebSockets)
	}
	p.limits.Store(next)
	if !secured {
		closeAll(p.idle.remove(func(c *conn) bool { return c.tlsConfig != next.tlsConfig }))
	}
}

// Usage returns how many connections are in use, and whether a request would have to wait for one.
func (p *Pool) Usage() (busy int, full bool) {
	l := p.limits.Load()
	return len(l.slots) + len(l.sockets), len(l.slots) == cap(l.slots)
}

// DialsWaiting returns how many requests wait for their turn to dial.
func (p *Pool) DialsWaiting() int64 { return p.dialQueue.waiting.Load() }

// acquire returns an idle connection that is still alive, or a new one. Whoever acquires must release or discard. One
// that may become a WebSocket takes none of the slots of requests.
func (p *Pool) acquire(ctx context.Context, r *Request) (*conn, error) {
	l := p.limits.Load()
	slots := l.slots
	if r.Upgrade {
		slots = l.sockets
	}
	if err := p.owner.Acquire(ctx, slots, p.removed, r.Deadline); err != nil {
		return nil, err
	}
	permit := p.owner.Permits()
	if err := p.owner.Acquire(ctx, permit, p.removed, r.Deadline); err != nil {
		<-slots
		return nil, err
	}
	c, err := p.connection(ctx, l, r)
	if err != nil {
		giveBack(slots, permit)
		return nil, err
	}
	c.pool, c.slot, c.permit = p, slots, permit
	return c, nil
}

// connection gives an idle connection, or a new one when there is none.
func (p *Pool) connection(ctx context.Context, l *limits, r *Request) (*conn, error) {
	if c := p.takeIdle(r.User); c != nil {
		return c, nil
	}
	p.makeRoom(l.slots)
	return p.dialQueue.connect(ctx, l, r.Deadline, func() *conn { return p.takeIdle(r.User) })
}

// renew gives a new connection in place of one that is dead, with its right to be used.
func (p *Pool) renew(ctx context.Context, dead *conn, deadline time.Time) (*conn, error) {
	slot, permit := dead.slot, dead.permit
	dead.unwatch()
	_ = dead.Close()
	c, err := p.dialQueue.connect(ctx, p.limits.Load(), deadline, func() *conn { return nil })
	if err != nil {
		giveBack(slot, permit)
		return nil, err
	}
	c.pool, c.slot, c.permit = p, slot, permit
	return c, nil
}

func giveBack(slot, permit chan struct{}) {
	<-slot
	if permit != nil {
		<-permit
	}
}

// acquireSend acquires the right to send a body that was not read yet, beside a slot. Three of four slots are the most
// that such bodies may hold: their pace is the clients', and those that stall uploads must not stop everyone.
func (p *Pool) acquireSend(ctx context.Context, deadline time.Time) (done func(), err error) {
	sends := p.limits.Load().sends
	if err := p.owner.Acquire(ctx, sends, p.removed, deadline); err != nil {
		return nil, err
	}
	return func() { <-sends }, nil
}

// takeIdle returns an idle connection that is still alive, nil when there is none.
func (p *Pool) takeIdle(user uint64) *conn {
	idle := p.limits.Load().Keepalive.Idle
	for {
		c := p.idle.take(user)
		if c == nil {
			return nil
		}
		if time.Since(c.retired) < idle && c.silent() {
			return c
		}
		p.drop(c)
	}
}

// release gives back a connection whose last answer was read to its end and that nothing else has come on.
func (p *Pool) release(c *conn) {
	slot, permit := c.slot, c.permit // the next exchange sets its own
	c.used, c.retired = true, time.Now()
	if !p.idle.put(c, func() bool { return c.tlsConfig == p.limits.Load().tlsConfig }) {
		_ = c.Close()
	}
	p.dialQueue.wake()
	giveBack(slot, permit)
}

// discard closes a connection that must not be used again.
func (p *Pool) discard(c *conn) {
	c.unwatch()
	_ = c.Close()
	giveBack(c.slot, c.permit)
}

// put releases a connection that may be used again, if nothing came after the answer, and discards every other.
func (p *Pool) put(c *conn, keep bool) {
	keep = c.unwatch() && keep
	switch {
	case keep && c.carriedContent && (c.br.Buffered() > 0 || c.content && c.spokeUnasked()):
		p.owner.Undrained()
		p.discard(c)
	case keep && c.br.Buffered() == 0:
		p.release(c)
	default:
		p.discard(c)
	}
}

// reap closes connections that were idle for too long, until the pool is closed.
func (p *Pool) reap() {
	ticker := time.NewTicker(p.reapEvery())
	defer ticker.Stop()
	for {
		select {
		case <-p.removed:
			return
		case now := <-ticker.C:
			idle := p.limits.Load().Keepalive.Idle
			for _, c := range p.idle.remove(func(c *conn) bool { return now.Sub(c.retired) >= idle }) {
				p.drop(c)
			}
			ticker.Reset(p.reapEvery())
		}
	}
}

func (p *Pool) reapEvery() time.Duration {
	return max(p.limits.Load().Keepalive.Idle/2, time.Millisecond)
}

// Close closes the idle connections at once, and each busy one when it is given back.
func (p *Pool) Close() {
	idle, first := p.idle.close()
	if !first {
		return
	}
	close(p.removed)
	p.reaper.Wait()
	closeAll(idle)
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}
