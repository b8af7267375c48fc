package http1

import (
	"io"
	"net/http"
	"slices"
	"time"
)

// smallAnswer is the length in bytes up to which an answer is read whole before any of it is passed on.
const smallAnswer = 64 << 10

// smallAnswerWait is how long the rest of a small answer may take before it is passed on as it comes.
const smallAnswerWait = 100 * time.Millisecond

// firstByteWait is how long an answer waits for the first byte of a long body, so that a service which dies behind its
// head is a 502. It must not be felt: events of SSE may come minutes after the head.
const firstByteWait = 2 * time.Millisecond

// deliver puts the body of the answer into resp and gives the connection back, or leaves it to the body stream.
func (k *call) deliver() error {
	h := &k.answer
	keep := h.persistent() && !k.early && !k.last
	switch {
	case k.bodiless():
		k.announce()
		// Who announces a body where none may be might send it all the same.
		k.pool.put(k.conn, keep && h.length <= 0 && !h.chunked)
		return nil
	case !h.chunked && h.length >= 0 && h.length <= smallAnswer:
		return k.deliverWhole(keep)
	}
	s := k.newStream(keep, h.bodyFraming())
	if err := k.awaitFirstByte(s); err != nil {
		k.pool.discard(k.conn)
		return err
	}
	k.pass(s)
	return nil
}

func (k *call) newStream(keep bool, body framing) *stream {
	return &stream{ctx: k.ctx, pool: k.pool, conn: k.conn, idle: k.timeouts.Stream, keep: keep, body: body}
}

// pass makes s the body of the answer.
func (k *call) pass(s *stream) {
	k.resp.Stream, k.resp.Length = s, k.answer.length
}

// awaitFirstByte looks at the beginning of a body that comes with its head or right behind it: one that is broken there
// is an error before the client has seen anything. A body that takes longer is passed on as it comes.
func (k *call) awaitFirstByte(s *stream) (err error) {
	if len(k.in.buffered()) == 0 {
		if err := k.readUntil(time.Now().Add(firstByteWait)); err != nil {
			return ioError("reading the body", err)
		}
		err := k.in.fill()
		if timedOut(err) {
			return nil
		}
		if err != nil {
			k.in.err = err // next returns it
		}
	}
	if err := k.until(earlier(k.deadline, time.Now().Add(k.timeouts.Stream))); err != nil {
		return ioError("reading the body", err)
	}
	if s.buffered, err = s.body.next(&k.in); err != io.EOF { //nolint:errorlint // a wrapped one is no end
		return err
	}
	return nil
}

// bodiless reports whether the answer ends with its head, whatever its fields say (RFC 9112 §6.3).
func (k *call) bodiless() bool {
	return k.headOnly || k.answer.status == http.StatusNoContent || k.answer.status == http.StatusNotModified
}

// announce passes on the length that a body would have had. A 204 has none (RFC 9110 §8.6), but many services say that
// it is 0, for browsers that used to wait.
func (k *call) announce() {
	k.resp.Bodiless = true
	if k.answer.status == http.StatusNoContent && k.answer.length > 0 {
		k.resp.Fields.Del("Content-Length")
		k.resp.Sized = false
		return
	}
	k.resp.Length = k.answer.length
}

// deliverWhole reads a small body, so that one that is cut short is an error before the client has seen anything.
func (k *call) deliverWhole(keep bool) error {
	k.resp.Length = k.answer.length
	err := k.readBody(k.answer.length)
	switch {
	case err == nil:
		k.pool.put(k.conn, keep)
		return nil
	case !timedOut(err):
		k.pool.discard(k.conn)
		return ioError("reading the body", err)
	}
	s := k.newStream(keep, framing{kind: sized, remaining: k.answer.length - int64(len(k.resp.Body))})
	s.buffered, k.resp.Body = append([]byte(nil), k.resp.Body...), k.resp.Body[:0]
	k.pass(s)
	return nil
}

// readBody reads a body of n bytes into resp. It waits no longer than smallAnswerWait.
func (k *call) readBody(n int64) error {
	body := slices.Grow(k.resp.Body[:0], int(n))[:n] // a small one
	come := copy(body, k.in.buffered())
	k.in.from += come
	k.resp.Body = body[:come]
	if come == len(body) {
		return nil
	}
	if err := k.readUntil(time.Now().Add(smallAnswerWait)); err != nil {
		return err
	}
	for come < len(body) {
		more, err := k.in.Read(body[come:])
		come += more
		if k.resp.Body = body[:come]; err != nil && come < len(body) {
			return err
		}
	}
	return nil
}

// bodyFraming is how the body of the answer ends (RFC 9112 §6.3).
func (h *head) bodyFraming() framing {
	switch {
	case h.chunked:
		return framing{kind: chunked}
	case h.length >= 0:
		return framing{kind: sized, remaining: h.length}
	}
	return framing{kind: untilClose}
}
