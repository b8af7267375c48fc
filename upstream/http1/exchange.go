// Package http1 is a client of HTTP/1.1 (RFC 9112) for one address of a service.
//
// A Pool keeps the connections. Its Exchange sends a Request and reads the answer, which is either whole, or a stream
// that breaks off visibly, or an error: what the service cut short or garbled never looks complete. A connection
// returns to the pool only after an answer that was read to its end and that nothing followed. A request is sent a
// second time only if not one byte of it was sent, or if a kept connection died under it and its method is idempotent.
//
// Nothing here decides where a request goes, or whether it may: the Owner of a pool grants slots, and a Policy is asked
// during the exchange. A Pool is safe for concurrent use.
package http1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"wxgate/message"
)

// maxInterim is how many interim answers (1xx) a service may send before the final one.
const maxInterim = 8

// earlyResponseWait is how long we listen on a connection that could not be written to any more: a service that refuses
// an upload answers first and then closes.
const earlyResponseWait = time.Second

// call is one exchange on one connection.
type call struct {
	*conn
	ctx        context.Context
	request    *Request
	policy     Policy
	timeouts   Timeouts
	resp       *message.Response
	headOnly   bool // the request is a HEAD
	deadline   time.Time
	responseBy time.Time // when the head must be there; zero: not set
	tryUntil   time.Time // when another endpoint could be asked; zero: not set
	interims   int
	answer     head // status 0: not read yet
	early      bool // the answer came before the whole request was sent
	sendFailed bool // the service takes no more of the request
	last       bool // the connection carries no further request
	upgrade    bool // a 101 is welcome
}

// Policy is asked during an exchange.
type Policy interface {
	// ReuseAfterBody reports whether other requests may follow content on its connection.
	ReuseAfterBody() bool
	// RetryElsewhere reports whether an exchange without an answer is to end because the request will be sent
	// elsewhere.
	RetryElsewhere() bool
	// Renewed is called when a request met a connection that the service was closing, and is sent on another one.
	Renewed()
}

// Exchange sends r on a connection that takes it and reads the answer into its response, which an error leaves empty.
// When ctx ends, so does the exchange, including the body of its answer. The deadline of ctx is ignored: r has its own.
func (p *Pool) Exchange(ctx context.Context, r *Request, by Policy) error {
	err := p.exchange(ctx, r, by)
	if err == nil {
		return nil
	}
	r.Resp.Reset()
	return causeOf(ctx, err)
}

// causeOf is what an exchange failed with: the end of ctx shows as a lost connection.
func causeOf(ctx context.Context, err error) error {
	switch end := endOf(ctx); {
	case end == nil, errors.Is(end, ErrTimeout) && !errors.Is(err, ErrReset):
		return err
	default:
		return end
	}
}

func (p *Pool) exchange(ctx context.Context, r *Request, by Policy) error {
	var sent func() // nil: there is nothing to send but what is in memory
	if r.body != nil {
		done, err := p.acquireSend(ctx, r)
		if err != nil {
			return err
		}
		sent = sync.OnceFunc(done)
		defer sent()
	}
	c, err := p.acquire(ctx, r)
	for err == nil {
		l := p.limits.Load()
		k := call{
			conn: c, ctx: ctx, request: r, policy: by, timeouts: l.Timeouts, resp: r.Resp, headOnly: r.req.Method == http.MethodHead, deadline: r.Deadline,
			upgrade: r.Upgrade,
		}
		if err = k.sendAndReadHead(l.Keepalive.MaxRequests, sent); err == nil {
			return k.complete()
		}
		c, err = p.reconnect(&k, err)
	}
	return err
}

// sendAndReadHead sends the request, calls sent, if it is not nil, and reads the head of the answer. The connection
// carries most requests, 0 for any number.
func (k *call) sendAndReadHead(most int, sent func()) error {
	r := k.request
	if err := endOf(k.ctx); err != nil {
		return err
	}
	k.watch(k.ctx)
	k.last = k.recordRequest(r, k.policy.ReuseAfterBody(), most)
	err := k.send(r)
	if err != nil && errors.Is(err, errUnsent) {
		return err
	}
	if sent != nil {
		sent()
	}
	if r.Sent++; err != nil {
		return err
	}
	return k.receive()
}

