package upstream

import (
	"crypto/tls"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pool keeps the connections to one address. A slot is the right to use a connection; a connection is made only by a
// holder of a slot that finds none idle, so there are never more connections than slots.
type pool struct {
	origin origin
	dialer dialer
	limits atomic.Pointer[limits]
	stop   chan struct{}
	reaper sync.WaitGroup

	line    dialLine
	metrics *upstreamMetrics

	now       func() time.Time
	undrained func() // is called when the service said something behind content

	mu      sync.Mutex
	spare   []*conn // idle ones, the latest used last
	watched []*conn // those back from a request with content, the latest last: see watchFor
	closed  bool
}

// limits are what may be changed of a pool in use. Slots are given back where they were taken.
type limits struct {
	keepalive Keepalive
	connect   time.Duration
	slots     chan struct{} // as many as are in use
	sockets   chan struct{} // the slots of those that are, or may become, WebSockets
	sends     chan struct{} // as many of them as are being sent a long body: see takeSend
	dials     chan struct{} // a place for each connection that is being made
	security  *security
	as        *tls.Config // nil: connections are plain
}

func newPool(t *target, address string, cfg Config, sec *security) *pool {
	p := &pool{
		origin: t.origin, dialer: dialer{address}, stop: make(chan struct{}), line: newDialLine(), metrics: &t.up.metrics,
		now: t.up.deps.now, undrained: func() { t.up.markUndrained(t) },
	}
	p.configure(cfg, sec)
	p.reaper.Go(p.reap)
	return p
}

// configure sets new limits. With another max_conns, connections in use are not counted against the new number. With
// another security no connection that was made with the one before serves a further exchange.
func (p *pool) configure(cfg Config, sec *security) {
	next := &limits{keepalive: cfg.Keepalive, connect: cfg.Timeouts.Connect, security: sec}
	old := p.limits.Load()
	secured := old != nil && old.security == sec
	if secured {
		next.as = old.as
	} else {
		next.as = sec.of(p.origin)
	}
	if old != nil && old.keepalive.MaxConns == cfg.Keepalive.MaxConns {
		next.slots, next.sends = old.slots, old.sends
	} else {
		next.slots = make(chan struct{}, cfg.Keepalive.MaxConns)
		next.sends = make(chan struct{}, max(1, cfg.Keepalive.MaxConns*3/4))
	}
	if old != nil && cap(old.dials) == cfg.dials {
		next.dials = old.dials
	} else {
		next.dials = make(chan struct{}, cfg.dials)
	}
	if old != nil && old.keepalive.MaxWebSockets == cfg.Keepalive.MaxWebSockets {
		next.sockets = old.sockets
	} else {
		next.sockets = make(chan struct{}, cfg.Keepalive.MaxWebSockets)
	}
	p.limits.Store(next)
	if !secured {
		p.mu.Lock()
		unlike := p.popIdle(func(c *conn) bool { return c.as != next.as })
		p.mu.Unlock()
		closeAll(unlike)
	}
}

// popIdle takes out the idle connections that out chooses, watched ones too. The caller holds mu.
func (p *pool) popIdle(out func(*conn) bool) (chosen []*conn) {
	choose := func(c *conn) bool {
		if !out(c) {
			return false
		}
		chosen = append(chosen, c)
		return true
	}
	p.spare = slices.DeleteFunc(p.spare, choose)
	p.watched = slices.DeleteFunc(p.watched, choose)
	return chosen
}

// busy says how many connections are in use.
func (p *pool) busy() int {
	l := p.limits.Load()
	return len(l.slots) + len(l.sockets)
}

// full says whether a request would have to wait for a connection.
func (p *pool) full() bool {
	slots := p.limits.Load().slots
	return len(slots) == cap(slots)
}

// acquire gives an idle connection that is still alive, or a new one. Whoever acquires must release or discard. One that
// may become a WebSocket takes none of the slots of requests.
func (p *pool) acquire(q *queue, t *trip) (*conn, error) {
	l := p.limits.Load()
	slots := l.slots
	if t.upgrade {
		slots = l.sockets
	}
	if err := q.take(slots, p.stop, t.deadline); err != nil {
		return nil, err
	}
	permit := q.permits()
	if err := q.take(permit, p.stop, t.deadline); err != nil {
		<-slots
		return nil, err
	}
	c, err := p.connection(l, t)
	if err != nil {
		giveBack(slots, permit)
		return nil, err
	}
	c.pool, c.slot, c.permit = p, slots, permit
	return c, nil
}

func giveBack(slot, permit chan struct{}) {
	<-slot
	if permit != nil {
		<-permit
	}
}

// takeSend is the right to send a body that was not read yet, beside a slot. Three of four slots are the most that such
// bodies may hold: their pace is the clients', and those that dawdle over uploads must not stop everyone.
func (p *pool) takeSend(q *queue, deadline time.Time) (done func(), err error) {
	sends := p.limits.Load().sends
	if err := q.take(sends, p.stop, deadline); err != nil {
		return nil, err
	}
	return func() { <-sends }, nil
}

// takeSpare gives the connection that was used last, whose turn to be closed by the service is furthest away.
func (p *pool) takeSpare(user uint64) *conn {
	idle := p.limits.Load().keepalive.Idle
	for {
		c := p.popSpare(user)
		if c == nil {
			return nil
		}
		if time.Since(c.retired) < idle && c.silent() {
			return c
		}
		p.drop(c)
	}
}

func (p *pool) popSpare(user uint64) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.promote()
	if c := p.popOwn(user); c != nil {
		return c
	}
	last := len(p.spare) - 1
	if last < 0 {
		return nil
	}
	c := p.spare[last]
	p.spare[last], p.spare = nil, p.spare[:last]
	return c
}

