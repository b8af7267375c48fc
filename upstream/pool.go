package upstream

import (
	"fmt"
	"sync"
	"time"
)

// slotWait is how long a request waits for one of max_conns connections to come free before it is refused.
const slotWait = 100 * time.Millisecond

// pool keeps the connections of one target. A slot is the right to use a connection; a connection is made only by a
// holder of a slot that finds none idle, so there are never more connections than slots.
type pool struct {
	dialer dialer
	idle   time.Duration
	wait   time.Duration // for a slot
	slots  chan struct{} // as many as are in use
	sends  chan struct{} // as many of them as are being sent a long body: see takeSend
	stop   chan struct{}
	reaper sync.WaitGroup

	mu     sync.Mutex
	spare  []*conn // idle ones, the latest used last
	closed bool
}

func newPool(d dialer, cfg Keepalive) *pool {
	p := &pool{
		dialer: d, idle: cfg.Idle, wait: slotWait, stop: make(chan struct{}),
		slots: make(chan struct{}, cfg.MaxConns), sends: make(chan struct{}, max(1, cfg.MaxConns*3/4)),
	}
	p.reaper.Go(p.reap)
	return p
}

// acquire gives an idle connection that is still alive, or a new one. Whoever acquires must release or discard.
func (p *pool) acquire(deadline time.Time) (*conn, error) {
	if err := p.takeSlot(deadline); err != nil {
		return nil, err
	}
	if c := p.takeSpare(); c != nil {
		return c, nil
	}
	c, err := p.dialer.dial(deadline)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

func (p *pool) takeSlot(deadline time.Time) error { return p.take(p.slots, deadline) }

// takeSend is the right to send a body that was not read yet, beside a slot. Three of four slots are the most that such
// bodies may hold: their pace is the clients', and those that dawdle over uploads must not stop everyone.
func (p *pool) takeSend(deadline time.Time) (done func(), err error) {
	if err := p.take(p.sends, deadline); err != nil {
		return nil, err
	}
	return func() { <-p.sends }, nil
}

func (p *pool) take(slots chan struct{}, deadline time.Time) error {
	select {
	case <-p.stop:
		return fmt.Errorf("%w: closed", ErrUnavailable)
	default:
	}
	select {
	case slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(min(p.wait, time.Until(deadline)))
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		return nil
	case <-p.stop:
		return fmt.Errorf("%w: closed", ErrUnavailable)
	case <-timer.C:
		return fmt.Errorf("%w: all of %d are busy", ErrUnavailable, cap(slots))
	}
}

// takeSpare gives the connection that was used last, whose turn to be closed by the service is furthest away.
func (p *pool) takeSpare() *conn {
	for {
		c := p.popSpare()
		if c == nil {
			return nil
		}
		if time.Since(c.retired) < p.idle && c.silent() {
			return c
		}
		_ = c.Close()
	}
}

func (p *pool) popSpare() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
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
	c.used, c.retired = true, time.Now()
	c.unstoppable()
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.spare = append(p.spare, c)
	}
	p.mu.Unlock()
	if closed {
		_ = c.Close()
	}
	<-p.slots
}

// discard closes a connection that must not be used again.
func (p *pool) discard(c *conn) {
	c.unstoppable()
	_ = c.Close()
	<-p.slots
}

// settle releases a connection that may be used again, if nothing came after the answer, and discards every other.
func (p *pool) settle(c *conn, keep bool) {
	if keep && c.br.Buffered() == 0 {
		p.release(c)
		return
	}
	p.discard(c)
}

// reap closes connections that were idle for too long, until the pool is closed.
func (p *pool) reap() {
	ticker := time.NewTicker(max(p.idle/2, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-ticker.C:
			closeAll(p.expired(now))
		}
	}
}

// expired takes out the connections that have been idle for too long: the first ones of spare.
func (p *pool) expired(now time.Time) []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.spare) && now.Sub(p.spare[n].retired) >= p.idle {
		n++
	}
	old := append([]*conn(nil), p.spare[:n]...)
	kept := copy(p.spare, p.spare[n:])
	clear(p.spare[kept:])
	p.spare = p.spare[:kept]
	return old
}

// close closes the idle connections at once and each busy one when it is given back.
func (p *pool) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	spare := p.spare
	p.spare = nil
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
