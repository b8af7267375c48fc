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
	request  *request
	by       policy
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

// policy is asked while an exchange is under way.
type policy interface {
	// Shares reports whether other requests may follow content on its connection.
	Shares() bool
	// GivesUp reports whether an exchange without an answer is to end, for the request will be sent elsewhere.
	GivesUp() bool
	// Renews is told that a request met a connection which the service was closing, and is sent on another one.
	Renews()
}

// exchange sends r on a connection that takes it and reads the answer into its response.
func (p *pool) exchange(r *request, by policy) error {
	sent, err := p.maySend(r)
	if err != nil {
		return err
	}
	defer sent()
	c, err := p.acquire(r)
	for err == nil {
		l := p.limits.Load()
		k := call{
			conn: c, request: r, by: by, timeouts: l.Timeouts, resp: r.resp, headOnly: r.req.Header.IsHead(), deadline: r.deadline,
			upgrade: r.upgrade,
		}
		if err = k.ask(l.Keepalive.MaxRequests, sent); err == nil {
			return k.take()
		}
		c, err = p.instead(&k, err)
	}
	return err
}

// maySend waits until a body that was not read yet may be sent. done is called once it was.
func (p *pool) maySend(r *request) (done func(), err error) {
	if r.body == nil {
		return func() {}, nil
	}
	done, err = p.takeSend(r.deadline)
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(done), nil
}

// ask sends the request and reads the head of the answer. The connection carries most requests, 0 for any number.
func (k *call) ask(most int, sent func()) error {
	r := k.request
	if !r.stop.holds(k.conn) {
		return ErrStopped
	}
	k.last = k.carry(r, k.by.Shares(), most)
	if err := k.send(r); errors.Is(err, errUnsent) {
		return err
	} else if sent(); err != nil {
		r.sent++
		return err
	}
	r.sent++
	return k.receive()
}

// take hands the answer on.
func (k *call) take() (err error) {
	if k.answer.status == fasthttp.StatusSwitchingProtocols {
		k.request.tunnel, err = k.newTunnel()
		return err
	}
	return k.deliver()
}

// instead gives another connection for a request that failed on that of k, if it may be sent on one, or else its error. A
// request of which nothing has left may; so may one that met a connection which the service was closing, once.
func (p *pool) instead(k *call, failed error) (*conn, error) {
	c, r := k.conn, k.request
	switch {
	case errors.Is(failed, errUnsent):
		r.stop.leave(false)
		c.stop = nil
		p.discard(c)
		return p.acquire(r)
	case k.metDead(failed):
		r.renewed = true
		k.by.Renews()
		r.stop.leave(false)
		c.stop = nil
		return p.renew(c, r.deadline, r.stop)
	}
	p.discard(c)
	return nil, failed
}

// metDead reports whether a request may have met a connection that the service was about to close: a kept one that died
// before the first byte of an answer. It goes once more if nobody notices a repetition of it.
func (k *call) metDead(failed error) bool {
	r := k.request
	return isUnanswered(failed) && errors.Is(failed, ErrReset) && k.interims == 0 && k.used && !r.renewed &&
		!r.content && r.idempotent() && !r.stop.wasStopped()
}

// receive reads the head of the answer, unless an early one is there already.
func (k *call) receive() error {
	if k.answer.status != 0 {
		return nil
	}
	limit := earlier(k.deadline, time.Now().Add(k.timeouts.Response))
	if err := k.await(limit); err != nil {
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

// await waits for the first byte of the answer while another endpoint could be asked instead. It gives up only when
// that is granted; without a budget it goes on waiting, so impatience alone never fails a request.
func (k *call) await(limit time.Time) error {
	for k.request.patience > 0 {
		pause := time.Now().Add(k.request.patience)
		if !pause.Before(limit) {
			return nil
		}
		if err := k.until(pause); err != nil {
			return broken("waiting for the answer", err)
		}
		if _, err := k.br.Peek(1); err == nil || !timedOut(err) {
			return nil // the reader of the head meets the same
		}
		if k.by.GivesUp() {
			return fmt.Errorf("%w: no answer within retries.try_timeout", ErrTimeout)
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
