package http1

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"wxgate/socket"
)

// Pool keeps the connections to one address. A slot is the right to use a connection. Only a holder of a slot that
// finds no idle connection makes one, so there are never more connections than slots.
type Pool struct {
	origin    Origin
	owner     Owner
	limits    atomic.Pointer[limits]
	removed   chan struct{} // closed by Close
	dialQueue dialQueue
	idle      idleConns
	buffers   buffers
}

// Owner is what a pool needs of the upstream that it belongs to.
type Owner struct {
	// Wait acquires one of the slots of a limit, all of which are taken. It fails with ErrRemoved once removed is
	// closed, and when ctx ends.
	Wait func(ctx context.Context, of Limit, slots chan struct{}, removed <-chan struct{}, deadline time.Time) error
	// Permits has a place for each request that may be in flight at the upstream; nil: there is no limit.
	Permits func() chan struct{}
	// Dialed is called with the result of each dial: connected, failed, lacking (a resource of our own) or expired (its
	// turn did not come in time).
	Dialed func(result string)
	// Undrained is called when the service has sent something that answers no request on a connection that carried
	// content.
	Undrained func()
	// Cohort is that of all who send requests to the service.
	Cohort *socket.Cohort
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
	p.idle.reaper = time.AfterFunc(math.MaxInt64, p.reap)
	p.dialQueue = dialQueue{
		dialer: newDialer(o, address, &p.buffers), limits: &p.limits, removed: p.removed, dialed: owner.Dialed, freed: make(chan struct{}, wakeUps),
	}
	p.Configure(cfg)
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
	p.idle.reapWithin(cfg.Keepalive.Idle)
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
	slots, limit := l.slots, LimitConns
	if r.Upgrade {
		slots, limit = l.sockets, LimitWebSockets
	}
	if err := p.acquireSlot(ctx, r, limit, slots); err != nil {
		return nil, err
	}
	permit := p.owner.Permits()
	if err := p.acquireSlot(ctx, r, LimitInFlight, permit); err != nil {
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

// acquireSlot acquires one of the slots of a limit, if need be after waiting for it; nil has room for all.
func (p *Pool) acquireSlot(ctx context.Context, r *Request, of Limit, slots chan struct{}) error {
	select {
	case <-p.removed:
		return fmt.Errorf("%w: %w", ErrUnavailable, ErrRemoved)
	default:
	}
	if slots == nil {
		return nil
	}
	select {
	case slots <- struct{}{}:
		return nil
	default:
	}
	began := time.Now()
	err := p.owner.Wait(ctx, of, slots, p.removed, r.Deadline)
	r.Queued += time.Since(began)
	return err
}

// connection gives an idle connection, or a new one when there is none.
func (p *Pool) connection(ctx context.Context, l *limits, r *Request) (*conn, error) {
	if c := p.takeIdle(r); c != nil {
		return c, nil
	}
	p.makeRoom(l.slots)
	return p.dialQueue.connect(ctx, l, r, func() *conn { return p.takeIdle(r) })
}

// replace gives another connection in place of one that the service had closed, or was closing, with its right to be
// used: a new one when renewed.
func (p *Pool) replace(ctx context.Context, dead *conn, r *Request, renewed bool) (c *conn, err error) {
	slot, permit := dead.slot, dead.permit
	dead.unwatch()
	p.drop(dead)
	if l := p.limits.Load(); renewed {
		c, err = p.dialQueue.connect(ctx, l, r, func() *conn { return nil })
	} else {
		c, err = p.connection(ctx, l, r)
	}
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
func (p *Pool) acquireSend(ctx context.Context, r *Request) (done func(), err error) {
	sends := p.limits.Load().sends
	if err := p.acquireSlot(ctx, r, LimitSends, sends); err != nil {
		return nil, err
	}
	return func() { <-sends }, nil
}

// takeIdle returns an idle connection for r, nil when there is none. It is still alive, unless sending r will find out.
func (p *Pool) takeIdle(r *Request) *conn {
	idle := p.limits.Load().Keepalive.Idle
	for {
		c := p.idle.take(r.User)
		if c == nil {
			return nil
		}
		r.taken = time.Now()
		if r.taken.Sub(c.retired) < idle && (c.looksFirst(r) || c.quiet()) {
			return c
		}
		p.drop(c)
	}
}

// release gives back a connection whose last answer was read to its end and that nothing else has come on.
func (p *Pool) release(c *conn) {
	slot, permit := c.slot, c.permit // the next exchange sets its own
	c.used, c.retired = true, time.Now()
	c.in.release()
	l := p.limits.Load()
	if !p.idle.put(c, l.Keepalive.Idle, func() bool { return c.tlsConfig == p.limits.Load().tlsConfig }) {
		_ = c.Close()
	}
	p.dialQueue.wake()
	giveBack(slot, permit)
}

// discard closes a connection that must not be used again.
func (p *Pool) discard(c *conn) {
	c.unwatch()
	c.end()
	giveBack(c.slot, c.permit)
}

// put releases a connection that may be used again, if nothing came after the answer, and discards every other.
func (p *Pool) put(c *conn, keep bool) {
	keep = c.unwatch() && keep
	more := len(c.in.buffered()) > 0
	switch {
	case keep && c.carriedContent && (more || c.content && c.spokeUnasked()):
		p.owner.Undrained()
		p.discard(c)
	case keep && !more:
		p.release(c)
	default:
		p.discard(c)
	}
}

// reap closes connections that were idle for too long. It is called while there are any.
func (p *Pool) reap() {
	for _, c := range p.idle.expired(p.limits.Load().Keepalive.Idle) {
		p.drop(c)
	}
}

// Close closes the idle connections at once, and each busy one when it is given back.
func (p *Pool) Close() {
	idle, first := p.idle.close()
	if !first {
		return
	}
	close(p.removed)
	closeAll(idle)
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}
