package upstream

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// maxInterim is how many interim answers (1xx) a service may send before the final one.
const maxInterim = 8

// lastWords is how long we listen on a connection that could not be written to any more: a service that refuses an
// upload answers first and then closes.
const lastWords = time.Second

// call is one exchange on one connection.
type call struct {
	*conn
	timeouts Timeouts
	resp     *fasthttp.Response
	headOnly bool // the request is a HEAD
	deadline time.Time
	interims int
	answer   head // status 0: not read yet
	early    bool // the answer came before the whole request was sent
	deaf     bool // the service takes no more of the request
	last     bool // the connection carries no further request
	upgrade  bool // a 101 is welcome
}

// exchange sends the request to e on a connection that takes it and reads the answer.
func (u *Upstream) exchange(t *trip, e *endpoint) error {
	sent, err := u.maySend(t, e)
	if err != nil {
		return err
	}
	defer sent()
	c, err := e.pool.acquire(&u.queue, t)
	for err == nil {
		k := call{
			conn: c, timeouts: t.fleet.cfg.Timeouts, resp: t.resp, headOnly: t.req.Header.IsHead(), deadline: t.deadline, upgrade: t.upgrade,
		}
		if err = u.ask(&k, t, sent); err == nil {
			return u.take(&k, t)
		}
		c, err = u.instead(t, e, &k, err)
	}
	return err
}

// maySend waits until a body that was not read yet may be sent. done is called once it was.
func (u *Upstream) maySend(t *trip, e *endpoint) (done func(), err error) {
	if t.out.body == nil {
		return func() {}, nil
	}
	done, err = e.pool.takeSend(&u.queue, t.deadline)
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(done), nil
}

// ask sends the request and reads the head of the answer.
func (u *Upstream) ask(k *call, t *trip, sent func()) error {
	if !t.stop.holds(k.conn) {
		return ErrStopped
	}
	k.last = u.lastOn(k.conn, t)
	if err := k.send(&t.out); errors.Is(err, errUnsent) {
		return err
	} else if sent(); err != nil {
		t.sent++
		return err
	}
	t.sent++
	return u.receive(k, t)
}

// take hands the answer on.
func (*Upstream) take(k *call, t *trip) (err error) {
	if k.answer.status == fasthttp.StatusSwitchingProtocols {
		t.tunnel, err = k.newTunnel()
		return err
	}
	return k.deliver()
}

// instead gives another connection for a request that failed on c, if it may be sent on one, or else its error. A request
// of which nothing has left may; so may one that met a connection which the service was closing, once.
func (u *Upstream) instead(t *trip, e *endpoint, k *call, failed error) (*conn, error) {
	c := k.conn
	switch {
	case errors.Is(failed, errUnsent):
		t.stop.leave(false)
		c.stop = nil
		e.pool.discard(c)
		return e.pool.acquire(&u.queue, t)
	case t.metDead(k, failed):
		t.renewed = true
		u.metrics.retries[reasonDead].Inc()
		t.stop.leave(false)
		c.stop = nil
		return e.pool.renew(c, t.deadline, t.stop)
	}
	e.pool.discard(c)
	return nil, failed
}

// metDead reports whether a request may have met a connection that the service was about to close: a kept one that died
// before the first byte of an answer. It goes once more if nobody notices a repetition of it.
func (t *trip) metDead(k *call, failed error) bool {
	return isUnanswered(failed) && errors.Is(failed, ErrReset) && k.interims == 0 && k.used && !t.renewed &&
		!t.out.content && idempotent(&t.req.Header) && !t.stop.wasStopped()
}

// receive reads the head of the answer, unless an early one is there already.
func (u *Upstream) receive(k *call, t *trip) error {
	if k.answer.status != 0 {
		return nil
	}
	limit := earlier(k.deadline, time.Now().Add(k.timeouts.Response))
	if err := u.await(k, t, limit); err != nil {
		return err
	}
	if err := k.until(limit); err != nil {
		return broken("waiting for the answer", err)
	}
	for k.answer.status == 0 {
		if err := k.readHead(); err != nil {
			return err
		}
	}
	return nil
}

// readHead reads a head; k.answer has it if it is the final one. A 101 is refused when nobody asked for an upgrade.
func (k *call) readHead() error {
	h, err := readHead(k.conn, k.resp)
	switch {
	case err != nil:
		return err
	case h.status == fasthttp.StatusSwitchingProtocols && k.upgrade:
		k.answer = h
		return h.switched()
	case h.status == fasthttp.StatusSwitchingProtocols:
		return invalid("101 without a request to upgrade")
	case !h.interim():
		k.answer = h
		return nil
	}
	if k.interims++; k.interims > maxInterim {
		return invalid("too many interim answers")
	}
	return nil
}

// listen reads the answer of a service that stopped taking the request. If there is none, the exchange failed as the
// write did.
func (k *call) listen(failed error) error {
	k.early, k.deaf = true, true
	if err := k.readUntil(earlier(k.deadline, time.Now().Add(lastWords))); err != nil {
		return fmt.Errorf("%w: sending: %w", ErrReset, failed)
	}
	for k.answer.status == 0 {
		err := k.readHead()
		if err == nil {
			continue
		}
		lost := fmt.Errorf("%w: sending: %w, then %v", ErrReset, failed, err) //nolint:errorlint // the first counts
		if isUnanswered(err) {
			return unanswered{lost}
		}
		return lost
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
