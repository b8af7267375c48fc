package http1

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/valyala/fasthttp"
)

// writeSlice is how long a write may block before we look whether the service answers instead of reading.
const writeSlice = 100 * time.Millisecond

// errUnsent is a pooled connection that the service closed between our look at it and our write: not one byte has
// left, so another connection may carry the request.
var errUnsent = errors.New("nothing was sent")

// send writes the request. It returns nil when an answer can be read: the request is sent, or the service answered
// early.
func (k *call) send(r *Request) error {
	if err := k.until(earlier(k.deadline, time.Now().Add(k.timeouts.Response))); err != nil {
		return k.unsent(err)
	}
	n, err := k.Write(r.prefix)
	switch {
	case err == nil && r.body == nil:
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
	for last := false; !last; {
		before := r.Waited
		part, err := r.nextPart()
		k.deadline = k.deadline.Add(r.Waited - before)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		last = err != nil
		if err := k.sendPart(part); err != nil || k.isRefused() {
			return err
		}
	}
	return nil
}

// sendPart writes one part, and polls for a response from time to time.
func (k *call) sendPart(part []byte) error {
	for {
		if err := k.pollResponse(); err != nil || k.isRefused() {
			return err
		}
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
	}
}

// writeSome writes until it is done or a writeSlice has passed; with TLS, where a write cannot be resumed, until the
// deadline.
func (k *call) writeSome(part []byte) (int, error) {
	limit := k.deadline
	if !k.secure {
		limit = earlier(limit, time.Now().Add(writeSlice))
	}
	if err := k.writeUntil(limit); err != nil {
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
	return k.sendFailed || k.early && (!k.answer.persistent() || k.answer.status >= fasthttp.StatusMultipleChoices)
}