// release gives back a connection whose last answer was read to its end and that nothing else has come on.
func (p *pool) release(c *conn) {
	slot, permit := c.slot, c.permit // the next exchange sets its own
	c.used, c.retired = true, time.Now()
	c.unstoppable()
	p.mu.Lock()
	closed := p.closed || c.as != p.limits.Load().as
	switch {
	case closed:
	case c.content:
		c.watched = p.now()
		p.watched = append(p.watched, c)
	default:
		p.spare = append(p.spare, c)
	}
	p.mu.Unlock()
	if closed {
		_ = c.Close()
	}
	p.line.wake()
	giveBack(slot, permit)
}

// discard closes a connection that must not be used again.
func (p *pool) discard(c *conn) {
	c.unstoppable()
	_ = c.Close()
	giveBack(c.slot, c.permit)
}

// settle releases a connection that may be used again, if nothing came after the answer, and discards every other.
func (p *pool) settle(c *conn, keep bool) {
	switch {
	case keep && c.carried && (c.br.Buffered() > 0 || c.content && c.unasked()):
		p.undrained()
		p.discard(c)
	case keep && c.br.Buffered() == 0:
		p.release(c)
	default:
		p.discard(c)
	}
}

// reap closes connections that were idle for too long, until the pool is closed.
func (p *pool) reap() {
	ticker := time.NewTicker(p.reapEvery())
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-ticker.C:
			p.dropAll(p.expired(now, p.limits.Load().keepalive.Idle))
			ticker.Reset(p.reapEvery())
		}
	}
}

func (p *pool) reapEvery() time.Duration {
	return max(p.limits.Load().keepalive.Idle/2, time.Millisecond)
}

// expired takes out the connections that have been idle for too long.
func (p *pool) expired(now time.Time, idle time.Duration) []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.popIdle(func(c *conn) bool { return now.Sub(c.retired) >= idle })
}

// close closes the idle connections at once and each busy one when it is given back.
func (p *pool) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	spare := append(p.spare, p.watched...)
	p.spare, p.watched = nil, nil
	p.mu.Unlock()
	close(p.stop)
	p.reaper.Wait()
	closeAll(spare)
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}
