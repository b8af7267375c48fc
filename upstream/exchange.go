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
	upgrade  bool // a 101 is welcome
}

// exchange sends the request to e on a connection that takes it and reads the answer.
func (u *Upstream) exchange(t *trip, e *endpoint) error {
	out := &t.out
	sent := func() {}
	if out.body != nil {
		done, err := e.pool.takeSend(&u.queue, t.deadline)
		if err != nil {
			return err
		}
		sent = sync.OnceFunc(done)
	}
	defer sent()
	for {
		c, err := e.pool.acquire(&u.queue, t)
		if err != nil {
			return err
		}
		if !t.stop.holds(c) {
			e.pool.discard(c)
			return ErrStopped
		}
		k := call{
			conn: c, timeouts: t.fleet.cfg.Timeouts, resp: t.resp, headOnly: t.req.Header.IsHead(), deadline: t.deadline, upgrade: t.upgrade,
		}
		err = k.send(out)
		if errors.Is(err, errUnsent) {
			t.stop.leave(false)
			c.stop = nil
			e.pool.discard(c)
			continue
		}
		sent()
		t.sent++
		if err == nil {
			err = u.receive(&k, t)
		}
		if err != nil {
			e.pool.discard(c)
			return err
		}
		if k.answer.status == fasthttp.StatusSwitchingProtocols {
			t.tunnel, err = k.newTunnel()
			return err
		}
		return k.deliver()
	}
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
		if err := k.readHead(); err != nil {
			return fmt.Errorf("%w: sending: %w, then %v", ErrReset, failed, err) //nolint:errorlint // the first counts
		}
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
