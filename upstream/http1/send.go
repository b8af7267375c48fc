package http1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// writeSlice is how long a write may block, once or twice, before we look whether the service answers instead of
// reading.
const writeSlice = 100 * time.Millisecond

// While a body is sent without blocking, we look whether the service answers after so many bytes, after the sender of the
// body made us wait, and before the last part.
const (
	pollEvery = 256 << 10
	pollAfter = 10 * time.Millisecond
)

// errUnsent is a pooled connection that the service closed between our look at it and our write: not one byte has
// left, so another connection may carry the request.
var errUnsent = errors.New("nothing was sent")

// send writes the request. It returns nil when an answer can be read: the request is sent, or the service answered
// early.
func (k *call) send(r *Request) error {
	kept := k.looksFirst(r)
	now := r.taken
	if !kept {
		now = time.Now()
	}
	limit := earlier(k.deadline, now.Add(k.timeouts.Response))
	if kept { // the wait for the answer is a part of it
		k.responseBy = limit
		if r.TryTimeout > 0 {
			k.tryUntil = now.Add(r.TryTimeout)
			limit = earlier(limit, k.tryUntil)
		}
	}
	if err := k.untilFrom(now, limit); err != nil {
		return k.unsent(err)
	}
	if kept {
		return k.exchange(r)
	}
	n, err := k.Write(r.prefix)
	return k.wrote(r, n, err)
}

// looksFirst reports whether sending r finds out that c was closed, or that something has come on it which is no answer.
func (c *conn) looksFirst(r *Request) bool { return c.raw != nil && c.used && r.whole() }

// exchange sends the request on a kept connection, and reads the beginning of the answer with as few system calls as
// possible. Nothing may have come on the connection before.
func (k *call) exchange(r *Request) error {
	k.pool.owner.Cohort.Join()
	written, read, err := k.raw.Exchange(r.prefix, k.in.space())
	k.in.to += read
	switch {
	case written == len(r.prefix):
		if err != nil && !timedOut(err) { // whoever waits on finds out about a time-out
			k.in.err = err
		}
		return nil
	case written == 0 && read > 0:
		return errUnsent
	case err == nil:
		n, err := k.Write(r.prefix[written:])
		return k.wrote(r, written+n, err)
	}
	return k.wrote(r, written, err)
}

// wrote is what it means that n bytes of the prefix were written.
func (k *call) wrote(r *Request, n int, err error) error {
	switch {
	case err == nil && r.whole():
		return nil
	case err == nil:
		return k.sendBody(r)
	case timedOut(err) && n == 0:
		return fmt.Errorf("%w: %w: the deadline passed before the request was sent", ErrTimeout, ErrOverloaded)
	case timedOut(err):
		return ioError("sending", err)
	case n == 0 && k.used && !k.secure: // with TLS, 0 says nothing of what has left
		return k.unsent(err)
	}
	return k.readEarlyResponse(err)
}

func (k *call) unsent(err error) error {
	if k.used {
		return errUnsent
	}
	return ioError("sending", err)
}

// sendBody passes the body on as it comes. It stops as soon as the service has refused it.
func (k *call) sendBody(r *Request) error {
	lender := &k.pool.buffers
	block := lender.getSmall()
	defer func() { lender.put(block) }()
	sent, unpolled := 0, 0
	for last := false; !last; {
		if len(*block) == smallBuffer && max(int64(sent), r.remaining) > smallAnswer {
			block = lender.exchangeForLarge(block)
		}
		before := r.Waited
		part, err := r.nextPart(*block)
		waited := r.Waited - before
		k.deadline = k.deadline.Add(waited)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		last = err != nil
		sent, unpolled = sent+len(part), unpolled+len(part)
		if last || unpolled >= pollEvery || waited >= pollAfter {
			if err := k.pollResponse(); err != nil || k.isRefused() {
				return err
			}
			unpolled = 0
		}
		if err := k.sendPart(part); err != nil || k.isRefused() {
			return err
		}
	}
	return nil
}

// sendPart writes one part. Whenever that takes long, it polls for a response.
func (k *call) sendPart(part []byte) error {
	for {
		n, err := k.writeSome(part)
		part = part[n:]
		switch {
		case err == nil:
			return nil
		case !timedOut(err):
			return k.readEarlyResponse(err)
		case k.secure || !time.Now().Before(k.deadline):
			return ioError("sending", err)
		}
		if err := k.pollResponse(); err != nil || k.isRefused() {
			return err
		}
	}
}

// writeSome writes until it is done or a writeSlice, or two, have passed; with TLS, where a write cannot be resumed,
// until the deadline.
func (k *call) writeSome(part []byte) (int, error) {
	var err error
	if slice := time.Now().Add(writeSlice); k.secure || k.deadline.Before(slice.Add(writeSlice)) {
		err = k.writeUntil(k.deadline, 0)
	} else {
		err = k.writeUntil(slice, writeSlice)
	}
	if err != nil {
		return 0, err
	}
	return k.Write(part)
}

// pollResponse reads what the service says while it is still being sent to: an interim answer, or an early final one.
func (k *call) pollResponse() error {
	if k.answer.status != 0 || !k.answering() {
		return nil
	}
	if err := k.readUntil(earlier(k.deadline, time.Now().Add(k.timeouts.Response))); err != nil {
		return ioError("sending", err)
	}
	if err := k.readHead(); err != nil {
		return fmt.Errorf("while sending: %w", err)
	}
	k.early = k.answer.status != 0
	return nil
}

// isRefused reports whether an early answer makes the rest of the body pointless: the service closes, or says no. A
// service that has begun a good answer may still be reading.
func (k *call) isRefused() bool {
	return k.sendFailed || k.early && (!k.answer.persistent() || k.answer.status >= http.StatusMultipleChoices)
}