// complete hands the answer on.
func (k *call) complete() (err error) {
	if k.answer.status == http.StatusSwitchingProtocols {
		k.resp.Length = k.answer.length
		if k.request.Tunnel, err = k.newTunnel(); err != nil {
			k.pool.discard(k.conn)
		}
		return err
	}
	return k.deliver()
}

// reconnect returns another connection for a request that failed on that of k, if it may be sent on one, or else its
// error. A request of which nothing has left may; so may one that met a connection which the service was closing, once.
func (p *Pool) reconnect(k *call, failed error) (*conn, error) {
	c, r := k.conn, k.request
	switch {
	case errors.Is(failed, errUnsent):
		return p.replace(k.ctx, c, r, false)
	case k.metDead(failed):
		r.renewed = true
		k.policy.Renewed()
		return p.replace(k.ctx, c, r, true)
	}
	p.discard(c)
	return nil, failed
}

// metDead reports whether a request may have met a connection that the service was about to close: a kept one that died
// before the first byte of an answer. It goes once more if nobody notices a repetition of it.
func (k *call) metDead(failed error) bool {
	r := k.request
	return isUnanswered(failed) && errors.Is(failed, ErrReset) && k.interims == 0 && k.used && !r.renewed &&
		!r.content && r.Idempotent() && k.ctx.Err() == nil
}

// receive reads the head of the answer, unless an early one is there already.
func (k *call) receive() error {
	if k.answer.status != 0 {
		return nil
	}
	if k.responseBy.IsZero() {
		k.responseBy = earlier(k.deadline, time.Now().Add(k.timeouts.Response))
	}
	if err := k.awaitResponse(k.responseBy); err != nil {
		return err
	}
	for k.answer.status == 0 {
		if !bytes.Contains(k.in.buffered(), []byte("\r\n\r\n")) { // more of it must come
			if err := k.until(k.responseBy); err != nil {
				return ioError("waiting for the answer", err)
			}
		}
		if err := k.readHead(); err != nil {
			return err
		}
	}
	return nil
}

// awaitResponse waits for the first byte of the answer while another endpoint could be asked instead. It gives up only
// when that is granted; without a budget it goes on waiting, so this wait alone never fails a request.
func (k *call) awaitResponse(limit time.Time) error {
	for k.request.TryTimeout > 0 && len(k.in.buffered()) == 0 {
		if k.tryUntil.IsZero() {
			k.tryUntil = time.Now().Add(k.request.TryTimeout)
		}
		if !k.tryUntil.Before(limit) {
			return nil
		}
		if err := k.until(k.tryUntil); err != nil {
			return ioError("waiting for the answer", err)
		}
		if err := k.in.fill(); err == nil {
			return nil
		} else if !timedOut(err) {
			k.in.err = err // the next read returns it
			return nil
		}
		if k.policy.RetryElsewhere() {
			return fmt.Errorf("%w: no answer within retries.try_timeout", ErrTimeout)
		}
		k.tryUntil = time.Time{}
	}
	return nil
}

// readHead reads a head; k.answer has it if it is the final one. A 101 is refused when nobody asked for an upgrade.
func (k *call) readHead() error {
	h, err := readHead(&k.in, k.resp)
	switch {
	case err != nil:
		return err
	case h.status == http.StatusSwitchingProtocols && k.upgrade:
		k.answer = h
		return h.switched()
	case h.status == http.StatusSwitchingProtocols:
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

// readEarlyResponse reads the answer of a service that stopped taking the request. If there is none, the exchange
// failed as the write did.
func (k *call) readEarlyResponse(failed error) error {
	k.early, k.sendFailed = true, true
	if err := k.readUntil(earlier(k.deadline, time.Now().Add(earlyResponseWait))); err != nil {
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
